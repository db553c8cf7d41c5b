import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("The queue of transfers")
struct TransferQueueTests {
    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    private func entry(_ host: String? = nil, at seconds: Int64 = 0) -> TransferQueue.Entry {
        TransferQueue.Entry(id: StoreTrial.id(), host: host, dueTime: time(seconds))
    }

    @Test("Who is due first begins first, and nobody before his time")
    func order() {
        var queue = TransferQueue(limit: 2, limitPerHost: 2)
        let entries = [30, 10, 20, 40].map { entry(at: $0) }
        for entry in entries { queue.add(entry) }
        #expect(queue.begin(at: time(9), in: .gmt).isEmpty)
        #expect(queue.nextDueTime(after: time(9)) == time(10))
        #expect(queue.begin(at: time(35), in: .gmt) == [entries[1], entries[2]])
        #expect(queue.begin(at: time(50), in: .gmt).isEmpty)
        queue.end(entries[1].id)
        #expect(queue.begin(at: time(50), in: .gmt) == [entries[0]])
        #expect(queue.nextDueTime(after: time(50)) == nil)
        queue.remove(entries[3].id)
        queue.end(entries[0].id)
        #expect(queue.begin(at: time(50), in: .gmt).isEmpty)
        #expect(queue.waitingCount == 0)
    }

    @Test("What was begun before goes on before others begin")
    func continuation() {
        var queue = TransferQueue(limit: 1, limitPerHost: 1)
        queue.add(entry(at: 1))
        var begun = entry(at: 2)
        begun.isContinuation = true
        queue.add(begun)
        #expect(queue.begin(at: time(3), in: .gmt) == [begun])
    }

    @Test(
        "A host that has as many as it may holds up nobody else, and gets the next place it can have"
    )
    func hosts() {
        var queue = TransferQueue(limit: 3, limitPerHost: 1)
        let far = (0..<3).map { entry("far", at: Int64($0)) }
        let near = (0..<3).map { entry("near", at: Int64(10 + $0)) }
        let here = (0..<3).map { entry(at: Int64(20 + $0)) }
        for entry in far + near + here { queue.add(entry) }
        #expect(queue.begin(at: time(30), in: .gmt) == [far[0], near[0], here[0]])
        queue.end(here[0].id)
        #expect(queue.begin(at: time(30), in: .gmt) == [here[1]])
        queue.end(far[0].id)
        #expect(queue.begin(at: time(30), in: .gmt) == [far[1]])
    }

    @Test(
        "Whatever comes and ends, the limits hold, nobody is lost, and of one host none overtakes")
    func random() {
        for seed in 0..<20 {
            var random = SeededGenerator(seed: UInt64(seed))
            let limit = Int.random(in: 1...5, using: &random)
            let perHost = Int.random(in: 1...limit, using: &random)
            var queue = TransferQueue(limit: limit, limitPerHost: perHost)
            let entries = (0..<60).map { number in
                entry(["a", "b", nil].randomElement(using: &random) ?? nil, at: Int64(number / 4))
            }
            for entry in entries { queue.add(entry) }
            var running: [TransferQueue.Entry] = []
            var begun: [TransferQueue.Entry] = []
            for second in Int64(0)..<400 {
                let new = queue.begin(at: time(second), in: .gmt)
                begun += new
                running += new
                #expect(running.count <= limit, "seed \(seed)")
                for host in ["a", "b"] {
                    #expect(running.count { $0.host == host } <= perHost, "seed \(seed)")
                }
                running.shuffle(using: &random)
                if let done = running.popLast() { queue.end(done.id) }
            }
            #expect(begun.count == entries.count, "seed \(seed)")
            for host in ["a", "b", nil] {
                #expect(
                    begun.filter { $0.host == host } == entries.filter { $0.host == host },
                    "seed \(seed)")
            }
        }
    }

    @Test("Who does not come to begin before the window closes waits for the next one")
    func window() throws {
        let window = try AutoResynchronizeWindow(
            isEnabled: true, start: CIMInterval(.seconds(22 * 3600)),
            end: CIMInterval(.seconds(4 * 3600)))
        let berlin = try #require(TimeZone(identifier: "Europe/Berlin"))
        var queue = TransferQueue(limit: 1, limitPerHost: 1)
        // 22:00 in Berlin is 21:00 in UTC; time(0) is 08:00.
        var entries = [entry(at: 13 * 3600), entry(at: 13 * 3600)]
        for index in entries.indices {
            entries[index].window = window
            queue.add(entries[index])
        }
        #expect(queue.begin(at: time(13 * 3600), in: berlin).map(\.id) == [entries[0].id])
        queue.end(entries[0].id)
        let closed: Int64 = (13 + 6) * 3600 + 1
        #expect(queue.begin(at: time(closed), in: berlin).isEmpty)
        #expect(queue.nextDueTime(after: time(closed)) == time((13 + 24) * 3600))
        #expect(queue.begin(at: time((13 + 24) * 3600), in: berlin).map(\.id) == [entries[1].id])
    }
}
