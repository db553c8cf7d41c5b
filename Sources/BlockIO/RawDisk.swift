public import Storage
public import VHDX

/// A file or a block device whose bytes are the disk's.
///
/// What it is written to has no more protection against a crash than the bytes of any file.
public struct RawDisk<File: RandomAccessFile & ~Copyable>: ~Copyable, BlockTarget, Sendable {
    /// The size that the file had when it was opened.
    public let virtualSize: UInt64
    let file: File
    /// Bytes that were changed since the last commit.
    private let uncommittedByteCount = SharedCount()
    /// Why a flush failed: a repeated one that succeeds would prove nothing.
    private let breakage = Lock<VHDXError?>(nil)

    /// What a crash can cost.
    private static var batchByteCount: UInt64 { 1 << 30 }

    public init(_ file: consuming File) throws(VHDXError) {
        virtualSize = try onRawFile { () throws(FileError) in try file.byteCount() }
        self.file = file
    }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        checkPrecondition(range)
        return try onRawFile { () throws(FileError) in try HoleScan.extents(of: file, in: range) }
    }

    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        try onRawFile { () throws(FileError) in
            try file.nextData(from: offset, limit: virtualSize)?.lowerBound ?? virtualSize
        }
    }

    public func storedRanges(in range: Range<UInt64>) -> [StoredRange] {
        checkPrecondition(range)
        return file.storedRanges(in: range)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        checkPrecondition(offset..<offset + UInt64(buffer.byteCount))
        do throws(FileError) {
            try file.read(into: &buffer, at: offset)
        } catch {
            throw .file(error)
        }
    }

    public func mappedBytes(in range: Range<UInt64>) -> MappedBytes? {
        checkPrecondition(range)
        return file.mappedBytes(in: range)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        let range = offset..<offset + UInt64(bytes.byteCount)
        checkPrecondition(range)
        note(range)
        try onRawFile { () throws(FileError) in try file.write(bytes, at: offset) }
    }

    /// Makes a range read as zeros; in a file it becomes a hole.
    public func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        checkPrecondition(range)
        guard !range.isEmpty else { return }
        note(range)
        // A page becomes a hole as a whole: at the end of the file, with what lies behind it.
        let end = range.upperBound == virtualSize ? holeEnd : range.upperBound
        try onRawFile { () throws(FileError) in try file.deallocate(range.lowerBound..<end) }
    }

    /// A place behind the file's last page, however large one is.
    private var holeEnd: UInt64 {
        virtualSize.roundedUp(toMultipleOf: Self.largestPage) ?? virtualSize
    }

    private static var largestPage: UInt64 { 65536 }

    private func checkPrecondition(_ range: Range<UInt64>) {
        precondition(range.upperBound <= virtualSize)
    }

    private func note(_ range: Range<UInt64>) {
        uncommittedByteCount.add(range.byteCount)
    }

    public func commitIfBatchIsFull() throws(VHDXError) {
        guard uncommittedByteCount.current >= Self.batchByteCount else { return }
        try commit()
    }

    public func commit() throws(VHDXError) {
        try breakage.withLock { (breakage) throws(VHDXError) in
            if let breakage { throw breakage }
            guard uncommittedByteCount.current > 0 else { return }
            do throws(VHDXError) {
                try onRawFile { () throws(FileError) in try file.flush() }
            } catch {
                breakage = error
                throw error
            }
            uncommittedByteCount.set(0)
        }
    }

    /// Commits. A disk that was not written to is not touched.
    public consuming func close() throws(VHDXError) {
        try commit()
    }

    /// Makes the file larger, durably, and ends; a device has the size that it has.
    public consuming func grow(to virtualSize: UInt64) throws(VHDXError) {
        try onRawFile { () throws(FileError) in
            try file.setByteCount(virtualSize)
            try file.flush()
        }
    }

    /// Ends without committing; what was written may stay or not. For after an error.
    public consuming func abandon() {}
}

extension RawDisk where File == DiskFile {
    /// Opens a file or a block device by path, with a lock that keeps writers away, or everyone.
    public init(
        openingDiskAt path: String, for access: DiskFile.Access, cacheUse: CacheUse = .keep
    ) throws(VHDXError) {
        var file = try onRawFile { () throws(FileError) in
            try DiskFile(openingDisk: path, for: access)
        }
        file.cacheUse = cacheUse
        file.mapContent()
        try onRawFile { () throws(FileError) in try file.lock(for: access) }
        try self.init(file)
    }

    /// Which file it was when it was opened.
    public var fingerprints: [FileFingerprint] { [file.openingFingerprint] }

    /// The same, with all that tells that the file was changed since; nil for a device, which does
    /// not tell.
    public var stamps: [FileStamp]? { file.isDevice ? nil : [file.openingStamp] }

    /// Whether size and modification time are as when the file was opened. It finds writers who do
    /// not honour locks, on a device not all of them.
    public func isUnchanged() throws(VHDXError) -> Bool {
        try onRawFile { () throws(FileError) in try file.fingerprint() } == file.openingFingerprint
    }

    /// Asks the kernel to read the file from the device next time.
    public func dropCache() {
        file.dropCache()
    }
}

/// Runs calls on a file, with their errors as those of a disk.
private func onRawFile<Result: ~Copyable>(
    _ body: () throws(FileError) -> Result
) throws(VHDXError) -> Result {
    do throws(FileError) {
        return try body()
    } catch {
        throw .file(error)
    }
}
