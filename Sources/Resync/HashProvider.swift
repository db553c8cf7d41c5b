internal import CSHA256
internal import Storage

/// Who computes the digests of blocks. They are the same from each.
public enum HashProvider: String, Sendable, CaseIterable {
    /// Two blocks at a time where the processor has SHA instructions, and else OpenSSL. The default.
    case automatic = "auto"
    /// One block at a time, by OpenSSL's libcrypto.
    case openssl

    /// Whether blocks of one size are hashed two at a time.
    var hashesPairs: Bool { self == .automatic && Self.pairIsUsed }

    // A library that was compiled without optimization is slower than OpenSSL.
    private static let pairIsUsed = hasPair && csha256_is_optimized() == 1 && pairAgrees()

    // Asked once: the question leaves a virtual machine, which takes as long as to hash some KiB.
    private static let hasPair = csha256_has_pair() == 1

    /// Whether both compute the same digests: with one padding block and with two, and of many blocks.
    private static func pairAgrees() -> Bool {
        guard var context = try? SHA256Context() else { return false }
        for count in [0, 1, 55, 56, 64, 4096] {
            let first = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let second = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 / 256) }
            let pair = digests(of: first.rawSpan, and: second.rawSpan)
            guard pair.first == context.digest(of: first.rawSpan),
                pair.second == context.digest(of: second.rawSpan)
            else { return false }
        }
        return true
    }

    /// The digests of two messages, by the instructions of the processor.
    ///
    /// - Precondition: It has them, and the messages have one size.
    static func digests(
        of first: RawSpan, and second: RawSpan
    ) -> (first: BlockDigest, second: BlockDigest) {
        precondition(first.byteCount == second.byteCount && hasPair)
        // Safe: the call reads as many bytes as both spans have, and writes two digests.
        return unsafe withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: 2 * BlockDigest.byteCount
        ) { digests in
            unsafe first.withUnsafeBytes { first in
                unsafe second.withUnsafeBytes { second in
                    unsafe csha256_pair(
                        first.baseAddress, second.baseAddress, first.count, digests.baseAddress)
                }
            }
            let bytes = unsafe digests.span.bytes
            return (
                BlockDigest(decoding: bytes, at: 0),
                BlockDigest(decoding: bytes, at: BlockDigest.byteCount)
            )
        }
    }
}
