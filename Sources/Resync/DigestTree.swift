public import Storage

/// The shape and the constants of the digest tree (docs/digest-tree.md).
///
/// Leaves are the digests of a disk's blocks; a node of level 1 is made of up to 64 leaves, one of
/// the next level of up to 64 nodes. The root digest is made of the top node and the geometry.
public enum DigestTree {
    /// Children of a node; only the last node of a level may have fewer.
    public static let fanOut = 64

    /// The largest disk: as large as a file can be.
    public static let maximumVirtualSize = UInt64(Int64.max)

    /// How many blocks a disk has; the last one may be partial.
    public static func blockCount(virtualSize: UInt64, blockSize: Int) -> UInt64 {
        virtualSize.dividedRoundingUp(by: UInt64(blockSize))
    }

    /// Where blocks lie that stand one behind the other in so many bytes: the last one may be short.
    static func places(ofBlocks blockSize: Int, in byteCount: Int) -> [Range<Int>] {
        stride(from: 0, to: byteCount, by: blockSize).map { start in
            start..<min(start + blockSize, byteCount)
        }
    }

    /// How many levels of nodes stand above so many leaves: at least one.
    static func levelCount(blockCount: UInt64) -> Int {
        var levels = 1
        var leaves = UInt64(fanOut)
        while leaves < blockCount {
            leaves *= UInt64(fanOut)
            levels += 1
        }
        return levels
    }

    static func checkGeometry(virtualSize: UInt64, blockSize: Int) {
        precondition(virtualSize <= maximumVirtualSize)
        precondition(ResyncOptions.blockSizes.contains(blockSize) && blockSize.nonzeroBitCount == 1)
    }

    /// The first 16 bytes of what the digest of a node is made of.
    static let nodeTag = Array("vhdresync node 1".utf8)
    /// The first 16 bytes of what the root digest is made of.
    static let rootTag = Array("vhdresync root 1".utf8)
}

/// A node of the tree that is being filled: what its digest is made of, as bytes.
///
///     offset  size     field
///          0    16     tag       "vhdresync node 1"
///         16     8     level     1 above the leaves
///         24    32·n   children  n digests, 1 to 64 of them
struct DigestNode: Sendable {
    private(set) var childCount = 0
    private var bytes: [UInt8]

    private static let childrenOffset = 24

    init(level: Int) {
        bytes = DigestTree.nodeTag
        bytes.append(
            contentsOf: [UInt8](
                repeating: 0, count: 8 + DigestTree.fanOut * BlockDigest.byteCount))
        bytes.withMutableRawSpan { $0.store(UInt64(level), at: 16) }
    }

    var isFull: Bool { childCount == DigestTree.fanOut }

    mutating func append(_ child: BlockDigest) {
        let offset = Self.childrenOffset + childCount * BlockDigest.byteCount
        bytes.withMutableRawSpan { child.encode(into: &$0, at: offset) }
        childCount += 1
    }

    /// The digest of the node. Afterwards it has no children, for the next of its level.
    mutating func finish(with context: inout SHA256Context) -> BlockDigest {
        let count = byteCount
        childCount = 0
        return context.digest(of: bytes.rawSpan.extracting(0..<count))
    }

    /// The digests of two nodes, which have no children afterwards.
    static func finish(
        _ one: inout DigestNode, _ other: inout DigestNode, with context: inout SHA256Context
    ) -> (first: BlockDigest, second: BlockDigest) {
        let counts = (one.byteCount, other.byteCount)
        one.childCount = 0
        other.childCount = 0
        return context.digests(
            of: one.bytes.rawSpan.extracting(0..<counts.0),
            and: other.bytes.rawSpan.extracting(0..<counts.1))
    }

    private var byteCount: Int { Self.childrenOffset + childCount * BlockDigest.byteCount }
}

/// The digests of neighbouring blocks, and of the nodes of level 1 that they fill: several trees that take
/// the same blocks need them once.
struct DigestedBlocks: Sendable {
    let digests: [BlockDigest]
    /// Of 64 blocks each, from the first on; what is left at the end fills none.
    let nodes: [BlockDigest]

    init(_ digests: [BlockDigest], with context: inout SHA256Context) {
        var nodes: [BlockDigest] = []
        nodes.reserveCapacity(digests.count / DigestTree.fanOut)
        var pair = (DigestNode(level: 1), DigestNode(level: 1))
        for digest in digests.prefix(digests.count / DigestTree.fanOut * DigestTree.fanOut) {
            if !pair.0.isFull { pair.0.append(digest) } else { pair.1.append(digest) }
            guard pair.1.isFull else { continue }
            let found = DigestNode.finish(&pair.0, &pair.1, with: &context)
            nodes.append(found.first)
            nodes.append(found.second)
        }
        if pair.0.isFull { nodes.append(pair.0.finish(with: &context)) }
        self.digests = digests
        self.nodes = nodes
    }
}

