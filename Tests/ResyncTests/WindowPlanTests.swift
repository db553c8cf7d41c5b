import BlockIO
import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("Windows and their plans")
struct WindowPlanTests {
    private static let mebibyte = 1 << 20

    private func plan(
        _ range: Range<UInt64>, blockSize: Int, primary: [Extent] = [], replica: [Extent] = []
    ) -> WindowPlan {
        WindowPlan(range: range, blockSize: blockSize, primary: primary, replica: .disk(replica))
    }

    private func data(_ range: Range<UInt64>) -> Extent { Extent(range: range, state: .data) }

    private func zero(_ range: Range<UInt64>) -> Extent { Extent(range: range, state: .zero) }

    @Test("What is zero by the word of both sides is not read")
    func skipsZeros() {
        let range: Range<UInt64> = 256 << 20..<512 << 20
        let nothing = plan(range, blockSize: 65536, primary: [zero(range)], replica: [zero(range)])
        #expect(nothing.items.isEmpty && nothing.blockCount == 4096)
        #expect(plan(range, blockSize: 65536).items.isEmpty)
    }

    @Test("A side that is zero is not read, and what differs in that is not read at once")
    func readsOneSide() {
        let start: UInt64 = 256 << 20
        let block: UInt64 = 65536
        let end = start + 8 * block
        let plan = plan(
            start..<end, blockSize: 65536,
            primary: [data(start..<start + 3 * block), zero(start + 3 * block..<end)],
            replica: [
                zero(start..<start + 2 * block), data(start + 2 * block..<start + 5 * block),
                zero(start + 5 * block..<end),
            ])
        #expect(
            plan.items == [
                WorkItem(
                    index: 0, first: 0, count: 2, readsPrimary: true, readsReplica: false),
                WorkItem(
                    index: 1, first: 2, count: 1, readsPrimary: true, readsReplica: true),
                WorkItem(
                    index: 2, first: 3, count: 2, readsPrimary: false, readsReplica: true),
            ])
    }

    @Test("Data that fills no block makes every block that it touches be read")
    func touchedBlocks() {
        let plan = plan(
            0..<16384, blockSize: 4096, primary: [zero(0..<4095), data(4095..<8193)],
            replica: [data(12287..<12288)])
        #expect(
            plan.items == [
                WorkItem(
                    index: 0, first: 0, count: 2, readsPrimary: true, readsReplica: false),
                WorkItem(
                    index: 1, first: 2, count: 1, readsPrimary: true, readsReplica: true),
            ])
    }

    @Test(
        "An item has one mebibyte, or one block where that is larger",
        arguments: [4096, 65536, 1 << 20, 2 << 20, 16 << 20])
    func itemSizes(_ blockSize: Int) {
        let range: Range<UInt64> = 0..<WindowPlan.byteCount
        let plan = plan(range, blockSize: blockSize, primary: [data(range)])
        let largest = max(1, Self.mebibyte / blockSize)
        #expect(plan.items.allSatisfy { $0.count == largest })
        #expect(plan.items.count == Int(WindowPlan.byteCount) / max(blockSize, Self.mebibyte))
    }

    @Test(
        "However many workers share a window, it has 16 items for each, and whole payload blocks",
        arguments: [1, 2, 16, 17, 64, 256])
    func windowsOfManyWorkers(_ workerCount: Int) {
        let byteCount = WindowPlan.byteCount(forWorkers: workerCount)
        #expect(byteCount.isMultiple(of: WindowPlan.byteCount))
        #expect(byteCount >= UInt64(16 * workerCount * Self.mebibyte))
        // No more than that: a window is memory.
        #expect(byteCount < UInt64(16 * workerCount * Self.mebibyte) + WindowPlan.byteCount)
    }

    @Test("The last block of a disk may be short, and lies within it")
    func lastBlock() {
        let end = WindowPlan.byteCount + 2 * 65536 + 512
        let plan = plan(
            WindowPlan.byteCount..<end, blockSize: 65536, primary: [data(end - 512..<end)])
        #expect(plan.blockCount == 3)
        #expect(
            plan.items == [WorkItem(first: 2, count: 1, readsPrimary: true, readsReplica: false)])
        #expect(plan.range(ofBlocks: 2..<3) == end - 512..<end)
        #expect(plan.range(ofBlocks: 0..<3) == WindowPlan.byteCount..<end)
        #expect(plan.range(ofBlocks: 1..<2) == end - 512 - 65536..<end - 512)
    }

    /// Extents in order that cover a range, as a disk gives them.
    private func extents(
        in range: Range<UInt64>, using generator: inout SeededGenerator
    ) -> [Extent] {
        var extents: [Extent] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let longest: UInt64 =
                [512, 4096, 100_000, 3 << 20].randomElement(using: &generator) ?? 1
            let count = UInt64.random(in: 1...longest, using: &generator)
            let end = min(position + count, range.upperBound)
            let state: ExtentState = Bool.random(using: &generator) ? .zero : .data
            extents.append(Extent(range: position..<end, state: state))
            position = end
        }
        return extents
    }

    @Test(
        "Items hold each block that either side has data of, once, and are as long as they may be")
    func agreesWithDefinition() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let blockSize = 4096 << Int.random(in: 0...12, using: &generator)
            let start = WindowPlan.byteCount * UInt64.random(in: 0...3, using: &generator)
            let range = start..<start + UInt64.random(in: 1...(24 << 20), using: &generator)
            let primary = extents(in: range, using: &generator)
            let replica = extents(in: range, using: &generator)
            let plan = plan(range, blockSize: blockSize, primary: primary, replica: replica)

            func hasData(_ extents: [Extent], _ block: Int) -> Bool {
                let bytes = plan.range(ofBlocks: block..<block + 1)
                return extents.contains { $0.state == .data && $0.range.overlaps(bytes) }
            }
            var expected: [WorkItem] = []
            for block in 0..<plan.blockCount {
                let single = WorkItem(
                    first: block, count: 1, readsPrimary: hasData(primary, block),
                    readsReplica: hasData(replica, block))
                if single.readsPrimary || single.readsReplica { expected.append(single) }
            }
            let blocks = plan.items.flatMap { item in
                (item.first..<item.first + item.count).map { block in
                    WorkItem(
                        first: block, count: 1, readsPrimary: item.readsPrimary,
                        readsReplica: item.readsReplica)
                }
            }
            #expect(plan.items.map(\.index) == Array(plan.items.indices), "seed \(seed)")
            #expect(blocks == expected, "seed \(seed)")
            let largest = max(1, Self.mebibyte / blockSize)
            #expect(plan.items.allSatisfy { $0.count <= largest }, "seed \(seed)")
            for (item, next) in zip(plan.items, plan.items.dropFirst()) {
                let isAlike =
                    item.readsPrimary == next.readsPrimary
                    && item.readsReplica == next.readsReplica
                let isNext = item.first + item.count == next.first
                #expect(!(item.count < largest && isNext && isAlike), "seed \(seed)")
            }
        }
    }

    @Test("Read back is what differs, each block once, the replica alone")
    func readsBack() {
        for seed in 0..<100 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let blockSize = 4096 << Int.random(in: 0...12, using: &generator)
            let count = Int.random(in: 1...600, using: &generator)
            let plan = plan(0..<UInt64(count * blockSize), blockSize: blockSize)
            let rarity = Int.random(in: 1...5, using: &generator)
            let differs = (0..<count).map { _ in
                Int.random(in: 0..<rarity, using: &generator) == 0
            }
            let items = plan.items(readingBack: differs)
            let blocks = items.flatMap { $0.first..<$0.first + $0.count }
            #expect(blocks == differs.indices.filter { differs[$0] }, "seed \(seed)")
            #expect(items.allSatisfy { $0.readsReplica && !$0.readsPrimary }, "seed \(seed)")
            let largest = max(1, Self.mebibyte / blockSize)
            #expect(items.allSatisfy { $0.count <= largest }, "seed \(seed)")
        }
    }
}

