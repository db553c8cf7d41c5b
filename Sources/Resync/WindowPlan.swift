internal import BlockIO
internal import Storage

/// A piece of a window that one worker reads and compares in one go: neighbouring blocks of which
/// the same sides have to be read.
struct WorkItem: Equatable, Sendable {
    /// Its place among the items of the window.
    var index = 0
    /// Index of the first block within the window.
    var first: Int
    /// How many blocks.
    var count: Int
    var readsPrimary: Bool
    var readsReplica: Bool
    /// Whether both sides are known to have the same content. Where that is not read, nothing else is
    /// known of it.
    var isShared = false

    var readsAny: Bool { readsPrimary || readsReplica }
}

/// The blocks of a window, and which of them have to be read on which side.
///
/// A window bounds the memory of a comparison, whatever the size of the disks.
struct WindowPlan: Equatable, Sendable {
    /// Virtual bytes in a window: as many as the largest payload block of VHDX has, so that a block
    /// of the target that becomes zero is seen whole.
    static let byteCount: UInt64 = 256 << 20

    /// Virtual bytes in a window that so many workers share: a multiple of ``byteCount``. At its end the
    /// first wait for the last, so there is enough in it for each to read 16 times.
    static func byteCount(forWorkers count: Int) -> UInt64 {
        let wanted = UInt64(count) * 16 * UInt64(bytesAtOnce)
        return max(1, wanted.dividedRoundingUp(by: byteCount)) * byteCount
    }

    /// Bytes that a worker reads at once, unless one block is larger: what pread is fastest with.
    static let bytesAtOnce = 1 << 20

    let range: Range<UInt64>
    let blockSize: Int
    private(set) var items: [WorkItem] = []
    /// Blocks that are known to differ, and not to be read: of those that are to be zero, the ones of
    /// which the replica's own word is that they are not.
    private(set) var heldBlockCount: UInt64 = 0
    /// Bytes of those of them that are to be zero.
    private(set) var heldZeroByteCount: UInt64 = 0

    var blockCount: Int { Int(range.byteCount.dividedRoundingUp(by: UInt64(blockSize))) }

    /// The virtual bytes of some blocks of the window. The last block of a disk may be short.
    func range(ofBlocks indices: Range<Int>) -> Range<UInt64> {
        let start = range.lowerBound + UInt64(indices.lowerBound) * UInt64(blockSize)
        let end = range.lowerBound + UInt64(indices.upperBound) * UInt64(blockSize)
        return start..<min(end, range.upperBound)
    }

    /// Plans the reading: space that is zero by the word of both sides is left out, and so is what is
    /// known already. Of what is stored once for both sides the primary is read, or, without
    /// `readsShared`, neither.
    init(
        range: Range<UInt64>, blockSize: Int, primary: [Extent], replica: ReplicaContent,
        held: [HeldBlocks] = [], shared: [Range<UInt64>] = [], readsShared: Bool = true
    ) {
        self.range = range
        self.blockSize = blockSize
        guard primary.contains(where: { $0.state == .data }) || replica.mayHoldData else { return }
        let primaryIsData = blocksWithData(primary)
        let replicaIsData = blocksWithData(replica)
        var isHeld = [Bool](repeating: false, count: held.isEmpty ? 0 : blockCount)
        for blocks in held {
            for index in blocks.range {
                isHeld[index] = true
                guard blocks.digests != nil || replicaIsData[index] else { continue }
                heldBlockCount += 1
                if blocks.digests == nil {
                    heldZeroByteCount += self.range(ofBlocks: index..<index + 1).byteCount
                }
            }
        }
        let isShared = blocks(within: shared)
        let largest = max(1, Self.bytesAtOnce / blockSize)
        for index in 0..<blockCount where primaryIsData[index] || replicaIsData[index] {
            if !held.isEmpty, isHeld[index] { continue }
            guard !isShared.isEmpty, isShared[index], primaryIsData[index], replicaIsData[index]
            else {
                items.append(
                    block: index, readsPrimary: primaryIsData[index],
                    readsReplica: replicaIsData[index], atMost: largest)
                continue
            }
            items.append(
                block: index, readsPrimary: readsShared, readsReplica: false, isShared: true,
                atMost: readsShared ? largest : .max)
        }
    }

    /// For each block of the window, whether it lies wholly in one of the ranges; empty where none does.
    private func blocks(within ranges: [Range<UInt64>]) -> [Bool] {
        guard !ranges.isEmpty else { return [] }
        var isWithin = [Bool](repeating: false, count: blockCount)
        for found in ranges {
            let start = (found.lowerBound - range.lowerBound)
                .dividedRoundingUp(by: UInt64(blockSize))
            let end =
                found.upperBound == range.upperBound
                ? UInt64(blockCount) : (found.upperBound - range.lowerBound) / UInt64(blockSize)
            guard start < end else { continue }
            for index in Int(start)..<Int(end) { isWithin[index] = true }
        }
        return isWithin
    }

    private func blocksWithData(_ content: ReplicaContent) -> [Bool] {
        switch content {
        case .disk(let extents): blocksWithData(extents)
        case .zeros: [Bool](repeating: false, count: blockCount)
        case .digests(let digests, let zeros): zip(digests, zeros).map { $0 != $1 }
        }
    }

    /// For each block of the window, whether an extent of data touches it.
    func blocksWithData(_ extents: [Extent]) -> [Bool] {
        var hasData = [Bool](repeating: false, count: blockCount)
        for extent in extents where extent.state == .data {
            let start = (extent.range.lowerBound - range.lowerBound) / UInt64(blockSize)
            let end = (extent.range.upperBound - range.lowerBound)
                .dividedRoundingUp(by: UInt64(blockSize))
            for index in Int(start)..<Int(end) { hasData[index] = true }
        }
        return hasData
    }

    /// Splits runs of differing blocks into pieces that one worker reads in one go.
    func items(readingBack differs: [Bool]) -> [WorkItem] {
        let largest = max(1, Self.bytesAtOnce / blockSize)
        var items: [WorkItem] = []
        for index in differs.indices where differs[index] {
            items.append(block: index, readsPrimary: false, readsReplica: true, atMost: largest)
        }
        return items
    }
}

extension [WorkItem] {
    /// Adds a block: to the last item, where that ends before it, reads the same sides, and has room.
    mutating func append(
        block index: Int, readsPrimary: Bool, readsReplica: Bool, isShared: Bool = false,
        atMost largest: Int
    ) {
        if let last = last, last.first + last.count == index, last.count < largest,
            last.readsPrimary == readsPrimary, last.readsReplica == readsReplica,
            last.isShared == isShared
        {
            self[count - 1].count += 1
        } else {
            append(
                WorkItem(
                    index: count, first: index, count: 1, readsPrimary: readsPrimary,
                    readsReplica: readsReplica, isShared: isShared))
        }
    }
}
