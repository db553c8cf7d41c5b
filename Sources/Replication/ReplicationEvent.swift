/// What happens to a relationship.
public enum ReplicationEvent: Hashable, Sendable, CaseIterable {
    /// A resynchronization has begun at the beginning.
    case started
    case succeeded
    /// It has failed, and may be tried again.
    case failedForNow
    /// It has failed for a reason that does not go away by itself.
    case failed
    case suspended
    case continued
    case cancelled
    /// The service has ended in the midst of it.
    case interrupted
    case replicationSuspended
    case replicationResumed

    /// The failure of a resynchronization.
    public static func failure(_ retry: RetryClass) -> ReplicationEvent {
        switch retry {
        case .transient: .failedForNow
        case .permanent: .failed
        }
    }
}
