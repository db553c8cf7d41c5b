public import Storage

/// An image that is open for reading and writing.
///
/// Opening replays a dirty log. Nothing else in the file changes before the first write; that one
/// gives the file a new FileWriteGuid and DataWriteGuid ([MS-VHDX] 2.2.2) before anything else.
/// Then:
///
/// - content of an allocated block is overwritten in place, and has no more protection against a
///   crash than the bytes of any file;
/// - a new block is written to space that no durable entry refers to, and becomes part of the disk
///   with the next commit: a crash leaves it out or puts it in whole;
/// - the file is a valid image at every moment, at worst with a log to replay.
///
/// Reads and writes may come from several threads at once; commits, ``close()`` and ``abandon()`` only
/// while no write is under way. Content that is written and not yet committed reads back as written.
public struct ImageWriter<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    let file: ImageFile<File>
    public let geometry: Geometry
    /// Whether the image keeps all its blocks allocated.
    public let isFixed: Bool
    private let session: Lock<WriteSession>

    /// Opens and checks an image, and replays its log.
    ///
    /// - Throws: ``VHDXError`` for every rule of [MS-VHDX] that the file breaks.
    public init(_ file: consuming File) throws(VHDXError) {
        var header = try ImageLayout.readHeader(from: file)
        if let sequence = try LogSequence.active(in: file, header: header) {
            // What the replay would make of the file must be an image, or nothing is written.
            let overlay = try LogOverlay(replaying: sequence, in: file)
            let replayed = try ImageFile(file, overlay: overlay)
            _ = try ImageLayout(reading: replayed, header: header)
            file = replayed.intoBase()
            try LogReplay.run(sequence, in: file, header: &header)
        }
        let imageFile = try ImageFile(file, overlay: LogOverlay())
        let layout = try ImageLayout(reading: imageFile, header: header)
        guard header.header.logLength > 0 else {
            throw .unsupported("an image without a log, for writing", path: imageFile.name)
        }
        geometry = layout.geometry
        isFixed = layout.items.leavesBlocksAllocated
        session = Lock(WriteSession(layout, fileSize: imageFile.byteCount))
        self.file = imageFile
    }

    /// Ranges of the content by what is known without reading it; they cover `range` in order.
    public func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange] {
        try BlockContents.ranges(in: range, of: file, geometry: geometry) {
            (blocks) throws(VHDXError) in
            try session.withLock { (session) throws(VHDXError) in
                try session.table.entries(ofBlocks: blocks, from: file)
            }
        }
    }

    /// Fills the buffer with content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk.
    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        try BlockContents.read(into: &buffer, at: offset, of: file, geometry: geometry) {
            (block) throws(VHDXError) in try entry(ofBlock: block)
        }
    }

    /// Writes content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        let end = offset + UInt64(bytes.byteCount)
        precondition(end <= geometry.virtualSize)
        for block in geometry.blocks(in: offset..<end) {
            let part = geometry.virtualRange(ofBlock: block).clamped(to: offset..<end)
            let start = try session.withLock { (session) throws(VHDXError) in
                try session.placeForWriting(block, in: file)
            }
            let piece = bytes.extracting(
                Int(part.lowerBound - offset)..<Int(part.upperBound - offset))
            try onFile { () throws(FileError) in
                try file.base.write(piece, at: start + part.lowerBound % geometry.blockSize)
            }
        }
    }

    /// Makes a virtual range read as zeros.
    ///
    /// A whole block of a dynamic image becomes a ZERO block, and its space is free after the next
    /// commit; a part becomes a hole in the file. A fixed image keeps its space.
    ///
    /// - Precondition: the range lies on the disk, and no other thread writes to it.
    public func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        precondition(range.upperBound <= geometry.virtualSize)
        for block in geometry.blocks(in: range) {
            let whole = geometry.virtualRange(ofBlock: block)
            let part = whole.clamped(to: range)
            let start = try session.withLock { (session) throws(VHDXError) in
                part == whole && !isFixed
                    ? try session.makeZero(block, in: file)
                    : try session.placeForZeroing(block, in: file)
            }
            guard let start else { continue }
            let place = start + part.lowerBound % geometry.blockSize
            try onFile { () throws(FileError) in
                let inFile = place..<place + part.byteCount
                if isFixed {
                    try file.base.writeZeros(inFile)
                } else {
                    try file.base.deallocate(inFile)
                }
            }
        }
    }

    /// Makes new blocks part of the disk if enough of them wait: after a crash, what was written
    /// before is not lost with what came later.
    public func commitIfBatchIsFull() throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in
            if session.batchIsFull { try session.commit(in: file) }
        }
    }

    /// Makes everything that was written durable.
    public func commit() throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in try session.commit(in: file) }
    }

    /// Commits, marks the log as empty, and gives back spare space at the end.
    ///
    /// An image that was not written to is not touched. After an error the file is a valid image,
    /// at worst with a log to replay.
    public consuming func close() throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in try session.close(in: file) }
    }

    /// Ends without committing: new blocks since the last commit are dropped. For after an error.
    ///
    /// Leaves a valid image; where even that needs a write that fails, one with a log to replay.
    public consuming func abandon() {
        session.withLock { session in session.abandon(in: file) }
    }

    private func entry(ofBlock block: UInt64) throws(VHDXError) -> BATEntry {
        try session.withLock { (session) throws(VHDXError) in
            try session.table.entry(ofBlock: block, from: file)
        }
    }
}

extension ImageWriter where File == DiskFile {
    /// Opens an image by path, with a lock that keeps everyone else away.
    public init(openingImageAt path: String) throws(VHDXError) {
        try self.init(DiskFile.openImage(at: path, for: .writing))
    }

    /// Which file it is and when it last changed.
    public func fingerprint() throws(VHDXError) -> FileFingerprint {
        try onFile { () throws(FileError) in try file.base.fingerprint() }
    }
}
