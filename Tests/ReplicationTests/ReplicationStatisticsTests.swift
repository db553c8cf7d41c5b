import FoundationEssentials
import TestSupport
import Testing

@testable import Replication

@Suite("Statistics of a replication")
struct ReplicationStatisticsTests {
    private func date(_ seconds: Int) -> Date {
        Date(timeIntervalSince1970: TimeInterval(seconds))
    }

    @Test("Nothing has happened")
    func empty() {
        let statistics = ReplicationStatistics()
        #expect(statistics.startStatisticTime == nil)
        #expect(statistics.endStatisticTime == nil)
        #expect(statistics.replicationLatency == 0)
        #expect(statistics.maxReplicationLatency == 0)
        #expect(statistics.replicationHealth == .notApplicable)
        #expect(statistics.pendingReplicationSize == 0)
        #expect(statistics.applicationConsistentSnapshotFailureCount == 0)
        #expect(statistics.lastTestFailoverTime == nil)
        #expect(statistics.lastResult == nil)
    }

    @Test("What happens is counted")
    func counts() {
        var statistics = ReplicationStatistics()
        statistics.noteSuccess(byteCount: 100, latency: .seconds(2), at: date(20))
        statistics.noteSuccess(byteCount: 300, latency: .seconds(5), at: date(10))
        statistics.noteFailure(.systemNotAvailable, at: date(30))
        statistics.noteFailure(.invalidState, at: date(40))
        statistics.noteMiss(at: date(50))
        statistics.note(pendingSize: 7, health: .warning, at: date(15))
        #expect(statistics.startStatisticTime == date(10))
        #expect(statistics.endStatisticTime == date(50))
        #expect(statistics.replicationSuccessCount == 2)
        #expect(statistics.replicationSize == 400)
        #expect(statistics.maxReplicationSize == 300)
        #expect(statistics.totalLatency == .seconds(7))
        #expect(statistics.replicationLatency == 4)
        #expect(statistics.maxReplicationLatency == 5)
        #expect(statistics.replicationFailureCount == 2)
        #expect(statistics.networkFailureCount == 1)
        #expect(statistics.replicationMissCount == 1)
        #expect(statistics.pendingReplicationSize == 7)
        #expect(statistics.replicationHealth == .warning)
        #expect(statistics.lastResult == .init(date: date(40), code: .invalidState))
        statistics.note(pendingSize: 9, health: .ok, at: date(14))
        #expect(statistics.pendingReplicationSize == 7)
    }

    @Test(
        "Failures of the network are those of reaching the other side",
        arguments: ReturnCode.allCases)
    func network(_ code: ReturnCode) {
        var statistics = ReplicationStatistics()
        statistics.noteFailure(code, at: date(0))
        let isOfNetwork = [32771, 32772, 32777].contains(code.rawValue)
        #expect(statistics.networkFailureCount == (isOfNetwork ? 1 : 0))
        #expect(statistics.replicationFailureCount == 1)
        #expect(statistics.lastResult?.code == code)
    }

    /// Something that happens, at a time that may be that of something else.
    private func happen(
        _ generator: inout SeededGenerator
    ) -> (inout ReplicationStatistics) -> Void {
        let date = date(Int.random(in: 0..<12, using: &generator))
        let number = UInt64.random(in: 0..<1000, using: &generator)
        let code = ReturnCode.allCases.randomElement(using: &generator) ?? .failed
        let health = ReplicationHealth.allCases.randomElement(using: &generator) ?? .ok
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            return { $0.noteSuccess(byteCount: number, latency: .milliseconds(number), at: date) }
        case 1: return { $0.noteFailure(code, at: date) }
        case 2: return { $0.noteMiss(at: date) }
        default: return { $0.note(pendingSize: number, health: health, at: date) }
        }
    }

    @Test(
        "Parts that are merged in any order are the whole", arguments: 1...50 as ClosedRange<UInt64>
    )
    func merging(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let events = (0..<20).map { _ in happen(&generator) }
        var whole = ReplicationStatistics()
        for event in events { event(&whole) }
        var parts = [ReplicationStatistics](repeating: ReplicationStatistics(), count: 4)
        for event in events.shuffled(using: &generator) {
            event(&parts[Int.random(in: 0..<4, using: &generator)])
        }
        var left = ReplicationStatistics()
        for part in parts.shuffled(using: &generator) { left.merge(part) }
        #expect(left == whole, "seed \(seed)")
        var first = parts[0]
        first.merge(parts[1])
        var second = parts[2]
        second.merge(parts[3])
        second.merge(first)
        #expect(second == whole, "seed \(seed)")
    }

    @Test("Sums that would be too large stay at the largest")
    func overflow() {
        var statistics = ReplicationStatistics()
        for _ in 0..<3 {
            statistics.noteSuccess(
                byteCount: .max, latency: .seconds(Int64.max), at: .distantFuture)
        }
        #expect(statistics.replicationSize == .max)
        #expect(statistics.totalLatency == .seconds(Int64.max / 2))
        #expect(statistics.maxReplicationLatency == UInt64(Int64.max))
        var other = statistics
        other.merge(statistics)
        #expect(other.replicationSize == .max)
        #expect(other.replicationSuccessCount == 6)
        #expect(other.replicationLatency > 0)
        statistics.noteSuccess(byteCount: 0, latency: .seconds(-5), at: .distantPast)
        #expect(statistics.totalLatency == .seconds(Int64.max / 2))
    }
}
