import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A journal that an earlier run left")
struct JournalResumeTests {
    /// A pair, the whole stream of what it differs in, and where its records end.
    private struct Example {
        let seed: UInt64
        var pair: DiskPair
        var primary: MemoryFile
        let replica: MemoryFile
        let blockSize: Int
        let stream: [UInt8]
        let ends: [Int]

        init(seed: UInt64, blockSize: Int) throws {
            self.seed = seed
            self.blockSize = blockSize
            var generator = SeededGenerator(seed: seed)
            pair = DiskPair(using: &generator)
            (primary, replica) = pair.images(using: &generator)
            let place = JournalPlace<MemoryFile>()
            let target = try ImageWriter(replica)
            _ = try JournalRun(blockSize: blockSize).record(primary, place.store, on: target)
            target.abandon()
            stream = place.bytes
            ends = place.content == nil ? [] : try Self.ends(of: place.file)
        }

        private static func ends(of file: MemoryFile) throws -> [Int] {
            var reader = try DeltaReader(reading: file)
            var ends = [Int(reader.position)]
            while try reader.next() != nil { ends.append(Int(reader.position)) }
            return ends
        }

        /// Records on what an earlier run left; gives the blocks that were read, too.
        func record(
            _ run: JournalRun, _ place: JournalPlace<MemoryFile>
        ) throws -> (run: JournalRun, read: [Range<UInt64>]) {
            let read = Lock<[Range<UInt64>]>([])
            let probe = Probe(beforeRead: { (_, range) throws(VHDXError) in
                read.withLock { $0.append(range) }
            })
            var run = run
            run.primaryProbe = probe
            run.replicaProbe = probe
            let target = ProbeDisk(try ImageWriter(replica), probe)
            let result: Result<Void, ResyncError>
            do throws(ResyncError) {
                _ = try run.record(primary, place.store, on: target)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            target.abandon()
            try result.get()
            return (run, read.withLock { $0 })
        }

        /// What is wrong with a stream that is committed.
        func faults(of place: JournalPlace<MemoryFile>) throws -> String? {
            let entries = try place.entries()
            guard try DeltaReader(reading: place.file).trailer != nil else { return "no trailer" }
            let made = pair.replica.applying(entries, blockSize: blockSize)
            return made.readsAs(pair.primary) ? nil : "another content"
        }
    }

    private static func example(seed first: UInt64) throws -> Example {
        for seed in first... {
            let example = try Example(seed: seed, blockSize: 16384)
            if example.ends.count > 4, example.stream.count < 3 << 20 { return example }
        }
        preconditionFailure("no such pair")
    }

    @Test("Cut anywhere, it is gone on with: neither side of what it holds is read again")
    func eachCut() throws {
        var cutCount = 0
        for first in [2000, 2100, 2200] as [UInt64] {
            let example = try Self.example(seed: first)
            let whole = Array(example.stream)
            var cuts: Set<Int> = [whole.count - 1, whole.count - 143, whole.count - 145]
            for end in example.ends { cuts.formUnion([end - 1, end, end + 1, end + 31, end + 33]) }
            let keep = Set(cuts.sorted().shuffledPrefix(40, seed: first))
            for cut in keep where cut >= 200 && cut < whole.count {
                cutCount += 1
                let place = JournalPlace(Array(whole[..<cut]))
                var held = try DeltaReader(reading: MemoryFile(delta: place.bytes))
                let entries = try held.entries().joined(blockSize: example.blockSize)
                let blocks = entries.blocks(blockSize: example.blockSize)
                let comment: Comment = "seed \(example.seed), cut at \(cut)"

                let (run, read) = try example.record(
                    JournalRun(blockSize: example.blockSize), place)
                #expect(try example.faults(of: place) == nil, comment)
                for range in read {
                    let size = UInt64(example.blockSize)
                    let end = range.upperBound.dividedRoundingUp(by: size)
                    let these = range.lowerBound / size..<end
                    #expect(!blocks.contains { $0.overlaps(these) }, comment)
                }
                #expect((run.counts.blocksHeld > 0) == !blocks.isEmpty, comment)
                let expected = ExpectedDifference(
                    example.pair.primary, example.pair.replica, blockSize: example.blockSize)
                // Of zeros it holds, those count that the replica has space for.
                #expect(run.counts.blocksDiffering >= expected.differing.count, comment)
                let counts = run.counts
                #expect(
                    counts.blocksSkipped + counts.blocksCompared + counts.blocksHeld
                        == counts.blocksTotal, comment)
            }
        }
        print("journals cut and gone on with: \(cutCount)")
        #expect(cutCount > 60)
    }

    @Test("With holes, as a power cut leaves them, it is used up to the first")
    func holes() throws {
        let example = try Self.example(seed: 2300)
        var generator = SeededGenerator(seed: 1)
        for turn in 0..<30 {
            var bytes = Array(example.stream.dropLast(144))
            for _ in 0...turn % 3 {
                let sector = Int.random(in: 1...bytes.count / 512, using: &generator)
                let hole = sector * 512..<min(sector * 512 + 512, bytes.count)
                guard !hole.isEmpty else { continue }
                bytes.replaceSubrange(hole, with: repeatElement(0, count: hole.count))
            }
            if turn % 5 == 0 { bytes.replaceSubrange(0..<512, with: repeatElement(0, count: 512)) }
            let place = JournalPlace(bytes)
            let (run, _) = try example.record(JournalRun(blockSize: example.blockSize), place)
            #expect(try example.faults(of: place) == nil, "turn \(turn)")
            #expect(turn % 5 > 0 || run.counts.blocksHeld == 0, "turn \(turn)")
        }
    }

