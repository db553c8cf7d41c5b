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

    /// Fills the buffer with content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError)
}
