public import Storage

/// The digests that a disk of some geometry has where it holds nothing but zeros.
public struct ZeroDigests: Sendable {
    /// The geometry they belong to.
    public let virtualSize: UInt64
    /// Bytes in a block.
    public let blockSize: Int
    /// How many blocks the disk has.
    public let blockCount: UInt64
    /// The digest of a whole block of zeros.
    public let block: BlockDigest
    /// The digest of the last block if its bytes, fewer where it is partial, are zeros.
    public let lastBlock: BlockDigest
    /// The digests of full subtrees, by height: a block, 64 blocks, 64² and so on.
    private let subtrees: [BlockDigest]

    /// Hashes one block, and the last one where it is partial.
    ///
    /// - Precondition: as for ``DigestTreeBuilder``.
    public init(virtualSize: UInt64, blockSize: Int) throws(OutOfMemory) {
        DigestTree.checkGeometry(virtualSize: virtualSize, blockSize: blockSize)
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        blockCount = DigestTree.blockCount(virtualSize: virtualSize, blockSize: blockSize)

        var context = try SHA256Context()
        block = Self.digest(ofZeros: blockSize, with: &context)
        let partialSize = Int(virtualSize % UInt64(blockSize))
        lastBlock =
            partialSize == 0 ? block : Self.digest(ofZeros: partialSize, with: &context)

        var subtrees = [block]
        for level in 1...DigestTree.levelCount(blockCount: blockCount) {
            var node = DigestNode(level: level)
            for _ in 0..<DigestTree.fanOut { node.append(subtrees[level - 1]) }
            subtrees.append(node.finish(with: &context))
        }
        self.subtrees = subtrees
    }

    /// The digest of a block if its bytes are zeros.
    ///
    /// - Precondition: the disk has this block.
    public func digest(ofBlock index: UInt64) -> BlockDigest {
        precondition(index < blockCount)
        return index == blockCount - 1 ? lastBlock : block
    }

    var hasPartialBlock: Bool { !virtualSize.isMultiple(of: UInt64(blockSize)) }

    /// The digest of a node above 64^height whole blocks; of a block for height 0.
    func subtree(height: Int) -> BlockDigest { subtrees[height] }

    /// The root digest of a disk of this geometry, zeros or not, with this top node.
    ///
    ///     offset  size  field
    ///          0    16  tag           "vhdresync root 1"
    ///         16     8  virtual size  bytes
    ///         24     4  block size    bytes
    ///         28    32  top node      its digest
    func root(of top: BlockDigest, with context: inout SHA256Context) -> BlockDigest {
        var bytes = DigestTree.rootTag + [UInt8](repeating: 0, count: 12 + BlockDigest.byteCount)
        bytes.withMutableRawSpan { span in
            span.store(virtualSize, at: 16)
            span.store(UInt32(blockSize), at: 24)
            top.encode(into: &span, at: 28)
        }
        return context.digest(of: bytes.rawSpan)
    }

    private static func digest(
        ofZeros byteCount: Int, with context: inout SHA256Context
    ) -> BlockDigest {
        let zeros = [UInt8](repeating: 0, count: min(byteCount, 65536))
        var remaining = byteCount
        while remaining > 0 {
            let count = min(remaining, zeros.count)
            context.update(zeros.rawSpan.extracting(0..<count))
            remaining -= count
        }
        return context.finalize()
    }
}