    @Test("Of another state of either disk, or in other blocks, it is begun anew")
    func otherStates() throws {
        let example = try Self.example(seed: 2400)
        let unfinished = Array(example.stream.dropLast(144))
        let size = example.blockSize
        var runs = [JournalRun](repeating: JournalRun(blockSize: size), count: 5)
        runs[0].sourceState = JournalRun.fileState(8)
        runs[1].replicaState = JournalRun.fileState(8)
        runs[2].options.blockSize = size * 2
        runs[3].options.comparison = .bytes
        for (index, run) in runs.enumerated() {
            let place = JournalPlace(unfinished)
            let (run, _) = try example.record(
                JournalRun(copying: run), place)
            let isSame = index == 4
            #expect((run.counts.blocksHeld > 0) == isSame, "\(index)")
            var made = example.pair.replica
            made = try made.applying(place.entries(), blockSize: run.options.blockSize)
            #expect(made.readsAs(example.pair.primary), "\(index)")
        }
        // Whose states nothing tells apart is never gone on with.
        var unknown = JournalRun(blockSize: size)
        unknown.sourceState = .zero
        let place = JournalPlace<MemoryFile>()
        _ = try example.record(unknown, place)
        let cut = JournalPlace(Array(place.bytes.dropLast(144)))
        let (run, _) = try example.record(JournalRun(copying: unknown), cut)
        #expect(run.counts.blocksHeld == 0)
    }

    @Test("Of another disk, or no journal at all, it is left alone")
    func foreign() throws {
        let example = try Self.example(seed: 2500)
        var header = try DeltaReader(reading: MemoryFile(delta: example.stream)).header
        header.base.virtualDiskID = .random()
        let other = header.encoded() + example.stream.dropFirst(200).dropLast(144)
        let text = Array("This is a letter, and whoever wrote it wants to keep it.".utf8)
        let image = example.primary.content.bytes(in: 0..<65536)
        for (index, bytes) in [other, text, image, [1]].enumerated() {
            let place = JournalPlace(bytes)
            let error = resyncError {
                _ = try example.record(JournalRun(blockSize: example.blockSize), place)
            }
            guard case .foreignJournal = error else {
                Issue.record("\(index): \(String(describing: error))")
                continue
            }
            #expect(place.bytes == bytes, "\(index)")
            // As that of an earlier run it is none either.
            if index > 0 {
                let target = try ImageWriter(example.replica)
                let second = resyncError {
                    _ = try JournalRun().journaled(place.store).journalOfEarlierRun(
                        for: target, .unknown)
                }
                target.abandon()
                #expect(second == error, "\(index)")
            }
        }
    }

    @Test("What a crash leaves of a header is replaced")
    func remains() throws {
        let example = try Self.example(seed: 2600)
        let header = Array(example.stream[..<200])
        var cases: [[UInt8]] = [0, 1, 15, 16, 17, 100, 199].map { Array(header[..<$0]) }
        cases += [1, 199, 200, 5000].map { [UInt8](repeating: 0, count: $0) }
        cases.append([UInt8](repeating: 0, count: 200) + example.stream[200...])
        for bytes in cases {
            let place = JournalPlace(bytes)
            let (run, _) = try example.record(JournalRun(blockSize: example.blockSize), place)
            #expect(run.counts.blocksHeld == 0, "\(bytes.count) bytes")
            #expect(try example.faults(of: place) == nil, "\(bytes.count) bytes")
        }
    }

    @Test(
        "One that does not hold what the disks differ in is begun anew, once",
        arguments: [false, true])
    func outdated(_ becomesZero: Bool) throws {
        var generator = SeededGenerator(seed: 2700)
        let shape = DiskShape(virtualSize: 8 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        let size: UInt64 = 65536
        for block in [3, 10, 14, 15, 20, 40, 100] as [UInt64] {
            pair.replica.fill(block * size..<(block + 1) * size, using: &generator)
        }
        pair.primary = pair.replica
        for block in [10, 20, 100] as [UInt64] {
            pair.primary.fill(block * size..<(block + 1) * size, using: &generator)
        }
        let (primary, replica) = pair.images(using: &generator)
        let place = JournalPlace<MemoryFile>()
        let target = try ImageWriter(replica)
        _ = try JournalRun().record(primary, place.store, on: target)
        target.abandon()
        // The primary is another, and its file says that it is not.
        if becomesZero {
            pair.primary.clear(15 * size..<16 * size)
        } else {
            pair.primary.fill(15 * size..<16 * size, using: &generator)
        }
        let (changed, _) = pair.images(using: &generator)
        let cut = JournalPlace(Array(place.bytes.dropLast(200)))
        let run = JournalRun()
        let second = try ImageWriter(replica)
        let recorded = try run.record(changed, cut.store, on: second)
        second.abandon()
        let root = try naiveRoot(of: pair.primary, blockSize: 65536)
        #expect(recorded.roots?.primary == root && recorded.roots?.result == root)
        #expect(try pair.replica.applying(cut.entries(), blockSize: 65536).readsAs(pair.primary))
        #expect(run.counts.blocksDiffering == 4 && run.counts.blocksHeld == 0)
        let counts = run.counts
        #expect(counts.blocksSkipped + counts.blocksCompared == counts.blocksTotal)
        #expect(counts.bytesRecorded < cut.bytes.count)
    }
}

extension JournalRun {
    /// The same run once more, with counts of its own.
    init(copying other: JournalRun) {
        self = other
        monitor = ResyncMonitor()
    }
}

extension Array {
    /// Some elements, always the same.
    fileprivate func shuffledPrefix(_ count: Int, seed: UInt64) -> ArraySlice<Element> {
        var generator = SeededGenerator(seed: seed)
        return shuffled(using: &generator).prefix(count)
    }
}
