internal import Storage

/// The file of an image as the rest of this module sees it: with the pages that a dirty log puts
/// over it, and with the size that a writer gives it.
struct ImageFile<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    let base: File
    let overlay: LogOverlay
    private let size: SharedCount
    private let baseByteCount: UInt64

    var name: String { base.name }

    /// The size in bytes, with what the log adds.
    var byteCount: UInt64 { size.current }

    init(_ base: consuming File, overlay: LogOverlay) throws(VHDXError) {
        baseByteCount = try onFile { () throws(FileError) in try base.byteCount() }
        size = SharedCount(max(baseByteCount, overlay.minimumByteCount))
        self.overlay = overlay
        self.base = base
    }

    /// The file itself again.
    consuming func intoBase() -> File { base }

    /// Extends the file with zeros.
    ///
    /// - Precondition: the log is empty, and no other thread does the same.
    func grow(to byteCount: UInt64) throws(FileError) {
        precondition(overlay.isEmpty && byteCount >= self.byteCount)
        try base.setByteCount(byteCount)
        size.set(byteCount)
    }

    /// Reads through the log.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        guard let end = try? offset.adding(UInt64(buffer.byteCount)), end <= byteCount else {
            throw .unexpectedEnd(path: name, at: offset)
        }
        if overlay.isEmpty || end <= baseByteCount && !overlay.intersects(offset..<end) {
            return try base.read(into: &buffer, at: offset)
        }
        buffer.clear()
        if offset < baseByteCount {
            var present = buffer.part(0..<Int(min(end, baseByteCount) - offset))
            try base.read(into: &present, at: offset)
        }
        try overlay.apply(to: &buffer, at: offset, from: base)
    }

    /// Some bytes where the kernel keeps them, but for what the log holds.
    func mappedBytes(in range: Range<UInt64>) -> MappedBytes? {
        isPlain(range) ? base.mappedBytes(in: range) : nil
    }

    /// Whether a range is the file's as it was when it was opened, without anything of the log.
    private func isPlain(_ range: Range<UInt64>) -> Bool {
        range.upperBound <= baseByteCount && !overlay.intersects(range)
    }

    /// The next range that may hold something other than zeros, with what the log puts there.
    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        guard offset < limit else { return nil }
        if overlay.intersects(offset..<limit) || limit > byteCount { return offset..<limit }
        return try base.nextData(from: offset, limit: limit)
    }

    /// Where content is stored, but for what the log holds.
    func storedRanges(in range: Range<UInt64>) -> [StoredRange] {
        isPlain(range) ? base.storedRanges(in: range) : []
    }

    /// Reads a structure of known size.
    func structure(
        _ structure: Structure, at offset: UInt64, count: Int
    ) throws(VHDXError) -> [UInt8] {
        guard let end = try? offset.adding(UInt64(count)), end <= byteCount else {
            throw .truncated(structure, path: name, at: offset, fileSize: byteCount)
        }
        var bytes = [UInt8](repeating: 0, count: count)
        try onFile { () throws(FileError) in
            try bytes.withMutableRawSpan { (span) throws(FileError) in
                try read(into: &span, at: offset)
            }
        }
        return bytes
    }
}
