public import Storage
public import VHDX

/// A disk that can be read, as virtual bytes with extents.
///
/// Every call may come from several threads at once. A disk that is no VHDX image fails with
/// `VHDXError.file`.
public protocol BlockSource: ~Copyable, Sendable {
    /// Bytes of the disk.
    var virtualSize: UInt64 { get }

    /// What is known of a range without reading it: extents in order that cover it.
    func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent]

    /// The first byte at or after `offset` that may be something other than zero, as far as that is known
    /// at little cost; ``virtualSize`` where none follows.
    func nextData(from offset: UInt64) throws(VHDXError) -> UInt64

    /// Where content of a range is stored, as far as that is known: parts of the range, in order.
    ///
    /// Where two disks have the same place, they have the same content. Not to be asked once the disk
    /// was written to.
    func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange]

    /// Fills the buffer with content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError)

    /// Content where the kernel keeps it; nil where it has to be read. It changes when somebody writes to the
    /// file.
    ///
    /// - Precondition: the range lies on the disk.
    func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes?
}

extension BlockSource where Self: ~Copyable {
    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 { offset }

    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] { [] }

    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? { nil }
}