/// Computes the root digest of a disk from the digests of its blocks, in order.
///
/// Memory: one unfinished node per level, 2 KiB each, whatever the size of the disk.
public struct DigestTreeBuilder: ~Copyable, Sendable {
    /// How many digests the tree takes.
    public let blockCount: UInt64
    /// How many it has taken.
    public private(set) var appendedCount: UInt64 = 0
    /// The digests of zero blocks of this disk.
    public let zeros: ZeroDigests

    private var context: SHA256Context
    /// The unfinished nodes, from level 1 upward.
    private var nodes: [DigestNode]
    private var top: BlockDigest?

    /// A tree without digests for a disk of this geometry.
    ///
    /// - Precondition: the block size is a power of two in ``ResyncOptions/blockSizes``, the virtual
    ///   size at most ``DigestTree/maximumVirtualSize``.
    public init(virtualSize: UInt64, blockSize: Int) throws(OutOfMemory) {
        let zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: blockSize)
        context = try SHA256Context()
        self.zeros = zeros
        blockCount = zeros.blockCount
        nodes = (1...DigestTree.levelCount(blockCount: blockCount)).map(DigestNode.init(level:))
    }

    /// Adds the digest of the next block.
    ///
    /// - Precondition: the disk has a next block.
    public mutating func append(_ digest: BlockDigest) {
        precondition(appendedCount < blockCount)
        appendedCount += 1
        add(digest, height: 0)
    }

    /// Adds the digests of the next blocks.
    ///
    /// - Precondition: the disk has so many more blocks.
    public mutating func append(_ digests: [BlockDigest]) {
        for digest in digests { append(digest) }
    }

    /// Adds the digests of the next blocks.
    ///
    /// - Precondition: the disk has so many more blocks.
    mutating func append(_ blocks: DigestedBlocks) {
        guard appendedCount.isMultiple(of: UInt64(DigestTree.fanOut)) else {
            return append(blocks.digests)
        }
        for node in blocks.nodes {
            precondition(blockCount - appendedCount >= UInt64(DigestTree.fanOut))
            appendedCount += UInt64(DigestTree.fanOut)
            add(node, height: 1)
        }
        for digest in blocks.digests.dropFirst(blocks.nodes.count * DigestTree.fanOut) {
            append(digest)
        }
    }

    /// Adds the digests of the next blocks, which hold nothing but zeros; a partial last block may
    /// be among them. Takes microseconds for any count.
    ///
    /// - Precondition: the disk has so many more blocks.
    public mutating func append(zeroBlocks count: UInt64) {
        precondition(count <= blockCount - appendedCount)
        var remaining = count
        let endsInPartialBlock = zeros.hasPartialBlock && appendedCount + count == blockCount
        if endsInPartialBlock, remaining > 0 { remaining -= 1 }
        while remaining > 0 {
            // The largest subtree of whole blocks that starts here.
            var height = 0
            var leaves: UInt64 = 1
            while height < nodes.count {
                let more = leaves * UInt64(DigestTree.fanOut)
                guard remaining >= more, appendedCount.isMultiple(of: more) else { break }
                leaves = more
                height += 1
            }
            appendedCount += leaves
            remaining -= leaves
            add(zeros.subtree(height: height), height: height)
        }
        if endsInPartialBlock, appendedCount < blockCount { append(zeros.lastBlock) }
    }

    /// The root digest.
    ///
    /// - Precondition: exactly ``blockCount`` digests were added.
    public consuming func root() -> BlockDigest {
        precondition(appendedCount == blockCount)
        // What is left are the last nodes of their levels. A node is the top if it is full, and then
        // it has finished already. A disk without blocks has one node without children.
        for height in nodes.indices where top == nil {
            let isTop = height == nodes.count - 1
            guard nodes[height].childCount > 0 || isTop else { continue }
            let digest = nodes[height].finish(with: &context)
            add(digest, height: height + 1)
        }
        guard let top else { preconditionFailure("a tree has a top") }
        return zeros.root(of: top, with: &context)
    }

    /// Adds a digest that covers 64^height blocks, fewer at the end of the disk.
    private mutating func add(_ digest: BlockDigest, height: Int) {
        var digest = digest
        var height = height
        while height < nodes.count {
            nodes[height].append(digest)
            guard nodes[height].isFull else { return }
            digest = nodes[height].finish(with: &context)
            height += 1
        }
        top = digest
    }
}
