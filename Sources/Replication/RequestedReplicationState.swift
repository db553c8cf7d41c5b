/// What `Msvm_ComputerSystem.RequestReplicationStateChangeEx` is asked for, as far as it is
/// supported: values 1, 2 and 4 belong to initial replication and to planned failover.
public enum RequestedReplicationState: UInt16, CaseIterable, Sendable {
    /// Replicate: resume what is suspended.
    case replicating = 3
    case suspended = 7
    case resynchronizationCancelled = 9

    /// - Throws: ``ReplicationRefusal/requestedState(_:)``.
    public init(number: UInt16) throws(ReplicationRefusal) {
        guard let requested = Self(rawValue: number) else { throw .requestedState(number) }
        self = requested
    }
}
