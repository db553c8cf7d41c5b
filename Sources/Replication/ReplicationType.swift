/// What kind of replication was the last: `LastReplicationType` and `FailedOverReplicationType` of
/// `Msvm_ReplicationRelationship`.
public enum ReplicationType: UInt16, CaseIterable, Sendable {
    case none = 0
    case regular = 1
    case applicationConsistent = 2
    case planned = 3

    /// The documented name.
    public var name: String {
        switch self {
        case .none: "None"
        case .regular: "Regular"
        case .applicationConsistent: "Application consistent"
        case .planned: "Planned"
        }
    }
}
