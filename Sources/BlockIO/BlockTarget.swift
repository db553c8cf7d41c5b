public import VHDX

/// A disk that can be written.
///
/// Content reads back as written at once, and is durable after ``commit()``. At every moment the
/// file is a valid disk with, for each block that was written since the last commit, the old
/// content, the new one, or a mixture of both.
public protocol BlockTarget: BlockSource, ~Copyable {
    /// Writes content at a virtual offset. May come from several threads at once.
    ///
    /// - Precondition: the bytes lie on the disk.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError)

    /// Makes a range read as zeros, in the way that takes the least space the disk's kind allows.
    ///
    /// - Precondition: the range lies on the disk, and no other thread writes to it.
    func writeZeros(_ range: Range<UInt64>) throws(VHDXError)

    /// Commits if so much waits for it that a crash would cost much. Not while a write is under way.
    func commitIfBatchIsFull() throws(VHDXError)

    /// Makes everything that was written durable. Not while a write is under way.
    func commit() throws(VHDXError)
}
