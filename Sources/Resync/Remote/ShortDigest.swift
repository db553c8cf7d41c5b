internal import Storage

/// Eight bytes that stand for the digests of some blocks while two hosts look for what differs.
///
/// They are salted, anew in each run, so that no content can be made for which they are equal by
/// design. Whether the disks are equal in the end is proven by the root digests, not by these.
package struct ShortDigest: Equatable, Sendable {
    var value: UInt64

    static let byteCount = 8
}

/// Computes short digests with one salt.
///
///     offset  size  field
///          0    16  tag       "vhdresync short1"
///         16    16  salt
///         32     8  level     0 a block, 1 a node, 2 a range of windows
///         40        digests   of one block; of up to 64 blocks; or the short digests of all nodes
///
/// The short digest is the first eight bytes of the SHA-256 of these bytes.
struct ShortDigester: ~Copyable, Sendable {
    private var context: SHA256Context
    private let head: [UInt8]
    private let zeros: ZeroDigests
    /// Of a node of 64 whole zero blocks.
    private var zeroNode: ShortDigest?

    private static let tag = Array("vhdresync short1".utf8)
    private static let levelOffset = 32

    init(salt: GUID, zeros: ZeroDigests) throws(ResyncError) {
        do throws(OutOfMemory) {
            context = try SHA256Context()
        } catch {
            throw .outOfMemory(error)
        }
        var fields = FieldWriter()
        fields.append(Self.tag)
        fields.append(salt)
        fields.append(UInt64(0))
        head = fields.bytes
        self.zeros = zeros
    }

    mutating func digest(ofBlock leaf: BlockDigest) -> ShortDigest {
        digest(level: 0, [leaf])
    }

    /// Of a node above these blocks.
    mutating func digest(ofNode leaves: ArraySlice<BlockDigest>) -> ShortDigest {
        digest(level: 1, leaves)
    }

    /// Of a node above blocks of zeros.
    mutating func digest(ofZeroNode blocks: Range<UInt64>) -> ShortDigest {
        let isUsual =
            blocks.byteCount == UInt64(DigestTree.fanOut)
            && (blocks.upperBound < zeros.blockCount || !zeros.hasPartialBlock)
        if isUsual, let zeroNode { return zeroNode }
        let leaves = blocks.map { zeros.digest(ofBlock: $0) }
        let digest = digest(ofNode: leaves[...])
        if isUsual { zeroNode = digest }
        return digest
    }

    /// Of a range of windows with these nodes.
    mutating func digest(ofRange nodes: [ShortDigest]) -> ShortDigest {
        var bytes = head
        bytes.withMutableRawSpan { $0.store(UInt64(2), at: Self.levelOffset) }
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: nodes.count * ShortDigest.byteCount))
        bytes.withMutableRawSpan { span in
            for (index, node) in nodes.enumerated() {
                span.store(node.value, at: start + index * ShortDigest.byteCount)
            }
        }
        return shortened(bytes)
    }

    private mutating func digest(
        level: UInt64, _ leaves: some Collection<BlockDigest>
    ) -> ShortDigest {
        var bytes = head
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: leaves.count * BlockDigest.byteCount))
        bytes.withMutableRawSpan { span in
            span.store(level, at: Self.levelOffset)
            for (index, leaf) in leaves.enumerated() {
                leaf.encode(into: &span, at: start + index * BlockDigest.byteCount)
            }
        }
        return shortened(bytes)
    }

    private mutating func shortened(_ bytes: [UInt8]) -> ShortDigest {
        let digest = context.digest(of: bytes.rawSpan)
        var prefix = [UInt8](repeating: 0, count: BlockDigest.byteCount)
        prefix.withMutableRawSpan { digest.encode(into: &$0, at: 0) }
        return ShortDigest(value: prefix.rawSpan.load(UInt64.self, at: 0))
    }
}
