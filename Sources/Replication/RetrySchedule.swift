public import Resync
internal import Storage
internal import Glibc
internal import VHDX

/// Whether a resynchronization that has failed is tried again without being asked.
public enum RetryClass: Equatable, Sendable, CaseIterable {
    /// The reason may go away: the network, memory, space, somebody else who has the disk open.
    case transient
    /// It does not: a chain that is broken, a state that forbids it, a right that is missing.
    case permanent

    /// Of a run or a call with this code.
    public init(_ code: ReturnCode) {
        switch code {
        case .statusUnknown, .timeout, .systemInUse, .systemNotAvailable, .outOfMemory:
            self = .transient
        case .completed, .jobStarted, .failed, .accessDenied, .notSupported, .invalidParameter,
            .invalidState, .incorrectDataType, .fileNotFound:
            self = .permanent
        }
    }

    /// Of a run with this error: that of its code, but for a lack of space, which has no code of
    /// its own.
    public init(_ error: ResyncError) {
        self = error.isLackOfSpace ? .transient : RetryClass(ReturnCode(error))
    }
}

extension ResyncError {
    fileprivate var isLackOfSpace: Bool {
        if case .noSpace = self { return true }
        let file: FileError
        if case .file(let error) = self {
            file = error
        } else if case .disk(_, .file(let error)) = self {
            file = error
        } else {
            return false
        }
        guard case .system(_, _, _, let errno) = file else { return false }
        return errno == ENOSPC || errno == EDQUOT
    }
}

/// When a resynchronization that has failed is tried again: after 1, 2, 4, 8 and 10 minutes, and
/// then every 30 minutes, as Hyper-V tries a replication cycle again.
public struct RetrySchedule: Equatable, Sendable {
    /// How long to wait after each of the first failures.
    public static let firstWaits: [Duration] = [1, 2, 4, 8, 10].map { .seconds($0 * 60) }
    /// How long to wait after every further one.
    public static let laterWait = Duration.seconds(30 * 60)

    /// Failures since the last success.
    public private(set) var failureCount = 0

    public init() {}

    /// After as many failures, for who has kept the number.
    public init(failureCount: Int) {
        self.failureCount = max(failureCount, 0)
    }

    /// Notes a failure, and says how long to wait before the next attempt; nil for no other.
    public mutating func wait(afterFailure retry: RetryClass) -> Duration? {
        switch retry {
        case .permanent:
            return nil
        case .transient:
            defer { failureCount += failureCount < .max ? 1 : 0 }
            return failureCount < Self.firstWaits.count
                ? Self.firstWaits[failureCount] : Self.laterWait
        }
    }

    /// A run has succeeded, or somebody has asked for one: the next failure counts as the first.
    public mutating func reset() { failureCount = 0 }
}
