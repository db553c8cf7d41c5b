/// A file as the layers above see it: bytes at offsets, and a flush that orders them.
///
/// Production code has one conformer, ``DiskFile``; tests put files that fail, remember or lose
/// power in its place. Every call may be made from several threads at once; what two writes to
/// the same bytes at the same time leave is undefined.
public protocol RandomAccessFile: ~Copyable, Sendable {
    /// What to call the file in a message.
    var name: String { get }

    /// The current size in bytes.
    func byteCount() throws(FileError) -> UInt64

    /// Fills the whole buffer.
    ///
    /// - Throws: ``FileError/unexpectedEnd(path:at:)`` where the file ends first.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError)

    /// Some bytes where the kernel keeps them; nil where they have to be read.
    ///
    /// Not for what must stay the same from one look to the next.
    func mappedBytes(in range: Range<UInt64>) -> MappedBytes?

    /// Writes all bytes. Past the end the file grows, and a gap reads as zeros.
    ///
    /// Durable only after the next ``flush()``; a crash before it leaves any part of it.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError)

    /// Makes a range read as zeros, and gives its space back where the file system can.
    ///
    /// Durable only after the next ``flush()``.
    func deallocate(_ range: Range<UInt64>) throws(FileError)

    /// Makes a range read as zeros and keeps its space reserved where the file system can.
    ///
    /// Durable only after the next ``flush()``.
    func writeZeros(_ range: Range<UInt64>) throws(FileError)

    /// Reserves space for a range without changing content. The file grows to hold it.
    ///
    /// Where the file system cannot reserve, the file grows and nothing else happens.
    func reserve(_ range: Range<UInt64>) throws(FileError)

    /// Cuts the file, or extends it with zeros.
    ///
    /// Durable only after the next ``flush()``.
    func setByteCount(_ byteCount: UInt64) throws(FileError)

    /// Makes everything before it durable (`fdatasync`).
    ///
    /// After a failure the state of the file is unknown, and a repeated call proves nothing.
    func flush() throws(FileError)

    /// The next range at or after `offset`, ending by `limit`, that may hold something other than
    /// zeros; nil where only a hole follows.
    ///
    /// A hint that is sound in one direction: what is outside reads as zeros.
    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>?

    /// Where content is stored, as far as that is known: parts of a range, in order.
    ///
    /// What has the same place in two files is the same content. Not to be asked of a file that this
    /// process has written to: what it says then may be about the content before.
    func storedRanges(in range: Range<UInt64>) -> [StoredRange]
}

extension RandomAccessFile where Self: ~Copyable {
    public func mappedBytes(in range: Range<UInt64>) -> MappedBytes? { nil }

    public func storedRanges(in range: Range<UInt64>) -> [StoredRange] { [] }

    /// Reads a structure of known size.
    public func bytes(at offset: UInt64, count: Int) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withMutableRawSpan { (span) throws(FileError) in
            try read(into: &span, at: offset)
        }
        return bytes
    }
}