@Suite("Results of a window")
struct WindowResultTests {
    private func result(
        blocks count: Int, blockSize: Int = 4096, virtualSize: UInt64? = nil
    ) throws -> WindowResult {
        let size = virtualSize ?? UInt64(count * blockSize)
        let plan = WindowPlan(
            range: 0..<size, blockSize: blockSize, primary: [], replica: .disk([]))
        return WindowResult(
            plan, zeros: try ZeroDigests(virtualSize: size, blockSize: blockSize),
            virtualSize: size)
    }

    @Test("A window that nobody read has the digests of zeros, a short last block its own")
    func digestsOfZeros() throws {
        let size: UInt64 = 3 * 4096 + 512
        let zeros = try ZeroDigests(virtualSize: size, blockSize: 4096)
        let result = try result(blocks: 4, virtualSize: size)
        #expect(result.primaryDigests == [zeros.block, zeros.block, zeros.block, zeros.lastBlock])
        #expect(result.replicaDigests == result.primaryDigests)
        #expect(zeros.block != zeros.lastBlock)
        #expect(!result.differs.contains(true) && !result.primaryIsZero.contains(false))
        #expect(result.runsToZero.isEmpty)
    }

    @Test("Before the end of a disk the last block of a window is a whole one")
    func digestsOfZerosBeforeTheEnd() throws {
        let size = 8192 + 512 as UInt64
        let zeros = try ZeroDigests(virtualSize: size, blockSize: 4096)
        let plan = WindowPlan(range: 0..<8192, blockSize: 4096, primary: [], replica: .disk([]))
        let result = WindowResult(plan, zeros: zeros, virtualSize: size)
        #expect(result.primaryDigests == [zeros.block, zeros.block])
    }

    @Test("Runs to zero are the longest of zeros on the primary, where at least one block differs")
    func runsToZero() throws {
        for seed in 0..<200 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var result = try result(blocks: Int.random(in: 1...80, using: &generator))
            let rarity = Int.random(in: 2...9, using: &generator)
            for index in result.differs.indices {
                result.differs[index] = Int.random(in: 0..<rarity, using: &generator) == 0
                result.primaryIsZero[index] = Int.random(in: 0..<rarity, using: &generator) != 0
            }
            let runs = result.runsToZero
            var covered = Set<Int>()
            for run in runs {
                #expect(!run.isEmpty && run.allSatisfy { result.primaryIsZero[$0] }, "seed \(seed)")
                #expect(run.contains { result.differs[$0] }, "seed \(seed)")
                #expect(
                    run.lowerBound == 0 || !result.primaryIsZero[run.lowerBound - 1],
                    "seed \(seed)")
                #expect(
                    run.upperBound == result.differs.count
                        || !result.primaryIsZero[run.upperBound], "seed \(seed)")
                #expect(covered.isDisjoint(with: run), "seed \(seed)")
                covered.formUnion(run)
            }
            let wanted = result.differs.indices.filter {
                result.differs[$0] && result.primaryIsZero[$0]
            }
            #expect(covered.isSuperset(of: wanted), "seed \(seed)")
        }
    }
}
