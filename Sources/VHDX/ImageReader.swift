public import Storage

/// An image that is open for reading. It changes no byte of the file: a dirty log is replayed in
/// memory.
///
/// Reads may come from several threads at once.
public struct ImageReader<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    let file: ImageFile<File>
    private let layout: ImageLayout
    private let table: Lock<BlockAllocationTable>
    private let logIsDirty: Bool

    /// Opens and checks an image.
    ///
    /// - Throws: ``VHDXError`` for every rule of [MS-VHDX] that the file breaks.
    public init(_ file: consuming File) throws(VHDXError) {
        let header = try ImageLayout.readHeader(from: file)
        let sequence = try LogSequence.active(in: file, header: header)
        let overlay: LogOverlay
        if let sequence {
            overlay = try LogOverlay(replaying: sequence, in: file)
        } else {
            overlay = LogOverlay()
        }
        let imageFile = try ImageFile(file, overlay: overlay)
        let layout = try ImageLayout(reading: imageFile, header: header)
        self.layout = layout
        table = Lock(layout.table)
        logIsDirty = sequence != nil
        self.file = imageFile
    }

    public var geometry: Geometry { layout.geometry }

    /// The identity of the disk, the same in all its copies.
    public var virtualDiskID: GUID { layout.items.virtualDiskID }

    /// The identity of this state of the content.
    public var dataWriteGUID: GUID { layout.header.header.dataWriteGUID }

    /// Whether the image keeps all its blocks allocated.
    public var isFixed: Bool { layout.items.leavesBlocksAllocated }

    /// Whether both headers still read as when the image was opened.
    public func headerIsUnchanged() throws(VHDXError) -> Bool {
        try CurrentHeader.read(from: file.base) == layout.header
    }

    /// Ranges of the content by what is known without reading it; they cover `range` in order.
    public func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange] {
        try BlockContents.ranges(in: range, of: file, geometry: geometry) {
            (blocks) throws(VHDXError) in
            try table.withLock { (table) throws(VHDXError) in
                try table.entries(ofBlocks: blocks, from: file)
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

    private func entry(ofBlock block: UInt64) throws(VHDXError) -> BATEntry {
        try table.withLock { (table) throws(VHDXError) in
            try table.entry(ofBlock: block, from: file)
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
    /// Opens an image by path, with a lock that keeps writers away.
    public init(openingImageAt path: String) throws(VHDXError) {
        try self.init(DiskFile.openImage(at: path, for: .reading))
    }

    /// Which file it is and when it last changed.
    public func fingerprint() throws(VHDXError) -> FileFingerprint {
        try onFile { () throws(FileError) in try file.base.fingerprint() }
    }

    /// Asks the kernel to read the file from the device next time.
    public func dropCache() {
        file.base.dropCache()
    }
}

extension DiskFile {
    /// Opens and locks the file of an image.
    static func openImage(at path: String, for access: Access) throws(VHDXError) -> DiskFile {
        let file = try onFile { () throws(FileError) in
            try DiskFile(opening: path, for: access)
        }
        try onFile { () throws(FileError) in try file.lock(for: access) }
        return file
    }
}
