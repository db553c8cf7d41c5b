/// How far the resynchronization job of a relationship is, as far as its requests need to know.
public enum RelationshipJob: CaseIterable, Sendable {
    /// There is none, or it is over.
    case none
    /// It waits for its start time.
    case waiting
    /// It has begun, and may be suspended.
    case underWay
    /// It has passed the commit point: the replica is being written to.
    case committed
}
