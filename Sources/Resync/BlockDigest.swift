internal import Storage

/// A SHA-256 value: the digest of a block, of a node of the digest tree, or of a whole disk.
public struct BlockDigest: Hashable, Sendable, BitwiseCopyable {
    // Four words instead of 32 bytes: an inline array can be neither compared nor hashed.
    private var word0: UInt64
    private var word1: UInt64
    private var word2: UInt64
    private var word3: UInt64

    /// The size in bytes.
    public static let byteCount = 32

    /// All bits zero: the digest of nothing, where a field has none.
    public static let zero = BlockDigest(word0: 0, word1: 0, word2: 0, word3: 0)

    private init(word0: UInt64, word1: UInt64, word2: UInt64, word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// Decodes the digest at an offset.
    ///
    /// - Precondition: 32 bytes lie there.
    public init(decoding bytes: RawSpan, at offset: Int) {
        word0 = bytes.load(UInt64.self, at: offset)
        word1 = bytes.load(UInt64.self, at: offset + 8)
        word2 = bytes.load(UInt64.self, at: offset + 16)
        word3 = bytes.load(UInt64.self, at: offset + 24)
    }

    /// Encodes the digest at an offset.
    ///
    /// - Precondition: there is room for 32 bytes.
    public func encode(into bytes: inout MutableRawSpan, at offset: Int) {
        bytes.store(word0, at: offset)
        bytes.store(word1, at: offset + 8)
        bytes.store(word2, at: offset + 16)
        bytes.store(word3, at: offset + 24)
    }
}

extension BlockDigest: CustomStringConvertible {
    /// 64 hexadecimal digits, lower case.
    public var description: String {
        [word0, word1, word2, word3].map { word in
            let digits = String(word.byteSwapped, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
