internal import Storage

/// Checksums of structures that have theirs in the four bytes at offset 4.
enum Checksum {
    static func isRight(in content: Content, at offset: UInt64, count: Int) -> Bool {
        let bytes = content.bytes(at: offset, count: count)
        return CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: 4)
            == bytes.rawSpan.load(UInt32.self, at: 4)
    }

    /// Makes the checksum of a structure right.
    static func repair(in content: inout Content, at offset: UInt64, count: Int) {
        let bytes = content.bytes(at: offset, count: count)
        put(CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: 4), at: offset + 4, in: &content)
    }

    /// Makes the checksum of a log entry right, which may wrap around the end of the log.
    static func repairLogEntry(in content: inout Content, log: Range<UInt64>, at position: UInt64) {
        let length = UInt64(content.integer(UInt32.self, at: log.lowerBound + position + 8))
        guard length >= 64, length <= log.byteCount, length <= 8 << 20 else { return }
        let start = log.lowerBound + position
        let beforeEnd = min(length, log.upperBound - start)
        var bytes = content.bytes(at: start, count: Int(beforeEnd))
        bytes += content.bytes(at: log.lowerBound, count: Int(length - beforeEnd))
        put(CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: 4), at: start + 4, in: &content)
    }

    private static func put(_ value: UInt32, at offset: UInt64, in content: inout Content) {
        var bytes: [UInt8] = [0, 0, 0, 0]
        bytes.withMutableRawSpan { $0.store(value, at: 0) }
        content.write(bytes, at: offset)
    }
}
