public import Storage

/// An image that is open for reading, with the parents that it builds on. It changes no byte of a
/// file: a dirty log is replayed in memory.
///
/// Reads may come from several threads at once.
public struct ImageReader<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    let file: ImageFile<File>
    private let layout: ImageLayout
    private let map: Lock<BlockMap>
    /// What a differencing image builds on.
    private let parent: ImageParent<File>?
    private let logIsDirty: Bool

    /// Opens and checks an image.
    ///
    /// A differencing image needs its parent. A half-written image is refused unless `acceptsMark`
    /// says that its reader knows what it is.
    ///
    /// - Throws: ``VHDXError`` for every rule of [MS-VHDX] that the file breaks.
    public init(
        _ file: consuming File, parent: ImageParent<File>? = nil, acceptsMark: Bool = false
    ) throws(VHDXError) {
        let path = file.name
        try self.init(
            file, acceptsMark: acceptsMark, findParent: ImageParent.given(parent, for: path))
    }

    /// Opens and checks an image; `findParent` gets the locator of a differencing one.
    init(
        _ file: consuming File, acceptsMark: Bool,
        findParent: (ParentLocator) throws(VHDXError) -> ImageParent<File>
    ) throws(VHDXError) {
        let start = try ImageStart(of: file)
        let imageFile = try ImageFile(file, overlay: start.overlay)
        var layout = try ImageLayout(
            reading: imageFile, header: start.header, acceptsMark: acceptsMark)
        // Who only reads needs no space.
        layout.space = SpaceMap()
        parent = try ImageParent.find(for: layout, of: imageFile.name, findParent)
        self.layout = layout
        map = Lock(BlockMap(table: layout.table))
        logIsDirty = start.sequence != nil
        self.file = imageFile
    }

    public var geometry: Geometry { layout.geometry }

    /// The identity of the disk, the same in all its copies.
    public var virtualDiskID: GUID { layout.items.virtualDiskID }

    /// The identity of this state of the content.
    public var dataWriteGUID: GUID { layout.header.header.dataWriteGUID }

    /// What the image bears where it is half-written.
    public var mark: ApplyMark? { layout.items.mark }

    /// Whether the log of the image, or of one that it builds on, has to be replayed.
    public var hasDirtyLog: Bool { logIsDirty || parent?.reader.hasDirtyLog ?? false }

    /// Whether the image keeps all its blocks allocated.
    public var isFixed: Bool { layout.items.kind == .fixed }

    /// Whether both headers still read as when the image was opened.
    public func headerIsUnchanged() throws(VHDXError) -> Bool {
        try CurrentHeader.read(from: file.base) == layout.header
    }

    /// Ranges of the content by what is known without reading it; they cover `range` in order.
    public func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange] {
        try BlockContents.ranges(of: places(of: range), of: file, parent: parent)
    }

    /// The first byte at or after `offset` that may be something other than zero, by the word of the
    /// tables alone; the size of the disk where none follows.
    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        guard offset < geometry.virtualSize else { return geometry.virtualSize }
        let block = try map.withLock { (map) throws(VHDXError) in
            try map.table.nextStoredBlock(from: offset / geometry.blockSize, of: file)
        }
        return try BlockContents.nextData(
            from: offset, storedBlock: block, geometry, parent: parent)
    }

    /// Where content of a range is stored, as far as that is known, in order: the image's own and that of
    /// its parents.
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
        return try map.withLock { (map) throws(VHDXError) in
            try map.places(of: range, from: file)
        }
    }
}

extension ImageReader where File: ~Copyable {
    /// A description of the image.
    public var info: ImageInfo {
        ImageInfo(
            layout, of: file.name, fileSize: file.byteCount, logIsDirty: logIsDirty)
    }
}

extension ImageReader where File == DiskFile {
    /// Which files they were when they were opened: the image's and those of its parents.
    public var fingerprints: [FileFingerprint] { stamps.map(\.fingerprint) }

    /// The same, with all that tells that they were changed since.
    public var stamps: [FileStamp] {
        [file.base.openingStamp] + (parent?.reader.stamps ?? [])
    }

    /// Whether the files, those of the parents too, have headers, size and modification time as
    /// when they were opened. It finds writers who do not honour locks.
    public func isUnchanged() throws(VHDXError) -> Bool {
        let current = try onFile { () throws(FileError) in try file.base.fingerprint() }
        guard current == file.base.openingFingerprint else { return false }
        guard try headerIsUnchanged() else { return false }
        guard let parent else { return true }
        return try parent.reader.isUnchanged()
    }

    /// Asks the kernel to read the files, those of the parents too, from the device next time.
    public func dropCache() {
        file.base.dropCache()
        parent?.reader.dropCache()
    }
}

extension DiskFile {
    /// Opens and locks the file of an image.
    static func openImage(
        at path: String, for access: Access, _ cacheUse: CacheUse = .keep
    ) throws(VHDXError) -> DiskFile {
        var file = try onFile { () throws(FileError) in
            try DiskFile(opening: path, for: access)
        }
        file.cacheUse = cacheUse
        file.mapContent()
        try onFile { () throws(FileError) in try file.lock(for: access) }
        return file
    }
}
