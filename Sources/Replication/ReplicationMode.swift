/// What a virtual machine is to replication: `Msvm_ComputerSystem.ReplicationMode`.
public enum ReplicationMode: UInt16, CaseIterable, Sendable {
    case none = 0
    case primary = 1
    case replica = 2
    case testReplica = 3
    /// The replica of a replica.
    case extendedReplica = 4

    /// The documented name.
    public var name: String {
        switch self {
        case .none: "None"
        case .primary: "Primary"
        case .replica: "Replica"
        case .testReplica: "Test Replica"
        case .extendedReplica: "Extended Replica"
        }
    }

    /// The relationship on which `Msvm_ReplicationService.Resynchronize` and
    /// `Msvm_ComputerSystem.RequestReplicationStateChangeEx` act: the one in which the machine is
    /// the sender. Where the call names one, it must be that.
    ///
    /// - Throws: ``ReplicationRefusal/mode(_:)``.
    public func relationship(
        named kind: ReplicationRelationshipID.Kind? = nil, hasExtended: Bool
    ) throws(ReplicationRefusal) -> ReplicationRelationshipID.Kind {
        let sending: ReplicationRelationshipID.Kind? =
            switch self {
            case .primary: .primary
            case .replica: hasExtended ? .extended : nil
            case .none, .testReplica, .extendedReplica: nil
            }
        guard let sending, kind == nil || kind == sending else { throw .mode(self) }
        return sending
    }
}
