public import FoundationEssentials

/// What became of the runs of a relationship in a span of time: `Msvm_ReplicationStatistics`, which
/// `Msvm_ReplicationService.GetReplicationStatisticsEx` returns. A run is a replication here.
public struct ReplicationStatistics: Equatable, Sendable {
    /// How the last run ended.
    public struct LastResult: Equatable, Sendable {
        public var date: Date
        public var code: ReturnCode

        public init(date: Date, code: ReturnCode) {
            (self.date, self.code) = (date, code)
        }
    }

    /// What was so at one time, where the rest is counted.
    struct Situation: Equatable, Sendable {
        var date: Date
        var pendingSize: UInt64
        var health: ReplicationHealth
    }

    /// Nil while nothing is known.
    public internal(set) var startStatisticTime: Date?
    public internal(set) var endStatisticTime: Date?
    public internal(set) var replicationSuccessCount: UInt64 = 0
    /// Bytes that were sent, of all runs that have succeeded.
    public internal(set) var replicationSize: UInt64 = 0
    public internal(set) var maxReplicationSize: UInt64 = 0
    /// How long the runs have taken that have succeeded, together.
    public internal(set) var totalLatency = Duration.zero
    public internal(set) var longestLatency = Duration.zero
    /// Runs that were due and did not take place.
    public internal(set) var replicationMissCount: UInt64 = 0
    public internal(set) var replicationFailureCount: UInt64 = 0
    /// Of the failures, those for which the other side could not be reached.
    public internal(set) var networkFailureCount: UInt64 = 0
    public internal(set) var lastResult: LastResult?
    var situation: Situation?

    public init() {}

    /// Bytes of which is known that they are to be sent.
    public var pendingReplicationSize: UInt64 { situation?.pendingSize ?? 0 }
    public var replicationHealth: ReplicationHealth { situation?.health ?? .notApplicable }
    /// There are no snapshots of applications here, and no tests of a failover.
    public var applicationConsistentSnapshotFailureCount: UInt64 { 0 }
    public var lastTestFailoverTime: Date? { nil }

    /// The average of the runs that have succeeded, in seconds.
    public var replicationLatency: UInt64 {
        let count = min(max(replicationSuccessCount, 1), UInt64(Int64.max))
        return Self.seconds(totalLatency / Int64(count))
    }

    public var maxReplicationLatency: UInt64 { Self.seconds(longestLatency) }

    private static func seconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(seconds, 0)) + (attoseconds >= 500_000_000_000_000_000 ? 1 : 0)
    }

    // MARK: What happens

    /// A run has ended well: so many bytes were sent in so long a time.
    public mutating func noteSuccess(byteCount: UInt64, latency: Duration, at date: Date) {
        extend(to: date)
        replicationSuccessCount.addWithoutOverflow(1)
        replicationSize.addWithoutOverflow(byteCount)
        maxReplicationSize = max(maxReplicationSize, byteCount)
        totalLatency = Self.sum(totalLatency, max(latency, .zero))
        longestLatency = max(longestLatency, latency)
        note(LastResult(date: date, code: .completed))
    }

    /// A run has ended with an error.
    public mutating func noteFailure(_ code: ReturnCode, at date: Date) {
        extend(to: date)
        replicationFailureCount.addWithoutOverflow(1)
        if code.isOfNetwork { networkFailureCount.addWithoutOverflow(1) }
        note(LastResult(date: date, code: code))
    }

    /// A run was due and did not take place.
    public mutating func noteMiss(at date: Date) {
        extend(to: date)
        replicationMissCount.addWithoutOverflow(1)
    }

    /// What is so at a time.
    public mutating func note(pendingSize: UInt64, health: ReplicationHealth, at date: Date) {
        extend(to: date)
        note(Situation(date: date, pendingSize: pendingSize, health: health))
    }

    /// Adds what became of other runs, in a span before, after or beside this one.
    public mutating func merge(_ other: ReplicationStatistics) {
        if let start = other.startStatisticTime { extend(to: start) }
        if let end = other.endStatisticTime { extend(to: end) }
        replicationSuccessCount.addWithoutOverflow(other.replicationSuccessCount)
        replicationSize.addWithoutOverflow(other.replicationSize)
        maxReplicationSize = max(maxReplicationSize, other.maxReplicationSize)
        totalLatency = Self.sum(totalLatency, other.totalLatency)
        longestLatency = max(longestLatency, other.longestLatency)
        replicationMissCount.addWithoutOverflow(other.replicationMissCount)
        replicationFailureCount.addWithoutOverflow(other.replicationFailureCount)
        networkFailureCount.addWithoutOverflow(other.networkFailureCount)
        if let result = other.lastResult { note(result) }
        if let situation = other.situation { note(situation) }
    }

    private mutating func extend(to date: Date) {
        startStatisticTime = min(startStatisticTime ?? date, date)
        endStatisticTime = max(endStatisticTime ?? date, date)
    }

    /// The later one counts; of two at one time the worse, in whichever order they come.
    private mutating func note(_ result: LastResult) {
        guard let last = lastResult,
            (last.date, last.code.rawValue) > (result.date, result.code.rawValue)
        else { return lastResult = result }
    }

    private mutating func note(_ new: Situation) {
        guard let last = situation,
            (last.date, last.health.rawValue, last.pendingSize)
                > (new.date, new.health.rawValue, new.pendingSize)
        else { return situation = new }
    }

    /// Longer than the universe is as long as can be said.
    private static func sum(_ first: Duration, _ second: Duration) -> Duration {
        let longest = Duration.seconds(Int64.max / 2)
        return min(min(first, longest) + min(second, longest), longest)
    }
}

extension UInt64 {
    /// Stays at the largest number rather than trap or begin anew.
    fileprivate mutating func addWithoutOverflow(_ other: UInt64) {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        self = isTooLarge ? .max : sum
    }
}

extension ReturnCode {
    /// Whether a run that ends with this code could not reach the other side.
    fileprivate var isOfNetwork: Bool {
        switch self {
        case .statusUnknown, .timeout, .systemNotAvailable: true
        case .completed, .jobStarted, .failed, .accessDenied, .notSupported, .invalidParameter,
            .systemInUse, .invalidState, .incorrectDataType, .outOfMemory, .fileNotFound:
            false
        }
    }
}
