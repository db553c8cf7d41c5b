internal import CLZ4

/// LZ4 blocks: the payload of records of a delta stream (docs/delta-stream.md).
///
/// The block format without a frame: the lengths and checksums around it are the record's.
enum Compression {
    /// Compresses content, if the result fits into the target.
    ///
    /// A target a little shorter than the content makes content that does not compress cheap: the
    /// attempt ends where it is seen to fail.
    ///
    /// - Precondition: the content is at most 2,113,929,216 bytes, LZ4's limit.
    /// - Returns: how many bytes of the target are used, or nil where it was too short. Its bytes
    ///   are undefined then.
    static func compress(_ content: RawSpan, into target: inout MutableRawSpan) -> Int? {
        precondition(content.byteCount <= Int(LZ4_MAX_INPUT_SIZE))
        let capacity = Int32(clamping: target.byteCount)
        // Safe: the call reads the content, and writes at most the capacity to the target. What it
        // works with besides is 16 KiB of the stack.
        let count = unsafe target.withUnsafeMutableBytes { target in
            unsafe content.withUnsafeBytes { content in
                unsafe LZ4_compress_default(
                    content.baseAddress?.assumingMemoryBound(to: CChar.self),
                    target.baseAddress?.assumingMemoryBound(to: CChar.self),
                    Int32(content.count), capacity)
            }
        }
        return count > 0 ? Int(count) : nil
    }

    /// Fills the target with the content of an untrusted LZ4 block.
    ///
    /// - Returns: whether the block is valid and its content as long as the target. Otherwise the
    ///   target's bytes are undefined.
    static func decompress(_ block: RawSpan, into target: inout MutableRawSpan) -> Bool {
        guard let byteCount = Int32(exactly: block.byteCount),
            let capacity = Int32(exactly: target.byteCount)
        else { return false }
        // Safe: the call reads the bytes of the block, and writes at most the capacity to the
        // target, whatever the block holds.
        let count = unsafe target.withUnsafeMutableBytes { target in
            unsafe block.withUnsafeBytes { block in
                unsafe LZ4_decompress_safe(
                    block.baseAddress?.assumingMemoryBound(to: CChar.self),
                    target.baseAddress?.assumingMemoryBound(to: CChar.self),
                    byteCount, capacity)
            }
        }
        return count == capacity
    }
}
