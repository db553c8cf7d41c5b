/// How two hosts cut a disk to compare it, by docs/protocol.md alone.
package struct ModelGeometry: Sendable {
    package let virtualSize: UInt64
    package let blockSize: UInt64
    package let blockCount: UInt64
    package let blocksPerWindow: UInt64
    package let windowCount: UInt64

    package static let shortDigestByteCount = 8
    package static let leafByteCount = 32

    /// - Precondition: the block size is a power of two from 4096 to 16777216.
    package init(virtualSize: UInt64, blockSize: UInt64) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        blockCount = Self.pieces(of: virtualSize, by: blockSize)
        blocksPerWindow = (64 << 20) / blockSize
        windowCount = Self.pieces(of: blockCount, by: blocksPerWindow)
    }

    private static func pieces(of whole: UInt64, by size: UInt64) -> UInt64 {
        whole / size + (whole % size == 0 ? 0 : 1)
    }

    /// The most windows that one digest may stand for.
    package var rangeLimit: UInt64 { min(16, max(1, 16384 / blocksPerWindow)) }

    /// After so many windows the receiver has to be told that they are settled.
    package var settledLimit: UInt64 { min(1024, max(1, 65536 / blocksPerWindow)) }

    package func blocks(in windows: Range<UInt64>) -> Range<UInt64> {
        windows.lowerBound * blocksPerWindow..<min(windows.upperBound * blocksPerWindow, blockCount)
    }

    package func blocks(in window: UInt64) -> Range<UInt64> { blocks(in: window..<window + 1) }

    /// The blocks below each node of some windows.
    package func nodes(of windows: Range<UInt64>) -> [Range<UInt64>] {
        windows.flatMap { window in
            let blocks = blocks(in: window)
            return stride(from: blocks.lowerBound, to: blocks.upperBound, by: 64).map {
                $0..<min($0 + 64, blocks.upperBound)
            }
        }
    }

    /// The first window of which not all blocks lie before this one.
    package func window(behind block: UInt64) -> UInt64 {
        block == blockCount ? windowCount : block / blocksPerWindow
    }
}

/// What a model needs of its disk: the leaves of zero blocks, and a way to compute SHA-256.
package struct ModelDigester {
    package typealias SHA256 = ([UInt8]) -> [UInt8]

    package let geometry: ModelGeometry
    /// Of a whole block of zeros, and of the last block if it holds zeros.
    package let zeroLeaf: [UInt8]
    package let lastZeroLeaf: [UInt8]
    package var salt: [UInt8]
    private let sha256: SHA256

    package init(
        _ geometry: ModelGeometry, zeroLeaf: [UInt8], lastZeroLeaf: [UInt8], salt: [UInt8],
        sha256: @escaping SHA256
    ) {
        self.geometry = geometry
        self.zeroLeaf = zeroLeaf
        self.lastZeroLeaf = lastZeroLeaf
        self.salt = salt
        self.sha256 = sha256
    }

    /// A short digest of this level.
    package func short(_ level: UInt64, _ content: [UInt8]) -> UInt64 {
        let digest = sha256(
            Array("vhdresync short1".utf8) + salt + Self.bytes(of: level) + content)
        return digest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    package func zeroLeaf(of block: UInt64) -> [UInt8] {
        block == geometry.blockCount - 1 ? lastZeroLeaf : zeroLeaf
    }

    /// The short digest of a range of windows with these nodes.
    package func range(_ nodes: [UInt64]) -> UInt64 { short(2, nodes.flatMap(Self.bytes(of:))) }

    package static func bytes(of number: UInt64) -> [UInt8] {
        stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
    }
}

/// The windows that one side has hashed and still needs.
package struct ModelWindows {
    package var digester: ModelDigester
    package private(set) var hashedEnd: UInt64 = 0
    /// Blocks of windows that are kept and do not hold zeros alone.
    package private(set) var blockCount = 0
    private var start: UInt64 = 0
    /// Of windows that hold more than zeros, the leaves one behind the other.
    private var leaves: [UInt64: [UInt8]] = [:]

    package var geometry: ModelGeometry { digester.geometry }

    package init(_ digester: ModelDigester) {
        self.digester = digester
    }

    /// - Parameter found: The leaves of the next window; nil where it holds nothing but zeros.
    package mutating func append(_ found: [UInt8]?) {
        if let found {
            leaves[hashedEnd] = found
            blockCount += found.count / ModelGeometry.leafByteCount
        }
        hashedEnd += 1
    }

    package func isZero(_ window: UInt64) -> Bool { leaves[window] == nil }

    /// The leaves of a window; nil where it holds nothing but zeros.
    package func leaves(of window: UInt64) -> [UInt8]? { leaves[window] }

    /// The leaves of some blocks of one window.
    private func leaves(of blocks: Range<UInt64>) -> [UInt8] {
        let window = blocks.lowerBound / geometry.blocksPerWindow
        guard let found = leaves[window] else {
            return blocks.flatMap { digester.zeroLeaf(of: $0) }
        }
        let start = Int(blocks.lowerBound - window * geometry.blocksPerWindow)
        let size = ModelGeometry.leafByteCount
        return Array(found[start * size..<(start + blocks.count) * size])
    }

    package func leaf(of block: UInt64) -> [UInt8] { leaves(of: block..<block + 1) }

    package func short(of block: UInt64) -> UInt64 { digester.short(0, leaf(of: block)) }

    package func nodes(of windows: Range<UInt64>) -> [UInt64] {
        geometry.nodes(of: windows).map { digester.short(1, leaves(of: $0)) }
    }

    package mutating func drop(before window: UInt64) {
        guard !leaves.isEmpty else { return start = max(start, window) }
        while start < window {
            if let found = leaves.removeValue(forKey: start) {
                blockCount -= found.count / ModelGeometry.leafByteCount
            }
            start += 1
        }
    }
}

/// A range of windows as a digests message has it.
package struct ModelRange: Equatable, Sendable {
    package var windowCount: UInt64
    /// Nil: nothing but zeros.
    package var digest: UInt64?

    package init(windowCount: UInt64, digest: UInt64?) {
        self.windowCount = windowCount
        self.digest = digest
    }
}
