import Dispatch
import Storage
import TestSupport
import Testing

@testable import Resync

/// Records of the other host, as several threads take them.
@Suite("The intake of records")
struct RecordIntakeTests {
    /// What the threads have done.
    private struct Log {
        var eventCount = 0
        var taken: [Int] = []
        var failures: [ResyncError] = []
        /// What was taken when the failure was told.
        var takenBefore: [Int] = []
        var endings: [ResyncError] = []
    }

    /// Runs an intake in four threads. After so many deliveries there is the failure of the other side,
    /// behind which more records would come, or the finish; the preparation of some deliveries fails.
    private func run(
        _ deliveryCount: Int, failure: ResyncError? = nil, failing: Set<Int> = [], seed: UInt64
    ) throws -> (log: Log, errors: [ResyncError], hasFinish: Bool) {
        let log = Lock(Log())
        let generator = Lock(SeededGenerator(seed: seed))
        let intake = RecordIntake(
            nextEvent: { () throws(ResyncError) in
                let number = log.withLock { log in
                    defer { log.eventCount += 1 }
                    return log.eventCount
                }
                guard number != deliveryCount else {
                    if let failure { throw failure }
                    return .finish(
                        Finish(root: .zero, differingBlockCount: 0, counts: RemoteCounts()))
                }
                return .records([])
            },
            end: { error in log.withLock { $0.endings.append(error) } })
        let errors = Lock<[ResyncError]>([])
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            do throws(ResyncError) {
                while try intake.next(
                    prepare: { (delivery) throws(ResyncError) in
                        // Some take longer than others.
                        let turns = generator.withLock { Int.random(in: 0..<2000, using: &$0) }
                        for _ in 0..<turns { _ = log.withLock { $0.eventCount } }
                        guard !failing.contains(delivery.number) else {
                            throw .protocolViolation("\(delivery.number)")
                        }
                    },
                    take: { delivery in log.withLock { $0.taken.append(delivery.number) } },
                    failed: { error in
                        log.withLock { log in
                            log.failures.append(error)
                            log.takenBefore = log.taken
                        }
                    })
                {}
            } catch {
                errors.withLock { $0.append(error) }
            }
        }
        return (log.withLock { $0 }, errors.withLock { $0 }, intake.finish != nil)
    }

    @Test("Everything is taken once, in order")
    func takesInOrder() throws {
        for seed in 0..<20 as Range<UInt64> {
            let (log, errors, hasFinish) = try run(50, seed: seed)
            #expect(log.taken == Array(0..<50), "seed \(seed)")
            #expect(errors.isEmpty && log.failures.isEmpty && log.endings.isEmpty)
            #expect(hasFinish)
        }
    }

    @Test("What came before the other side failed is taken, and nothing behind it")
    func otherSideFails() throws {
        for seed in 0..<40 as Range<UInt64> {
            let failure = ResyncError.protocolViolation("gone")
            let (log, errors, hasFinish) = try run(20, failure: failure, seed: seed)
            #expect(log.taken == Array(0..<20), "seed \(seed)")
            #expect(log.takenBefore == log.taken, "seed \(seed)")
            #expect(log.failures == [failure] && log.endings == [failure], "seed \(seed)")
            #expect(!errors.isEmpty && errors.allSatisfy { $0 == failure }, "seed \(seed)")
            #expect(!hasFinish)
        }
    }

    @Test("Where records are no good, what stands before them is taken, and nothing behind")
    func recordsAreNoGood() throws {
        for seed in 0..<40 as Range<UInt64> {
            let (log, errors, _) = try run(30, failing: [11, 12, 14], seed: seed)
            let failure = ResyncError.protocolViolation("11")
            #expect(log.taken == Array(0..<11), "seed \(seed)")
            #expect(log.takenBefore == log.taken, "seed \(seed)")
            #expect(log.failures == [failure] && log.endings == [failure], "seed \(seed)")
            #expect(errors.contains(failure), "seed \(seed)")
        }
    }
}
