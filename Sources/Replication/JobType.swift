/// What a job does: `Msvm_ConcreteJob.JobType`, as far as there are such jobs here.
public enum JobType: UInt16, CaseIterable, Sendable {
    /// `Msvm_ComputerSystem.RequestReplicationStateChangeEx` with a state that is not reached at
    /// once.
    case changingReplicationState = 96
    /// `Msvm_ReplicationService.Resynchronize` on the primary relationship.
    case resynchronizing = 107
    case stoppingResynchronization = 110
    /// The same on the extended relationship, from a replica to its own.
    case resynchronizingExtendedReplication = 121

    /// The job of a resynchronization of this relationship.
    public init(resynchronizing relationship: ReplicationRelationshipID.Kind) {
        switch relationship {
        case .primary: self = .resynchronizing
        case .extended: self = .resynchronizingExtendedReplication
        }
    }

    /// What the job does, for people.
    public var name: String {
        switch self {
        case .changingReplicationState: "Replication state change"
        case .resynchronizing: "Resynchronizing"
        case .stoppingResynchronization: "Stopping resynchronization"
        case .resynchronizingExtendedReplication: "Resynchronizing extended replication"
        }
    }
}
