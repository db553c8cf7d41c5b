import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("Both sessions of a run, without input and output")
struct SessionTests {
    /// Sizes that end in a short block, a short window, or evenly; how many windows hold data.
    private static let shapes: [(virtualSize: UInt64, blockSize: Int, dataWindowCount: Int)] = [
        (0, 65536, 0), (1, 4096, 1), (4096, 4096, 1), (65537, 65536, 1), (64 << 20, 1 << 20, 1),
        (5 << 30 | 512, 16 << 20, 60), (19 << 30, 16 << 20, 200), (3 << 30, 4 << 20, 30),
        (4 << 30 | 70_000, 65536, 10), (6 << 30, 1 << 20, 50), (4 << 30 | 4097, 4096, 2),
        (200 << 20, 65536, 4),
    ]

    @Test("What differs is sent, in order, and nothing else but zeros", arguments: shapes.indices)
    func findsDifferences(_ shape: Int) throws {
        let (size, blockSize, count) = Self.shapes[shape]
        var atOnce = 0
        for (index, pace) in SessionNetwork.Pace.allCases.enumerated() {
            for round in 0..<(blockSize < 65536 ? 1 : 3) as Range<Int> {
                let seed = UInt64(7000 + shape * 100 + index * 10 + round)
                var generator = SeededGenerator(seed: seed)
                let (primary, replica) = try ModelDisk.pair(
                    virtualSize: size, blockSize: blockSize, dataWindowCount: count,
                    using: &generator)
                let found = try SessionNetwork(primary, replica, seed: seed, pace: pace).run()
                let expected = primary.difference(from: replica)
                let becomeZero = expected.filter { primary.number(of: $0) == 0 }
                #expect(found.sentData == expected.subtracting(becomeZero), "seed \(seed)")
                #expect(found.sentZeros.isSuperset(of: becomeZero), "seed \(seed)")
                #expect(
                    found.sentZeros.allSatisfy { primary.number(of: $0) == 0 }, "seed \(seed)")
                #expect(found.differing == expected.count, "seed \(seed)")
                #expect(try found.base == replica.root(), "seed \(seed)")
                #expect(try found.result == primary.root(), "seed \(seed)")
                atOnce += found.windowsSentAtOnce
            }
        }
        if count >= 10 { #expect(atOnce > 0) }
    }

    @Test("A dry run counts exactly, and sends nothing", arguments: shapes.indices)
    func countsExactly(_ shape: Int) throws {
        let (size, blockSize, count) = Self.shapes[shape]
        let seed = UInt64(9000 + shape)
        var generator = SeededGenerator(seed: seed)
        let (primary, replica) = try ModelDisk.pair(
            virtualSize: size, blockSize: blockSize, dataWindowCount: count, using: &generator)
        let found = try SessionNetwork(primary, replica, seed: seed, isDryRun: true).run()
        #expect(found.countedBlocks == primary.difference(from: replica).count)
        #expect(found.sentData.isEmpty && found.sentZeros.isEmpty)
        #expect(try found.result == replica.root())
    }

    private func full(_ virtualSize: UInt64, _ blockSize: Int) throws -> ModelDisk {
        var disk = try ModelDisk(virtualSize: virtualSize, blockSize: blockSize)
        for window in 0..<disk.geometry.windowCount { disk.fill(window, with: 1) }
        return disk
    }

    @Test("Equal disks cost two kilobytes, and 64 bytes for each further gibibyte")
    func equalDisksAreCheap() throws {
        let small = try full(4 << 30, 65536)
        let first = try SessionNetwork(small, small, seed: 1).run()
        #expect(first.byteCount < 2048 && first.sentData.isEmpty)
        let large = try full(1 << 40, 16 << 20)
        let second = try SessionNetwork(large, large, seed: 1).run()
        #expect(second.byteCount < 2048 + 64 * 1020)
        let empty = try ModelDisk(virtualSize: 64 << 40, blockSize: 16 << 20)
        let third = try SessionNetwork(empty, empty, seed: 1).run()
        #expect(third.byteCount < 65536)
    }

    @Test("One block that differs costs some kilobytes, wherever it is")
    func oneBlockIsCheap() throws {
        let replica = try full(2 << 30, 65536)
        let equal = try SessionNetwork(replica, replica, seed: 1).run()
        for block in [0, 1, 20_000, replica.geometry.blockCount - 1] as [UInt64] {
            var primary = replica
            primary.set(block, to: 5)
            let found = try SessionNetwork(primary, replica, seed: block).run()
            #expect(found.sentData == [block] && found.sentZeros.isEmpty)
            #expect(found.byteCount < equal.byteCount + 4096)
        }
    }

    @Test("Neither side waits for the other for ever", arguments: SessionNetwork.Pace.allCases)
    func doesNotStandStill(_ pace: SessionNetwork.Pace) throws {
        // So many windows of either kind in turn that limits of ranges are reached before those of
        // blocks.
        var replica = try ModelDisk(virtualSize: 640 << 30, blockSize: 16 << 20)
        for window in 0..<replica.geometry.windowCount where window % 2 == 0 {
            replica.fill(window, with: 1)
        }
        let found = try SessionNetwork(replica, replica, seed: 3, pace: pace).run()
        #expect(found.sentData.isEmpty && found.sentZeros.isEmpty)
        let limit = UInt64(RemoteGeometry.maximumRangesAhead)
        if pace == .fastReceiver { #expect(found.mostWindowsAhead <= limit + 2) }

        // Limits of blocks.
        let dense = try full(1152 << 20, 4096)
        let second = try SessionNetwork(dense, dense, seed: 4, pace: pace).run()
        #expect(second.sentData.isEmpty)
        #expect(second.mostWindowsAhead <= UInt64(RemoteGeometry.maximumBlocksAhead) / 16384 + 1)
    }
}
