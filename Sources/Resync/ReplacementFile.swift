internal import Storage

/// A new file, for whoever writes to a file that it owns: it appears under its name at the end, or not
/// at all.
struct ReplacementFile: ~Copyable, RandomAccessFile {
    private let replacement: DurableReplacement

    init(of path: String, _ cacheUse: CacheUse = .keep) throws(FileError) {
        replacement = try DurableReplacement(of: path, cacheUse: cacheUse)
    }

    /// Gives the file its name, durably, in place of what bears it.
    consuming func commit() throws(FileError) {
        try replacement.commit(.replace)
    }

    var name: String { replacement.file.name }

    func byteCount() throws(FileError) -> UInt64 { try replacement.file.byteCount() }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        try replacement.file.read(into: &buffer, at: offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        try replacement.file.write(bytes, at: offset)
    }

    func deallocate(_ range: Range<UInt64>) throws(FileError) {
        try replacement.file.deallocate(range)
    }

    func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        try replacement.file.writeZeros(range)
    }

    func reserve(_ range: Range<UInt64>) throws(FileError) { try replacement.file.reserve(range) }

    func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try replacement.file.setByteCount(byteCount)
    }

    func flush() throws(FileError) { try replacement.file.flush() }

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        try replacement.file.nextData(from: offset, limit: limit)
    }
}
