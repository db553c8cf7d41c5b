import Storage

/// A file of known bytes that can only be read; reads at or past one place may fail.
struct ImmutableFile: RandomAccessFile {
    let bytes: [UInt8]
    var failsAt: UInt64?
    let name: String

    static let failure = FileError.system(.read, path: "map", at: nil, errno: 5)

    init(_ bytes: [UInt8], failsAt: UInt64? = nil, name: String = "map") {
        self.name = name
        self.bytes = bytes
        self.failsAt = failsAt
    }

    func byteCount() throws(FileError) -> UInt64 { UInt64(bytes.count) }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        let (end, overflows) = offset.addingReportingOverflow(UInt64(buffer.byteCount))
        if let failsAt, end > failsAt { throw Self.failure }
        guard !overflows, end <= UInt64(bytes.count) else {
            throw .unexpectedEnd(path: name, at: UInt64(bytes.count))
        }
        buffer.copy(bytes.rawSpan.extracting(Int(offset)..<Int(end)))
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) { throw refusal }

    func deallocate(_ range: Range<UInt64>) throws(FileError) { throw refusal }

    func writeZeros(_ range: Range<UInt64>) throws(FileError) { throw refusal }

    func reserve(_ range: Range<UInt64>) throws(FileError) { throw refusal }

    func setByteCount(_ byteCount: UInt64) throws(FileError) { throw refusal }

    func flush() throws(FileError) { throw refusal }

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        offset < limit ? offset..<limit : nil
    }

    private var refusal: FileError { .system(.write, path: name, at: nil, errno: 30) }
}
