import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("One run over a primary and a replica")
struct EngineTests {
    /// Checks content, roots and counts of a run that is over.
    private func check(
        _ run: EngineRun, _ roots: ComparisonEngine.Roots?, of pair: DiskPair,
        in replica: MemoryFile, _ comment: Comment
    ) throws {
        let after = try content(of: replica)
        #expect(after.pagesThatDiffer(from: pair.primary) == [], comment)
        #expect(naiveContent(of: replica).pagesThatDiffer(from: pair.primary) == [], comment)

        let isHash = run.options.comparison == .hash
        if isHash {
            let root = try naiveRoot(of: pair.primary, blockSize: run.options.blockSize)
            #expect(roots == ComparisonEngine.Roots(primary: root, replica: root), comment)
        } else {
            #expect(roots == nil, comment)
        }

        let expected = ExpectedDifference(
            pair.primary, pair.replica, blockSize: run.options.blockSize)
        let counts = run.counts
        #expect(counts.blocksTotal == expected.blockCount, comment)
        #expect(counts.blocksSkipped + counts.blocksCompared == counts.blocksTotal, comment)
        #expect(
            counts.blocksCompared >= expected.onPrimary.union(expected.onReplica).count, comment)
        #expect(counts.blocksDiffering == expected.differing.count, comment)
        #expect(counts.bytesWritten == expected.byteCount(expected.differing), comment)
        #expect(counts.bytesHashed == (isHash ? expected.bytesHashed : 0), comment)
        #expect(counts.bytesDone == pair.primary.byteCount, comment)
        let (onPrimary, onReplica) = (run.primaryProbe.counts, run.replicaProbe.counts)
        #expect(counts.bytesRead == onPrimary.bytesRead + onReplica.bytesRead, comment)
        #expect(
            onReplica.bytesWritten
                == expected.byteCount(expected.differing.intersection(expected.onPrimary)),
            comment)
        #expect(onPrimary.writes == 0 && onPrimary.zeroed.isEmpty, comment)
    }

    @Test(
        "After a run the replica reads as the primary, with exact counts; a second run writes nothing",
        arguments: Comparison.allCases, [1, 2, 7])
    func makesEqual(_ comparison: Comparison, _ workerCount: Int) throws {
        for number in 0..<8 as Range<UInt64> {
            let seed = number * 100 + UInt64(workerCount * 10 + comparison.rawValue.count)
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            #expect(naiveContent(of: primary).readsAs(pair.primary), "seed \(seed)")
            #expect(naiveContent(of: replica).readsAs(pair.replica), "seed \(seed)")
            let blockSize = 4096 << Int.random(in: 0...12, using: &generator)
            let before = primary.content

            let first = EngineRun(
                blockSize: blockSize, workerCount: workerCount, comparison: comparison)
            let roots = try first(primary, to: replica)
            try check(first, roots, of: pair, in: replica, "seed \(seed)")

            var equal = pair
            equal.replica = pair.primary
            let made = replica.content
            replica.resetCounts()
            let second = EngineRun(
                blockSize: blockSize, workerCount: workerCount, comparison: comparison)
            let sameRoots = try second(primary, to: replica)
            #expect(sameRoots == roots, "seed \(seed)")
            #expect(replica.counts.changes == 0, "seed \(seed)")
            #expect(replica.counts.flushes == 0, "seed \(seed)")
            #expect(
                replica.content.readsAs(made) && primary.content.readsAs(before), "seed \(seed)")
            try check(second, sameRoots, of: equal, in: replica, "seed \(seed), again")
        }
    }

    @Test("A comparison finds the same counts and roots, and changes nothing")
    func onlyCompares() throws {
        for seed in 100..<110 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let (primary, replica) = pair.images(using: &generator)
            let blockSize = 4096 << Int.random(in: 0...12, using: &generator)
            let before = replica.content
            let run = EngineRun(blockSize: blockSize, workerCount: 2, pass: .compare)
            let roots = try run(primary, to: replica)
            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: blockSize)
            #expect(run.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(run.counts.bytesWritten == 0 && replica.counts.changes == 0, "seed \(seed)")
            #expect(replica.content.readsAs(before), "seed \(seed)")
            let primaryRoot = try naiveRoot(of: pair.primary, blockSize: blockSize)
            let replicaRoot = try naiveRoot(of: pair.replica, blockSize: blockSize)
            #expect(
                roots == ComparisonEngine.Roots(primary: primaryRoot, replica: replicaRoot),
                "seed \(seed)")
        }
    }

    @Test(
        "The digests come in order and complete, with a run of zeros for windows that hold nothing")
    func givesDigests() throws {
        var generator = SeededGenerator(seed: 7)
        let size = 3 * WindowPlan.byteCount + 12345 * 512
        var pair = DiskPair(
            primary: DiskShape(virtualSize: size, blockSize: 32 << 20),
            replica: DiskShape(virtualSize: size))
        pair.primary.fill(5 << 20..<6 << 20, using: &generator)
        pair.primary.fill(size - 1024..<size, using: &generator)
        let (primary, _) = pair.images(using: &generator)
        var options = ResyncOptions(workerCount: 2)
        options.blockSize = 1 << 20
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .digest, monitor: ResyncMonitor())
        var tree = try DigestTreeBuilder(virtualSize: size, blockSize: options.blockSize)
        var kinds: [Bool] = []
        let roots = try engine.run(
            primary: try ImageReader(primary), replica: ReadOnlyTarget(ZeroDisk(virtualSize: size)),
            consume: { (run) throws(ResyncError) in
                switch run {
                case .zeros(let count):
                    tree.append(zeroBlocks: count)
                    kinds.append(true)
                case .digests(let digests):
                    tree.append(digests)
                    kinds.append(false)
                }
            })
        let root = tree.root()
        #expect(kinds == [false, true, false])
        #expect(roots?.primary == root)
        #expect(try root == naiveRoot(of: pair.primary, blockSize: options.blockSize))
    }

    /// Shapes of more than one chunk of the block allocation table.
    static let largeShapes: [(primary: DiskShape, replica: DiskShape, blockSize: Int)] = {
        let sizes: [(UInt64, UInt64, UInt64, Int)] = [
            // Chunks of 4 GiB: 4096 payload blocks of 1 MiB.
            (9 << 30 | 512 * 3, 1 << 20, 512, 4 << 20),
            // Chunks of 32 GiB.
            (33 << 30 | 4096 * 3, 1 << 20, 4096, 4 << 20),
            // A chunk of 4 GiB has 16 blocks of 256 MiB.
            (2 << 40 | 4096, 256 << 20, 512, 16 << 20),
        ]
        return sizes.flatMap { size, blockSize, sectorSize, engineBlockSize in
            let shape = DiskShape(virtualSize: size, blockSize: blockSize, sectorSize: sectorSize)
            let other = DiskShape(virtualSize: size, blockSize: 32 << 20)
            return [(shape, other, engineBlockSize), (other, shape, engineBlockSize)]
        }
    }()

    @Test(
        "Large disks: data at the edges of chunks, of 4 GiB and of the disk; sparse all the same",
        arguments: largeShapes.indices)
    func largeDisk(_ index: Int) throws {
        let (primaryShape, replicaShape, blockSize) = Self.largeShapes[index]
        let size = primaryShape.virtualSize
        var generator = SeededGenerator(seed: UInt64(index))
        var pair = DiskPair(primary: primaryShape, replica: replicaShape)
        for edge in [4 << 30, 8 << 30, 32 << 30, size] as [UInt64] where edge <= size {
            let end = min(edge + 1024, size)
            pair.primary.fill(edge - 1024..<end, using: &generator)
        }
        pair.primary.fill(70 << 20..<70 << 20 | 8192, using: &generator)
        // Left over, stale and equal content of the replica.
        pair.replica.fill(6 << 30..<6 << 30 | 4096, using: &generator)
        pair.replica.fill((4 << 30) - 512..<4 << 30, using: &generator)
        let shared = pair.primary.bytes(in: 70 << 20..<70 << 20 | 8192)
        pair.replica.put(shared, at: 70 << 20)
        let (primary, replica) = pair.images(using: &generator)
        let run = EngineRun(blockSize: blockSize, workerCount: 2)
        let roots = try run(primary, to: replica)
        try check(run, roots, of: pair, in: replica, "shape \(index)")
        // What was read: blocks that hold something, on both sides, and of those written once more.
        #expect(run.counts.bytesRead <= 24 * UInt64(blockSize), "shape \(index)")
    }

    @Test("A new image of the package becomes a copy, dynamic or fixed", arguments: [false, true])
    func fillsNewImage(_ isFixed: Bool) throws {
        var generator = SeededGenerator(seed: 3)
        let size: UInt64 = (9 << 20) + 512
        var pair = DiskPair(
            primary: DiskShape(virtualSize: size),
            replica: DiskShape(virtualSize: size, blockSize: 2 << 20, isFixed: isFixed))
        pair.primary.fill(1 << 20..<3 << 20 | 512, using: &generator)
        pair.primary.fill(size - 512..<size, using: &generator)
        let (primary, _) = pair.images(using: &generator)
        let replica = try pair.replicaShape.createdImage()
        let run = EngineRun(blockSize: 65536, workerCount: 2)
        let roots = try run(primary, to: replica)
        try check(run, roots, of: pair, in: replica, "fixed: \(isFixed)")
        let states = try ImageReader(replica).info.blockStates
        #expect(states.fullyPresent == (isFixed ? 5 : 3))
        #expect(states.notPresent == (isFixed ? 0 : 2))
    }
}
