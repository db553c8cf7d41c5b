internal import Glibc

/// Scans of disk content at the speed of memory.
public enum ZeroScan {
    /// Whether every byte is zero. Content that is not leaves at its first 64 bytes that are not.
    public static func isZero(_ bytes: RawSpan) -> Bool {
        // Safe: every load lies below the count of the buffer, and needs no alignment.
        unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { return true }
            var offset = 0
            while offset <= buffer.count - 64 {
                guard unsafe step(start + offset) == 0 else { return false }
                offset += 64
            }
            while offset <= buffer.count - 8 {
                guard unsafe word(start + offset) == 0 else { return false }
                offset += 8
            }
            while offset < buffer.count {
                guard unsafe start.load(fromByteOffset: offset, as: UInt8.self) == 0 else {
                    return false
                }
                offset += 1
            }
            return true
        }
    }

    /// Whether two pieces of content are the same bytes. Pieces of different sizes are not.
    public static func isEqual(_ first: RawSpan, _ second: RawSpan) -> Bool {
        guard first.byteCount == second.byteCount else { return false }
        // Safe: both buffers have this count of bytes; without any there is no pointer to use.
        return unsafe first.withUnsafeBytes { first in
            unsafe second.withUnsafeBytes { second in
                guard let start = first.baseAddress, let other = second.baseAddress else {
                    return true
                }
                return unsafe memcmp(start, other, first.count) == 0
            }
        }
    }

    /// Eight words, combined without a branch so that the compiler uses vector registers.
    @inline(__always)
    private static func step(_ start: UnsafeRawPointer) -> UInt64 {
        unsafe word(start) | word(start + 8) | word(start + 16) | word(start + 24)
            | word(start + 32) | word(start + 40) | word(start + 48) | word(start + 56)
    }

    @inline(__always)
    private static func word(_ start: UnsafeRawPointer) -> UInt64 {
        unsafe start.loadUnaligned(as: UInt64.self)
    }
}
