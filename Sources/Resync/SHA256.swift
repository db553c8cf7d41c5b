internal import COpenSSL
public import Storage

/// A worker's means to compute SHA-256, reused from digest to digest.
///
/// Each worker has its own: a context costs an allocation and a lookup to make, and 120 ns to use.
@safe public struct SHA256Context: ~Copyable, @unchecked Sendable {
    private let context: OpaquePointer
    /// Whether ``update(_:)`` was called since the last digest.
    private var isOpen = false
    private let hashesPairs: Bool

    // One lookup for the process: OpenSSL's older calls repeat it for each digest. The algorithm is
    // immutable, and the reference to it is never given back.
    // Safe: the arguments are null or strings that end with a zero.
    private nonisolated(unsafe) static let algorithm = unsafe EVP_MD_fetch(nil, "SHA2-256", nil)

    /// A context that has seen no bytes.
    ///
    /// - Parameter provider: Of the digests of two messages at a time. Others are OpenSSL's.
    /// - Throws: `OutOfMemory`.
    public init(_ provider: HashProvider = .openssl) throws(OutOfMemory) {
        guard let algorithm = unsafe Self.algorithm else {
            fatalError("libcrypto offers no SHA2-256: see its configuration, openssl.cnf")
        }
        guard let context = unsafe EVP_MD_CTX_new() else {
            throw OutOfMemory(byteCount: 0)
        }
        // Safe: both are valid; the context holds its own reference to the algorithm.
        Self.check(unsafe EVP_DigestInit_ex2(context, algorithm, nil), "EVP_DigestInit_ex2")
        unsafe self.context = context
        hashesPairs = provider.hashesPairs
    }

    deinit {
        // Safe: this is the only owner.
        unsafe EVP_MD_CTX_free(context)
    }

    /// The digest of some bytes. What ``update(_:)`` added since the last digest is forgotten.
    public mutating func digest(of bytes: RawSpan) -> BlockDigest {
        isOpen = false
        update(bytes)
        return finalize()
    }

    /// The digests of two messages. Where they have one size, that may take little more time than one.
    mutating func digests(
        of first: RawSpan, and second: RawSpan
    ) -> (first: BlockDigest, second: BlockDigest) {
        guard hashesPairs, first.byteCount == second.byteCount else {
            return (digest(of: first), digest(of: second))
        }
        return HashProvider.digests(of: first, and: second)
    }

    /// The digests of some parts of a buffer.
    mutating func digests(of parts: ArraySlice<Range<Int>>, in bytes: RawSpan) -> [BlockDigest] {
        var digests: [BlockDigest] = []
        digests.reserveCapacity(parts.count)
        var parts = parts
        while let part = parts.popFirst() {
            guard let other = parts.popFirst() else {
                digests.append(digest(of: bytes.extracting(part)))
                break
            }
            let pair = self.digests(of: bytes.extracting(part), and: bytes.extracting(other))
            digests.append(pair.first)
            digests.append(pair.second)
        }
        return digests
    }

    /// Adds bytes at the end of a stream.
    public mutating func update(_ bytes: RawSpan) {
        if !isOpen {
            // Safe: the context is valid and keeps its algorithm.
            Self.check(unsafe EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit_ex2")
            isOpen = true
        }
        // Safe: the call reads the bytes of the span; a null pointer comes with a count of 0.
        let status = unsafe bytes.withUnsafeBytes { buffer in
            unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        }
        Self.check(status, "EVP_DigestUpdate")
    }

    /// The digest of everything that was added since the last one. The next starts from no bytes.
    public mutating func finalize() -> BlockDigest {
        if !isOpen {
            // Safe: the context is valid and keeps its algorithm.
            Self.check(unsafe EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit_ex2")
        }
        isOpen = false
        // Safe: the call writes 32 bytes, the size of the digest, and they are read as such.
        return unsafe withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: BlockDigest.byteCount
        ) { buffer in
            let status = unsafe EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
            Self.check(status, "EVP_DigestFinal_ex")
            return unsafe BlockDigest(decoding: buffer.span.bytes, at: 0)
        }
    }

    /// These calls do not fail on a valid context: a failure is a mistake in this program.
    private static func check(_ status: Int32, _ call: StaticString) {
        precondition(status == 1, "\(call) failed on a valid context")
    }
}
