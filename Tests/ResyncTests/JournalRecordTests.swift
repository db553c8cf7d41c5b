import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("The differences of two disks, recorded in a journal")
struct JournalRecordTests {
    /// Records a pair, and gives the committed stream.
    private func record(
        _ run: JournalRun, _ primary: MemoryFile, _ replica: MemoryFile
    ) throws -> (roots: JournalRun.Roots?, journal: JournalPlace<MemoryFile>) {
        let place = JournalPlace<MemoryFile>()
        let target = ProbeDisk(try ImageWriter(replica), run.replicaProbe)
        let recorded = try run.record(primary, place.store, on: target)
        target.abandon()
        return (recorded.roots, place)
    }

    @Test(
        "What is recorded makes the one disk of the other, with exact roots and counts",
        arguments: Comparison.allCases, [1, 3])
    func randomPairs(_ comparison: Comparison, _ workerCount: Int) throws {
        for number in 0..<8 as Range<UInt64> {
            let seed = 1000 + number * 10 + UInt64(workerCount)
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            let blockSize = 4096 << Int.random(in: 0...12, using: &generator)
            let run = JournalRun(
                blockSize: blockSize, workerCount: workerCount, comparison: comparison)
            replica.resetCounts()
            let (roots, place) = try record(run, primary, replica)
            #expect(replica.counts.changes == 0 && replica.counts.flushes == 0, "seed \(seed)")

            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: blockSize)
            let counts = run.counts
            #expect(counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(counts.blocksHeld == 0 && counts.bytesWritten == 0, "seed \(seed)")
            #expect(
                counts.blocksSkipped + counts.blocksCompared == counts.blocksTotal, "seed \(seed)")
            #expect(
                counts.bytesRead
                    == run.primaryProbe.counts.bytesRead + run.replicaProbe.counts.bytesRead,
                "seed \(seed)")
            let root = try naiveRoot(of: pair.primary, blockSize: blockSize)
            let base = try naiveRoot(of: pair.replica, blockSize: blockSize)
            let isHash = comparison == .hash
            #expect(
                roots == (isHash ? .init(primary: root, replica: base, result: root) : nil),
                "seed \(seed)")
            guard place.content != nil else {
                #expect(expected.differing.isEmpty && counts.bytesRecorded == 0, "seed \(seed)")
                continue
            }
            let entries = try place.entries()
            let made = pair.replica.applying(entries, blockSize: blockSize)
            #expect(made.readsAs(pair.primary), "seed \(seed)")
            let trailer = try DeltaReader(reading: place.file).requiredTrailer()
            #expect(trailer.baseRoot == (isHash ? base : .zero), "seed \(seed)")
            #expect(trailer.resultRoot == (isHash ? root : .zero), "seed \(seed)")
            // The header and the trailer are not counted.
            #expect(
                counts.bytesRecorded <= place.bytes.count
                    && counts.bytesRecorded + 400 > place.bytes.count, "seed \(seed)")
        }
    }

    @Test("Several workers record the same bytes as one")
    func workers() throws {
        for seed in 1100..<1104 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            let streams = try [1, 2, 5].map { count in
                let run = JournalRun(blockSize: 4096, workerCount: count)
                return try record(run, primary, replica).journal.bytes
            }
            for stream in streams where stream.count > 344 {
                // Between the header and the trailer, where each stream has a name of its own.
                let records = streams[0][200..<streams[0].count - 144]
                #expect(stream[200..<stream.count - 144] == records, "seed \(seed)")
            }
            #expect(Set(streams.map(\.count)).count == 1, "seed \(seed)")
        }
    }

    @Test("Against digests alone the same is recorded as against the disk")
    func digests() throws {
        for seed in 1200..<1208 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            let blockSize = 4096 << Int.random(in: 0...8, using: &generator)
            let run = JournalRun(blockSize: blockSize, workerCount: 2)
            let (roots, place) = try record(run, primary, replica)

            let size = pair.primary.byteCount
            let known = Lock<[DigestRun]>([])
            let digesting = try ComparisonEngine(
                virtualSize: size, options: run.options, pass: .digest, monitor: ResyncMonitor())
            _ = try digesting.run(
                alone: try ImageReader(replica),
                consume: { (run) throws(ResyncError) in known.withLock { $0.append(run) } })
            let header = DeltaHeader(virtualSize: size, blockSize: blockSize, streamID: .random())
            let recorder = DifferenceRecorder<DeltaWriter<MemoryFile>>(
                continuing: nil, ResyncMonitor()
            ) { () throws(ResyncError) in
                try DeltaWriter(header, to: MemoryFile(name: "delta"))
            }
            let engine = try ComparisonEngine(
                virtualSize: size, options: run.options, pass: .record, monitor: ResyncMonitor())
            let found = try engine.run(
                alone: try ImageReader(primary), sink: recorder,
                knowledge: { (_) throws(ResyncError) in
                    WindowKnowledge(replicaDigests: known.withLock { $0 })
                })
            #expect(found == roots, "seed \(seed)")
            guard let writer = try recorder.finish() else {
                #expect(place.content == nil, "seed \(seed)")
                continue
            }
            var reader = try DeltaReader(
                reading: try writer.finish(baseRoot: .zero, resultRoot: .zero))
            let entries = try reader.entries().joined(blockSize: blockSize)
            #expect(try entries == place.entries(), "seed \(seed)")
        }
    }

    @Test("Zeros that span windows are one record, and content past 4 GiB is recorded")
    func windows() throws {
        var generator = SeededGenerator(seed: 1300)
        let size: UInt64 = 5 << 30 | 512
        let shape = DiskShape(virtualSize: size, blockSize: 32 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(100 << 20..<100 << 20 | 4096, using: &generator)
        pair.replica.fill(200 << 20..<200 << 20 | 4096, using: &generator)
        pair.replica.fill(1 << 30..<1 << 30 | 4096, using: &generator)
        pair.replica.fill(9 << 29..<9 << 29 | 4096, using: &generator)
        pair.primary.fill(size - 512..<size, using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        let run = JournalRun(blockSize: 65536, workerCount: 2)
        let (roots, place) = try record(run, primary, replica)
        #expect(try roots?.result == naiveRoot(of: pair.primary, blockSize: 65536))
        let entries = try place.entries()
        #expect(entries.blocks(blockSize: 65536) == [1600..<1601, 1601..<81920, 81920..<81921])
        #expect(pair.replica.applying(entries, blockSize: 65536).readsAs(pair.primary))
        // What is unfinished of it and what is held are the same records, cut at windows.
        try JournalRun(blockSize: 65536)(primary, place.store) { () throws(VHDXError) in
            try ImageWriter(replica, acceptsMark: true)
        }
        #expect(naiveContent(of: replica).readsAs(pair.primary) && place.content == nil)
    }

    @Test("A journal is proven that has records where the replica has nothing, many windows on")
    func provesRecordsFarOn() throws {
        var generator = SeededGenerator(seed: 1301)
        let size: UInt64 = 5 << 30
        let shape = DiskShape(virtualSize: size, blockSize: 32 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(4096..<8192, using: &generator)
        pair.primary.fill(size - 512..<size, using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        let run = JournalRun()
        let (_, place) = try record(run, primary, replica)
        let reader = try DeltaReader(reading: try place.store.openForReading())
        let header = reader.header
        let trailer = try reader.requiredTrailer()
        let target = try ImageWriter(replica)
        try run.journaled(place.store).checkResult(of: header, trailer, on: target)
        target.abandon()
    }
}
