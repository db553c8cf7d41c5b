import BlockIO
import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("Content that is stored once")
struct SharedContentTests {
    private func stored(_ range: Range<UInt64>, at place: UInt64, on volume: UInt64 = 1)
        -> StoredRange
    {
        StoredRange(range, at: StoragePlace(.volume(volume), at: place))
    }

    @Test("The same place is the same file system or the same file, and the same byte")
    func places() {
        let range: Range<UInt64> = 0..<8192
        let one = [stored(range, at: 1 << 20)]
        #expect(SharedContent.ranges(one, one) == [range])
        #expect(SharedContent.ranges(one, [stored(range, at: (1 << 20) + 512)]).isEmpty)
        #expect(SharedContent.ranges(one, [stored(range, at: 1 << 20, on: 2)]).isEmpty)
        #expect(
            SharedContent.ranges(one, [stored(4096..<12288, at: (1 << 20) + 4096)])
                == [4096..<8192])
        #expect(SharedContent.ranges(one, []).isEmpty && SharedContent.ranges([], one).isEmpty)
    }

    /// Ranges in order, with gaps, of which some have the place that the byte's number says.
    private func ranges(using generator: inout SeededGenerator) -> [StoredRange] {
        var ranges: [StoredRange] = []
        var position = UInt64.random(in: 0...9, using: &generator)
        while position < 200 {
            let end = position + UInt64.random(in: 1...30, using: &generator)
            let shift: UInt64 = [0, 0, 0, 7].randomElement(using: &generator) ?? 0
            ranges.append(stored(position..<end, at: 1000 + position + shift))
            position = end + ([0, 0, 5].randomElement(using: &generator) ?? 0)
        }
        return ranges
    }

    @Test("Exactly the bytes with the same place are found, joined")
    func agreesWithDefinition() {
        for seed in 0..<500 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let (first, second) = (
                ranges(using: &generator), ranges(using: &generator)
            )
            let expected = (0..<240 as Range<UInt64>).filter { byte in
                guard let place = place(of: byte, in: first) else { return false }
                return place == self.place(of: byte, in: second)
            }
            let found = SharedContent.ranges(first, second)
            #expect(found.flatMap(Array.init) == expected, "seed \(seed)")
            for (range, next) in zip(found, found.dropFirst()) {
                #expect(range.upperBound < next.lowerBound, "seed \(seed)")
            }
        }
    }

    private func place(of byte: UInt64, in ranges: [StoredRange]) -> StoragePlace? {
        ranges.first { $0.range.contains(byte) }?.place(of: byte)
    }

    // MARK: Plans

    private func plan(
        _ shared: [Range<UInt64>], readsShared: Bool, size: UInt64 = 8 * 4096,
        replica: [Extent]? = nil, held: [HeldBlocks] = []
    ) -> WindowPlan {
        let data = [Extent(range: 1 << 28..<(1 << 28) + size, state: .data)]
        return WindowPlan(
            range: 1 << 28..<(1 << 28) + size, blockSize: 4096, primary: data,
            replica: .disk(replica ?? data), held: held,
            shared: shared.map { $0.lowerBound + (1 << 28)..<$0.upperBound + (1 << 28) },
            readsShared: readsShared)
    }

    private func item(
        _ index: Int, _ first: Int, _ count: Int, primary: Bool = true, replica: Bool = true,
        isShared: Bool = false
    ) -> WorkItem {
        WorkItem(
            index: index, first: first, count: count, readsPrimary: primary, readsReplica: replica,
            isShared: isShared)
    }

    @Test("Only a block that is shared as a whole is not read, or on the primary alone")
    func wholeBlocks() {
        let shared: [Range<UInt64>] = [4095..<12289, 16384..<16384 + 4095]
        for readsShared in [false, true] {
            #expect(
                plan(shared, readsShared: readsShared).items == [
                    item(0, 0, 1),
                    item(1, 1, 2, primary: readsShared, replica: false, isShared: true),
                    item(2, 3, 5),
                ])
        }
        #expect(plan([], readsShared: false).items == [item(0, 0, 8)])
        #expect(plan([5..<6], readsShared: false).items == [item(0, 0, 8)])
    }

    @Test("A short last block that is shared to its end is shared as a whole")
    func lastBlock() {
        let size: UInt64 = 2 * 4096 + 512
        #expect(
            plan([4096..<size], readsShared: false, size: size).items == [
                item(0, 0, 1), item(1, 1, 2, primary: false, replica: false, isShared: true),
            ])
        #expect(
            plan([4096..<size - 1], readsShared: false, size: size).items == [
                item(0, 0, 1), item(1, 1, 1, primary: false, replica: false, isShared: true),
                item(2, 2, 1),
            ])
    }

    @Test("What is zero on one side is no shared content, and what is held is not looked at")
    func zerosAndHeld() {
        let start: UInt64 = 1 << 28
        let replica = [
            Extent(range: start..<start + 8192, state: .zero),
            Extent(range: start + 8192..<start + 8 * 4096, state: .data),
        ]
        #expect(
            plan([0..<8 * 4096], readsShared: false, replica: replica).items == [
                item(0, 0, 2, replica: false),
                item(1, 2, 6, primary: false, replica: false, isShared: true),
            ])
        let held = [HeldBlocks(range: 1..<3, digests: nil)]
        #expect(
            plan([0..<8 * 4096], readsShared: false, held: held).items == [
                item(0, 0, 1, primary: false, replica: false, isShared: true),
                item(1, 3, 5, primary: false, replica: false, isShared: true),
            ])
    }

    @Test("What is not read is as long as it is, and what is read no longer than ever")
    func sizes() {
        let size: UInt64 = 64 << 20
        #expect(plan([0..<size], readsShared: false, size: size).items.count == 1)
        let items = plan([0..<size], readsShared: true, size: size).items
        #expect(items.count == 64 && items.allSatisfy { $0.isShared && $0.count == 256 })
    }

    @Test("Only a pass that writes nothing and proves nothing looks for it")
    func passes() {
        #expect(Pass.record.looksForSharedContent && Pass.compare.looksForSharedContent)
        for pass in [Pass.resynchronize, .digest, .verify] {
            #expect(!pass.looksForSharedContent)
        }
    }
}
