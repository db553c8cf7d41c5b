/// How well a replication goes: `Msvm_ReplicationRelationship.ReplicationHealth`.
public enum ReplicationHealth: UInt16, CaseIterable, Sendable {
    case notApplicable = 0
    case ok = 1
    case warning = 2
    case critical = 3

    /// The documented name.
    public var name: String {
        switch self {
        case .notApplicable: "Not applicable"
        case .ok: "Ok"
        case .warning: "Warning"
        case .critical: "Critical"
        }
    }
}
