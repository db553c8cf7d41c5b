import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A committed journal, written to a replica")
struct JournalApplyTests {
    @Test(
        "Images of each kind read as the primary in the end, with exact counts",
        arguments: Comparison.allCases, [1, 2])
    func images(_ comparison: Comparison, _ workerCount: Int) throws {
        for number in 0..<8 as Range<UInt64> {
            let seed = 3000 + number * 10 + UInt64(workerCount)
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            // From 4 KiB to 16 MiB, each of them twice.
            let blockSize = 4096 << Int((number * 2 + UInt64(workerCount)) % 13)
            let run = JournalRun(
                blockSize: blockSize, workerCount: workerCount, comparison: comparison)
            let place = JournalPlace<MemoryFile>()
            let roots = try run(primary, place.store) { () throws(VHDXError) in
                try ImageWriter(replica, acceptsMark: true)
            }
            #expect(naiveContent(of: replica).readsAs(pair.primary), "seed \(seed)")
            #expect(place.content == nil, "seed \(seed)")
            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: blockSize)
            #expect(run.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(
                run.counts.bytesWritten >= expected.byteCount(expected.differing), "seed \(seed)")
            #expect(
                run.monitor.condition == (expected.differing.isEmpty ? .untouched : .written),
                "seed \(seed)")
            if comparison == .hash {
                let root = try naiveRoot(of: pair.primary, blockSize: blockSize)
                #expect(roots?.primary == root && roots?.result == root, "seed \(seed)")
            }
        }
    }

    @Test("A raw disk, and a differencing image", arguments: Comparison.allCases)
    func otherKinds(_ comparison: Comparison) throws {
        for seed in 3100..<3108 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let primary = pair.images(using: &generator).primary
            let replica = MemoryFile(content: pair.replica)
            let place = JournalPlace<MemoryFile>()
            try JournalRun(blockSize: 8192, comparison: comparison)(primary, place.store) {
                () throws(VHDXError) in try RawDisk(replica)
            }
            #expect(replica.content.readsAs(pair.primary), "seed \(seed)")
            #expect(place.content == nil, "seed \(seed)")

            let scenario = try JournalScenario.differencing(seed: seed)
            let files = JournalScenario.Files(scenario.files)
            try JournalRun(blockSize: 4096, comparison: comparison)(
                scenario.primary, files.journal.store, to: files.open)
            #expect(try files.content()?.readsAs(scenario.new) == true, "seed \(seed)")
            #expect(files.parent?.content == scenario.files[JournalScenario.parentName])
        }
    }

    @Test("What a target does not write as told is found, and the journal mends it")
    func lies() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3200))
        let whole = scenario.run()
        let first = JournalScenario.Files(scenario.files)
        try whole(scenario.primary, first.journal.store, to: first.open)
        let probed = whole.replicaProbe.counts
        #expect(probed.writes > 3 && probed.zeroed.count > 1)
        for number in 0..<probed.writes + probed.zeroed.count {
            for fate in [.dropped, .corrupted(at: 100)] as [Probe.Fate] {
                let files = JournalScenario.Files(scenario.files)
                let calls = Lock(0)
                let spoiled = Lock<Range<UInt64>?>(nil)
                var run = scenario.run()
                run.replicaProbe = Probe(fate: { range in
                    let call = calls.withLock { calls in
                        calls += 1
                        return calls - 1
                    }
                    guard call == number else { return .done }
                    spoiled.withLock { $0 = range }
                    return fate
                })
                let error = resyncError {
                    try run(scenario.primary, files.journal.store, to: files.open)
                }
                guard case .contentDiffersAfterWriting(let place) = error else {
                    Issue.record("\(fate) \(number): \(String(describing: error))")
                    continue
                }
                let range = try #require(spoiled.withLock { $0 })
                #expect(range.contains(place), "\(fate) \(number)")
                #expect(run.monitor.condition == .halfWritten, "\(fate) \(number)")
                #expect(try files.content() == nil, "\(fate) \(number)")
                #expect(try scenario.run().recover(files.journal.store, files.open))
                let isNew = try files.content()?.readsAs(scenario.new) ?? false
                #expect(isNew, "\(fate) \(number)")
            }
        }
    }

    /// A committed journal of a scenario.
    private func committed(
        _ scenario: JournalScenario
    ) throws -> (files: JournalScenario.Files, bytes: [UInt8]) {
        let files = JournalScenario.Files(scenario.files)
        let target = try files.open()
        _ = try scenario.run().record(scenario.primary, files.journal.store, on: target)
        target.abandon()
        return (files, files.journal.bytes)
    }

    @Test("A journal with damage anywhere is found out before the replica is touched")
    func damaged() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3300))
        let (files, bytes) = try committed(scenario)
        let replica = try #require(scenario.files[JournalScenario.replicaName])
        for place in stride(from: 200, to: bytes.count, by: bytes.count / 61) {
            var damaged = bytes
            damaged[place] ^= 0x40
            let journal = JournalPlace(damaged)
            let error = resyncError {
                let isFinished = try scenario.run().recover(journal.store, files.open)
                // Without the start of its trailer it is an unfinished one.
                #expect(!isFinished && place >= bytes.count - 144)
            }
            if let error {
                guard case .damagedDelta = error else {
                    Issue.record(error, "byte \(place)")
                    continue
                }
            }
            #expect(files.replica.content == replica, "byte \(place)")
        }
    }

    @Test("A journal for another size, or that builds on another state, is refused")
    func foreign() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3400))
        let (files, bytes) = try committed(scenario)
        var generator = SeededGenerator(seed: 1)
        let other = DiskShape(virtualSize: scenario.old.byteCount + 512)
            .image(holding: DiskContent(byteCount: scenario.old.byteCount + 512), using: &generator)
        let changed = MemoryFile(content: files.replica.content)
        let writer = try ImageWriter(changed)
        let byte: [UInt8] = [UInt8](repeating: 1, count: 512)
        try writer.write(byte.rawSpan, at: 5 << 20)
        try writer.close()
        let marked = MemoryFile(content: files.replica.content)
        let marking = try ImageWriter(marked)
        try marking.setMark(ApplyMark(streamID: .random(), journalPath: "/another"))
        try marking.close()
        for file in [other, changed, marked] {
            let before = file.content
            let place = JournalPlace(bytes)
            let error = resyncError {
                try scenario.run().recover(place.store) { () throws(VHDXError) in
                    try ImageWriter(file, acceptsMark: true)
                }
            }
            guard case .foreignJournal = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(file.content == before && place.bytes == bytes)
        }
    }

    @Test("To a raw disk it is written only where the content proves that it is the one")
    func raw() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3500))
        let place = JournalPlace<MemoryFile>()
        let old = try RawDisk(MemoryFile(content: scenario.old))
        _ = try scenario.run().record(scenario.primary, place.store, on: old)
        old.abandon()
        let bytes = place.bytes
        var half = scenario.old
        half.put(scenario.new.bytes(in: 1 << 20..<2 << 20), at: 1 << 20)
        var other = scenario.old
        other.put([1], at: 100)
        let cases = [(scenario.old, true), (half, true), (scenario.new, true), (other, false)]
        for (index, (content, isTheOne)) in cases.enumerated() {
            for comparison in Comparison.allCases {
                let replica = MemoryFile(content: content)
                let journal = JournalPlace(bytes)
                var run = scenario.run()
                run.options.comparison = comparison
                let error = resyncError {
                    try run.recover(journal.store) { () throws(VHDXError) in try RawDisk(replica) }
                }
                if isTheOne {
                    #expect(error == nil, "\(index), \(comparison)")
                    #expect(replica.content.readsAs(scenario.new) && journal.content == nil)
                } else {
                    guard case .foreignJournal = error else {
                        Issue.record("\(index): \(String(describing: error))")
                        continue
                    }
                    #expect(replica.content.readsAs(content) && journal.bytes == bytes)
                }
            }
        }
    }

    @Test("A primary that changes before the commit point leaves the replica and no journal")
    func primaryChanged() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3600))
        let files = JournalScenario.Files(scenario.files)
        var run = scenario.run()
        run.check = { () throws(ResyncError) in throw .primaryChanged(path: "/primary") }
        let error = resyncError {
            try run(scenario.primary, files.journal.store, to: files.open)
        }
        #expect(error == .primaryChanged(path: "/primary") && files.journal.content == nil)
        #expect(files.replica.content == scenario.files[JournalScenario.replicaName])
    }

    @Test("Without space for all that is new, held or not, nothing is written")
    func noSpace() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3650))
        let bytes = try committed(scenario).bytes
        // A whole run, one whose content is all held, and one with space enough.
        let cases: [([UInt8]?, free: UInt64, isEnough: Bool)] = [
            (nil, 2 << 20, false), (bytes.dropLast(144), 2 << 20, false),
            (bytes.dropLast(144), 1 << 30, true),
        ]
        for (held, free, isEnough) in cases {
            var files = scenario.files
            files[JournalScenario.journalName] = held.flatMap { JournalPlace($0).content }
            let found = JournalScenario.Files(files)
            var run = scenario.run()
            run.freeByteCount = free
            let error = resyncError {
                try run(scenario.primary, found.journal.store, to: found.open)
            }
            #expect(found.journal.content == nil)
            if isEnough {
                #expect(error == nil && run.counts.blocksHeld > 0)
            } else {
                guard case .noSpace(_, let needed, free) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                // What is new in blocks 2 and 6 and the last one; of what is held, also what falls into
                // holes of blocks that are there.
                let least: UInt64 = (2 << 20) + 4 * 65536 + 4608
                #expect(held == nil ? needed == least : needed >= least)
                #expect(found.replica.content == scenario.files[JournalScenario.replicaName])
            }
        }
    }

    @Test("A stop keeps what was recorded for the next run, or what was committed")
    func stopped() throws {
        let scenario = JournalScenario(.inEachWay(seed: 3700))
        for number in stride(from: 1, to: 30, by: 4) {
            let files = JournalScenario.Files(scenario.files)
            var run = scenario.run()
            let monitor = run.monitor
            run.replicaProbe = Probe(beforeRead: { (read, _) throws(VHDXError) in
                if read == number { monitor.requestStop(.cancelled) }
            })
            let committed = Lock(false)
            run.didReach = { _ in committed.withLock { $0 = true } }
            let error = resyncError {
                try run(scenario.primary, files.journal.store, to: files.open)
            }
            guard error != nil else { continue }
            #expect(error == .stopped(.cancelled), "read \(number)")
            var left = [JournalScenario.replicaName: files.replica.content]
            left[JournalScenario.journalName] = files.journal.content
            let faults = scenario.faults(
                of: left, isCommitted: committed.withLock { $0 }, isApplied: false, runsAgain: true)
            #expect(faults == [], "read \(number)")
        }
    }
}
