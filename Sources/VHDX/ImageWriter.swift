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
/// - what a differencing image does not hold reads from its parent, sector by sector, until it is
///   written here; the parent is never written to;
/// - the file is a valid image at every moment, at worst with a log to replay.
///
/// Reads and writes may come from several threads at once; commits, ``setMark(_:)``, ``removeMark()``,
/// ``close()`` and ``abandon()`` only while no write is under way. Content that is written and not yet committed reads back as written.
public struct ImageWriter<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    let file: ImageFile<File>
    public let geometry: Geometry
    /// Whether the image keeps all its blocks allocated.
    public let isFixed: Bool
    /// The identity of the disk, the same in all its copies.
    public let virtualDiskID: GUID
    let session: Lock<WriteSession>
    /// What a differencing image builds on.
    private let parent: ImageParent<File>?

    /// Opens and checks an image, and replays its log.
    ///
    /// A differencing image needs its parent. A half-written image is refused, and its log not
    /// replayed, unless `acceptsMark` says that its writer knows what it is.
    ///
    /// - Throws: ``VHDXError`` for every rule of [MS-VHDX] that the file breaks.
    public init(
        _ file: consuming File, parent: ImageParent<File>? = nil, acceptsMark: Bool = false
    ) throws(VHDXError) {
        let path = file.name
        try self.init(
            file, acceptsMark: acceptsMark, findParent: ImageParent.given(parent, for: path))
    }

    /// Opens and checks an image, and replays its log; `findParent` gets the locator of a
    /// differencing one.
    init(
        _ file: consuming File, acceptsMark: Bool,
        findParent: (ParentLocator) throws(VHDXError) -> ImageParent<File>
    ) throws(VHDXError) {
        let start = try ImageStart(of: file)
        var header = start.header
        var imageFile = try ImageFile(file, overlay: start.overlay)
        var layout = try ImageLayout(
            reading: imageFile, header: header, acceptsMark: acceptsMark)
        guard header.header.logLength > 0 else {
            throw .unsupported("an image without a log, for writing", path: imageFile.name)
        }
        let parent = try ImageParent.find(for: layout, of: imageFile.name, findParent)
        if let sequence = start.sequence {
            // What the replay would make of the file is an image, so it may be written.
            let base = imageFile.intoBase()
            try LogReplay.run(sequence, in: base, header: &header)
            imageFile = try ImageFile(base, overlay: LogOverlay())
            layout = try ImageLayout(
                reading: imageFile, header: header, acceptsMark: acceptsMark)
        }
        geometry = layout.geometry
        isFixed = layout.items.kind == .fixed
        virtualDiskID = layout.items.virtualDiskID
        session = Lock(WriteSession(layout, fileSize: imageFile.byteCount))
        self.parent = parent
        self.file = imageFile
    }

    /// Ranges of the content by what is known without reading it; they cover `range` in order.
    public func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange] {
        try BlockContents.ranges(of: places(of: range), of: file, parent: parent)
    }

    /// The first byte at or after `offset` that may be something other than zero, by the word of the
    /// tables alone; the size of the disk where none follows.
    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        guard offset < geometry.virtualSize else { return geometry.virtualSize }
        let block = try session.withLock { (session) throws(VHDXError) in
            try session.map.table.nextStoredBlock(from: offset / geometry.blockSize, of: file)
        }
        return try BlockContents.nextData(
            from: offset, storedBlock: block, geometry, parent: parent)
    }

    /// Where content of a range is stored, as far as that is known, in order: the image's own and that of
    /// its parents.
    ///
    /// - Precondition: nothing was written since the image was opened.
    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        try BlockContents.storedRanges(of: places(of: range), of: file, parent: parent)
    }

    /// Fills the buffer with content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk.
    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        let places = try places(of: offset..<offset + UInt64(buffer.byteCount))
        try BlockContents.read(into: &buffer, from: places, of: file, parent: parent)
    }

    /// Content where the kernel keeps it; nil where it has to be read.
    ///
    /// - Precondition: the range lies on the disk.
    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        try BlockContents.mappedBytes(from: places(of: range), of: file, parent: parent)
    }

    private func places(of range: Range<UInt64>) throws(VHDXError) -> [PlacedRange] {
        precondition(range.upperBound <= geometry.virtualSize)
        return try session.withLock { (session) throws(VHDXError) in
            try session.map.places(of: range, from: file)
        }
    }

    /// Writes content at a virtual offset.
    ///
    /// - Precondition: the bytes lie on the disk; in a differencing image they are whole sectors.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        let range = offset..<offset + UInt64(bytes.byteCount)
        checkPrecondition(range)
        for block in geometry.blocks(in: range) {
            let part = geometry.virtualRange(ofBlock: block).clamped(to: range)
            let place = try session.withLock { (session) throws(VHDXError) in
                try session.placeForWriting(part, of: block, in: file)
            }
            let piece = bytes.extracting(
                Int(part.lowerBound - offset)..<Int(part.upperBound - offset))
            try onFile { () throws(FileError) in
                try file.base.write(
                    piece, at: place.fileOffset + part.lowerBound % geometry.blockSize)
            }
            try complete(place)
        }
    }

    /// Makes a virtual range read as zeros.
    ///
    /// A whole block becomes a ZERO block, and its space is free after the next commit; a part
    /// becomes a hole in the file. A block that is nothing but holes when the next commit comes is a
    /// ZERO block from then on. A fixed image keeps its space.
    ///
    /// - Precondition: the range lies on the disk, and no other thread writes to it; in a
    ///   differencing image it is made of whole sectors.
    public func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        checkPrecondition(range)
        for block in geometry.blocks(in: range) {
            let whole = geometry.virtualRange(ofBlock: block)
            let part = whole.clamped(to: range)
            if part == whole && !isFixed {
                try session.withLock { (session) throws(VHDXError) in
                    try session.makeZero(block, in: file)
                }
                continue
            }
            let place = try session.withLock { (session) throws(VHDXError) in
                try session.placeForZeroing(part, of: block, in: file)
            }
            guard let place else { continue }
            let start = place.fileOffset + part.lowerBound % geometry.blockSize
            try onFile { () throws(FileError) in
                let inFile = start..<start + part.byteCount
                if isFixed {
                    try file.base.writeZeros(inFile)
                } else {
                    try file.base.deallocate(inFile)
                }
            }
            try complete(place)
            if !isFixed { session.withLock { session in session.notePunched(block) } }
        }
    }

    private func checkPrecondition(_ range: Range<UInt64>) {
        precondition(range.upperBound <= geometry.virtualSize)
        let sectorSize = geometry.logicalSectorSize
        precondition(
            !geometry.hasParent
                || range.lowerBound.isMultiple(of: sectorSize)
                    && range.upperBound.isMultiple(of: sectorSize)
        )
    }

    private func complete(_ place: WriteSession.Place) throws(VHDXError) {
        guard place.completion != .nothing else { return }
        try session.withLock { (session) throws(VHDXError) in
            try session.complete(place, in: file)
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
}

extension ImageWriter where File == DiskFile {
    /// Opens an image by path, with a lock that keeps everyone else away, and all that it builds
    /// on, with locks that keep writers away.
    public init(
        openingImageAt path: String, parents: ParentSearch = ParentSearch(),
        acceptsMark: Bool = false, cacheUse: CacheUse = .keep
    ) throws(VHDXError) {
        let file = try DiskFile.openImage(at: path, for: .writing, cacheUse)
        var chain = ImageChain(startingWith: file, parents)
        try self.init(file, acceptsMark: acceptsMark) { (locator) throws(VHDXError) in
            try chain.parent(of: path, locator)
        }
    }
}
