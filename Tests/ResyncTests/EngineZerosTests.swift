import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("Zeros and absent blocks in a run")
struct EngineZerosTests {
    private static let size: UInt64 = (7 << 20) + 4096

    private func states(of file: MemoryFile) throws -> ImageInfo.BlockStates {
        try ImageReader(file).info.blockStates
    }

    /// Payload blocks are full of data or absent, so that it is known to the block what is read.
    @Test(
        "Blocks that no side has are skipped; a side that has none is not read",
        arguments: Comparison.allCases, [4096, 65536, 1 << 20])
    func readsWhatIsThere(_ comparison: Comparison, _ blockSize: Int) throws {
        var generator = SeededGenerator(seed: 11)
        var pair = DiskPair(
            primary: DiskShape(virtualSize: Self.size), replica: DiskShape(virtualSize: Self.size))
        // Present on both and equal: 1; different: 2; on the primary alone: 4 and 7, the last;
        // on the replica alone: 5. On no side: 0, 3, 6.
        for block in [1, 2, 4, 7] as [UInt64] {
            pair.primary.fill(pair.primaryShape.range(ofBlock: block), using: &generator)
        }
        pair.replica.put(pair.primary.bytes(in: 1 << 20..<3 << 20), at: 1 << 20)
        pair.replica.fill(2 << 20..<(2 << 20) + 4096, using: &generator)
        pair.replica.fill(5 << 20..<6 << 20, using: &generator)
        let (primary, replica) = pair.images(using: &generator)

        let run = EngineRun(blockSize: blockSize, workerCount: 2, comparison: comparison)
        _ = try run(primary, to: replica)
        let perPayloadBlock = UInt64((1 << 20) / blockSize)
        #expect(run.counts.blocksSkipped == 3 * perPayloadBlock)
        #expect(run.counts.blocksCompared == 4 * perPayloadBlock + 1)
        #expect(run.counts.blocksDiffering == 2 * perPayloadBlock + 2)
        let written = (2 << 20) + 4096 + UInt64(blockSize)
        #expect(run.counts.bytesWritten == written)
        let compared: UInt64 = (6 << 20) + 4096
        #expect(run.counts.bytesRead == compared + written * (comparison == .bytes ? 2 : 1))
        #expect(try content(of: replica).readsAs(pair.primary))
    }

    @Test(
        "Zeros that stand on the primary allocate nothing on the replica", arguments: [false, true])
    func allocatesNothing(_ isFixed: Bool) throws {
        var generator = SeededGenerator(seed: 12)
        var pair = DiskPair(
            primary: DiskShape(virtualSize: Self.size, isFixed: isFixed),
            replica: DiskShape(virtualSize: Self.size))
        pair.primaryPresent = [3]
        pair.replicaPresent = []
        let (primary, _) = pair.images(using: &generator)
        // The first payload block in the file. Zeros that are no hole must be read to be known.
        primary.put([UInt8](repeating: 0, count: 1 << 20), at: 4 << 20)
        let replica = try pair.replicaShape.createdImage()
        replica.resetCounts()
        let run = EngineRun()
        _ = try run(primary, to: replica)
        #expect(run.counts.blocksCompared > 0 && run.counts.blocksDiffering == 0)
        #expect(replica.counts.changes == 0 && replica.counts.flushes == 0)
        #expect(try states(of: replica).fullyPresent == 0)
    }

    @Test("A payload block that became zero is a ZERO block, and its space is given back")
    func zeroBlock() throws {
        var generator = SeededGenerator(seed: 13)
        var pair = DiskPair(
            primary: DiskShape(virtualSize: Self.size, blockSize: 8 << 20),
            replica: DiskShape(virtualSize: Self.size))
        pair.replica.fill(2 << 20..<3 << 20, using: &generator)
        pair.replica.fill(7 << 20..<Self.size, using: &generator)
        pair.replica.fill(4 << 20..<(4 << 20) + 512, using: &generator)
        pair.primary.fill(4 << 20..<(4 << 20) + 512, using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        #expect(try states(of: replica).fullyPresent == 3)
        let run = EngineRun()
        _ = try run(primary, to: replica)
        let after = try states(of: replica)
        #expect(after.fullyPresent == 1)
        #expect(after.zero >= 2)
        #expect(run.counts.bytesWritten == (1 << 20) + 4096 + 65536)
        #expect(naiveContent(of: replica).readsAs(pair.primary))
        // What is left of payload content in the file is the page of the one block.
        let pages = replica.content.pagesWithData.filter { $0 >= 4 << 20 }
        #expect(pages.count == 1)
    }

    @Test(
        "A part that became zero is a hole; a fixed image keeps its blocks",
        arguments: [false, true])
    func hole(_ isFixed: Bool) throws {
        var generator = SeededGenerator(seed: 14)
        let shape = DiskShape(virtualSize: Self.size, blockSize: 4 << 20, isFixed: isFixed)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.replica.fill(0..<4 << 20, using: &generator)
        pair.primary = pair.replica
        pair.primary.clear(1 << 20..<2 << 20)
        let (primary, replica) = pair.images(using: &generator)
        let run = EngineRun()
        _ = try run(primary, to: replica)
        #expect(run.counts.bytesWritten == 1 << 20)
        #expect(run.replicaProbe.counts.zeroed == [1 << 20..<2 << 20])
        #expect(naiveContent(of: replica).readsAs(pair.primary))
        #expect(try states(of: replica).fullyPresent == (isFixed ? 2 : 1))
        #expect(replica.content.pagesWithData.filter { $0 >= 4 << 20 }.count == 768)
        // What is a hole now is not read by the next run.
        let second = EngineRun()
        _ = try second(primary, to: replica)
        #expect(second.counts.blocksSkipped == (Self.size - (3 << 20)).dividedRoundingUp(by: 65536))
        #expect(second.counts.bytesRead == 6 << 20)
    }

    @Test("Blocks of the engine larger than payload blocks make ZERO blocks of all that they hold")
    func largeEngineBlocks() throws {
        var generator = SeededGenerator(seed: 15)
        let shape = DiskShape(virtualSize: 40 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        for block in [0, 5, 17, 33] as [UInt64] {
            pair.replica.fill(block << 20..<(block << 20) + 512, using: &generator)
        }
        pair.primary.fill(32 << 20..<(32 << 20) + 512, using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        let run = EngineRun(blockSize: 16 << 20, workerCount: 2)
        _ = try run(primary, to: replica)
        #expect(run.counts.blocksDiffering == 3)
        #expect(run.counts.bytesWritten == 40 << 20)
        #expect(naiveContent(of: replica).readsAs(pair.primary))
        let after = try states(of: replica)
        // The last block of the engine is written as a whole, zeros included.
        #expect(after.zero >= 3 && after.fullyPresent == 8)
    }
}
