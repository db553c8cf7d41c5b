import Storage
import TestSupport

@testable import Resync

/// A small pair in which a run does everything that it can do to a replica.
struct FaultScenario: Sendable {
    let pair: DiskPair
    let primary: MemoryFile
    /// The replica's file before the run.
    let replica: SparseBytes

    /// Bytes in a block of the engine.
    let blockSize: Int
    /// Payload blocks that are changed in place; all others change as a whole, or not at all.
    let changedInPlace: Set<UInt64>

    var old: DiskContent { pair.replica }
    var new: DiskContent { pair.primary }

    /// Payload blocks of 1 MiB of the replica: 0 stays, 1 and 4 are changed in place, 3 and 7 become
    /// ZERO blocks, 2, 6 and the last, a partial one, are new.
    static func inEachWay(seed: UInt64) -> FaultScenario {
        var generator = SeededGenerator(seed: seed)
        let size: UInt64 = (8 << 20) + 4096 + 512
        var pair = DiskPair(
            primary: DiskShape(virtualSize: size, blockSize: 2 << 20),
            replica: DiskShape(virtualSize: size))
        func place(_ block: UInt64, _ offset: UInt64, _ count: UInt64) -> Range<UInt64> {
            (block << 20) + offset..<(block << 20) + offset + count
        }
        // Equal content, which must stay what it is.
        pair.primary.fill(place(0, 4096, 8192), using: &generator)
        pair.primary.fill(place(1, 0, 4096), using: &generator)
        pair.primary.fill(place(4, 512 << 10, 2048), using: &generator)
        pair.replica = pair.primary
        // Stale, in one block and over three.
        pair.replica.fill(place(1, 200_704, 1024), using: &generator)
        pair.primary.fill(place(1, 8 << 16, (3 << 16) - 512), using: &generator)
        pair.replica.fill(place(1, 9 << 16, 4096), using: &generator)
        // New.
        pair.primary.fill(place(2, 512, 2048), using: &generator)
        pair.primary.fill(place(2, 1 << 19, 66 << 10), using: &generator)
        pair.primary.fill(place(6, (1 << 20) - 4096, 4096), using: &generator)
        pair.primary.fill(size - 512..<size, using: &generator)
        // Zero from now on: two blocks as a whole, a part of a third.
        pair.replica.fill(place(3, 0, 4096), using: &generator)
        pair.replica.fill(place(3, 3 << 18, 4096), using: &generator)
        pair.replica.fill(place(7, 65536, 512), using: &generator)
        pair.replica.fill(place(4, 0, 128 << 10), using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        return FaultScenario(
            pair: pair, primary: primary, replica: replica.content, blockSize: 65536,
            changedInPlace: [1, 4])
    }

    /// Payload blocks of 256 MiB, so that a run commits before its end: 0 and 1 become ZERO blocks,
    /// 2 is changed in place, 3 to 6 are new, and 7 and 8 take the place of 0 and 1.
    static func inBatches(seed: UInt64) -> FaultScenario {
        var generator = SeededGenerator(seed: seed)
        let blockSize: UInt64 = 256 << 20
        let shape = DiskShape(virtualSize: 9 * blockSize, blockSize: blockSize)
        var pair = DiskPair(primary: shape, replica: shape)
        func page(_ block: UInt64, _ offset: UInt64) -> Range<UInt64> {
            block * blockSize + offset..<block * blockSize + offset + 4096
        }
        for block in [0, 1] as [UInt64] {
            pair.replica.fill(page(block, 65536), using: &generator)
        }
        pair.replica.fill(page(2, 0), using: &generator)
        pair.primary.fill(page(2, 0), using: &generator)
        for block in 3...8 as ClosedRange<UInt64> {
            pair.primary.fill(page(block, 65536), using: &generator)
            pair.primary.fill(page(block, blockSize - 4096), using: &generator)
        }
        let (primary, replica) = pair.images(using: &generator)
        return FaultScenario(
            pair: pair, primary: primary, replica: replica.content, blockSize: 256 << 10,
            changedInPlace: [2])
    }

    func run() -> EngineRun { EngineRun(blockSize: blockSize) }

    /// What is wrong with a replica that a run left unfinished; empty where nothing is.
    ///
    /// `mixedBlocks` tells how many blocks that are changed in place may be old and new in part.
    func faults(of file: MemoryFile, mixedBlocks limit: Int) throws -> [String] {
        let left = try Leftover(of: file, old: old, new: new, blockSize: blockSize)
        var faults: [String] = []
        if !left.foreignSectors.isEmpty {
            faults.append("neither old nor new: \(left.foreignSectors)")
        }
        let torn = left.mixed(in: pair.replicaShape.blockSize).subtracting(changedInPlace)
        if !torn.isEmpty { faults.append("payload blocks in part: \(torn)") }
        if left.mixedBlocks.count > limit { faults.append("blocks in part: \(left.mixedBlocks)") }
        return faults
    }

    /// Runs again without faults, and says what is wrong afterwards.
    func faultsAfterNextRun(on file: MemoryFile) throws -> [String] {
        let roots = try run()(primary, to: file)
        var faults: [String] = []
        if roots?.primary != roots?.replica { faults.append("the roots differ") }
        let wrong = naiveContent(of: file).pagesThatDiffer(from: new)
        if !wrong.isEmpty { faults.append("wrong content at \(wrong)") }
        return faults
    }
}
