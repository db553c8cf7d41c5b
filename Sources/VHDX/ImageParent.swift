public import Storage

/// An image that others build on, open for reading.
public final class ImageParent<File: RandomAccessFile & ~Copyable>: Sendable {
    let reader: ImageReader<File>

    public init(_ reader: consuming ImageReader<File>) {
        self.reader = reader
    }

    /// The search of who was given the parent, or none, with the image at a path.
    static func given(
        _ parent: ImageParent?, for path: String
    ) -> (ParentLocator) throws(VHDXError) -> ImageParent {
        { (_) throws(VHDXError) in
            guard let parent else {
                throw .unsupported("a differencing image, which needs its parent", path: path)
            }
            return parent
        }
    }

    /// Finds what an image builds on; nil where it builds on none. What was found must be in the
    /// state that the image's locator names, and have its sectors.
    static func find(
        for layout: ImageLayout, of path: String,
        _ find: (ParentLocator) throws(VHDXError) -> ImageParent
    ) throws(VHDXError) -> ImageParent? {
        guard let locator = layout.items.parentLocator else { return nil }
        let parent = try find(locator)
        let parentPath = parent.reader.file.name
        // Whoever opened it may have known; through its child it would read as a whole disk.
        if let mark = parent.reader.mark {
            throw .unfinishedApply(path: parentPath, mark: mark)
        }
        guard locator.names(parent.reader.dataWriteGUID) else {
            throw .parentMismatch(
                path: path, parent: parentPath, expected: locator.linkage,
                found: parent.reader.dataWriteGUID)
        }
        try layout.geometry.checkParent(
            parent.reader.geometry, of: path, parentPath: parentPath)
        return parent
    }

    /// Fills the buffer with content at a virtual offset; beyond the end of this disk with zeros.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        let size = reader.geometry.virtualSize
        let count = offset < size ? Int(min(size - offset, UInt64(buffer.byteCount))) : 0
        var rest = buffer.part(count..<buffer.byteCount)
        rest.clear()
        guard count > 0 else { return }
        var part = buffer.part(0..<count)
        try reader.read(into: &part, at: offset)
    }

    /// Content where the kernel keeps it; nil where it has to be read, as beyond the end of this disk.
    func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        guard range.upperBound <= reader.geometry.virtualSize else { return nil }
        return try reader.mappedBytes(in: range)
    }

    /// What is known of a range; beyond the end of this disk it reads as zeros.
    func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange] {
        let size = reader.geometry.virtualSize
        let present = range.clamped(to: 0..<size)
        var ranges = present.isEmpty ? [] : try reader.contents(in: present)
        let beyond = max(range.lowerBound, size)..<max(range.upperBound, size)
        if !beyond.isEmpty { ranges.append(ContentRange(range: beyond, isZero: true)) }
        return ranges
    }

    /// The first byte at or after `offset` that may be something other than zero; `UInt64.max` where none
    /// follows.
    func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        let size = reader.geometry.virtualSize
        guard offset < size else { return .max }
        let next = try reader.nextData(from: offset)
        return next < size ? next : .max
    }

    /// Where content of a range is stored, as far as that is known.
    func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        let present = range.clamped(to: 0..<reader.geometry.virtualSize)
        return present.isEmpty ? [] : try reader.storedRanges(in: present)
    }
}

extension Geometry {
    /// Checks that an image with this geometry can build on one with that.
    func checkParent(
        _ parent: Geometry, of path: String, parentPath: String
    ) throws(VHDXError) {
        guard logicalSectorSize == parent.logicalSectorSize else {
            throw .parentSectorSize(
                path: path, parent: parentPath, expected: logicalSectorSize,
                found: parent.logicalSectorSize)
        }
    }
}
