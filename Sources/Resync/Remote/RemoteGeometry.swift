internal import Storage

/// How two hosts cut a disk to compare it: blocks, nodes of up to 64 blocks, and windows.
///
/// A node lies within one window. Windows are what is hashed in one go; a range of windows is what is
/// compared first.
package struct RemoteGeometry: Equatable, Sendable {
    package let virtualSize: UInt64
    /// Bytes in a block.
    package let blockSize: Int

    /// Virtual bytes in a window: little enough that what differs in one is on its way while the next
    /// is hashed, and at least a few blocks.
    static let windowByteCount: UInt64 = 64 << 20
    /// The most windows of which one digest may be sent.
    static let maximumRangeWindowCount = 16
    /// The most blocks of which one digest may be sent, and so the most that a message describes.
    static let maximumRangeBlockCount = 16384
    /// The most nodes above so many blocks: blocks larger than 1 MiB have a node for each window.
    static let maximumNodeCount = maximumRangeBlockCount / DigestTree.fanOut
    /// The most blocks that a receiver may describe, zeros aside, ahead of what the sender has settled:
    /// this bounds the memory of both.
    static let maximumBlocksAhead = 262_144
    /// The most ranges of windows, of zeros too, that a receiver may have told of ahead of that.
    static let maximumRangesAhead = 4096

    package init(virtualSize: UInt64, blockSize: Int) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
    }

    /// How many blocks the disk has; the last one may be short.
    var blockCount: UInt64 {
        DigestTree.blockCount(virtualSize: virtualSize, blockSize: blockSize)
    }

    var blocksPerWindow: UInt64 { Self.windowByteCount / UInt64(blockSize) }

    var windowCount: UInt64 { blockCount.dividedRoundingUp(by: blocksPerWindow) }

    /// How many windows of data one digest may stand for.
    var rangeLimit: UInt64 {
        let byBlocks = UInt64(Self.maximumRangeBlockCount) / blocksPerWindow
        return max(1, min(UInt64(Self.maximumRangeWindowCount), byBlocks))
    }

    /// After how many settled windows the receiver has to be told of them: long before it must stop
    /// for too many blocks or ranges that it has told of.
    var settledLimit: UInt64 {
        let byBlocks = UInt64(Self.maximumBlocksAhead) / 4 / blocksPerWindow
        return max(1, min(UInt64(Self.maximumRangesAhead) / 4, byBlocks))
    }

    /// Records that wait to be sent, in bytes, before the sender rather hashes.
    static let queuedByteCount = 16 << 20

    /// The blocks of some windows.
    func blocks(in windows: Range<UInt64>) -> Range<UInt64> {
        windows.lowerBound * blocksPerWindow..<min(windows.upperBound * blocksPerWindow, blockCount)
    }

    func blocks(in window: UInt64) -> Range<UInt64> { blocks(in: window..<window + 1) }

    /// The blocks below each node of some windows, in order.
    func nodes(of windows: Range<UInt64>) -> [Range<UInt64>] {
        var nodes: [Range<UInt64>] = []
        for window in windows {
            let blocks = blocks(in: window)
            var start = blocks.lowerBound
            while start < blocks.upperBound {
                let end = min(start + UInt64(DigestTree.fanOut), blocks.upperBound)
                nodes.append(start..<end)
                start = end
            }
        }
        return nodes
    }
}

extension ArraySlice {
    /// The element of which a value that ascends is this one.
    func firstIndex(startingAt value: UInt64, _ key: (Element) -> UInt64) -> Index? {
        var range = indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            let found = key(self[middle])
            if found == value { return middle }
            range = found < value ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }
}
