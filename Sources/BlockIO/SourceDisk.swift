public import Storage
public import VHDX

/// A disk that is read, of whichever kind.
public enum SourceDisk: ~Copyable, BlockSource, Sendable {
    case image(ImageReader<DiskFile>)
    case raw(RawDisk<DiskFile>)

    public var virtualSize: UInt64 {
        switch self {
        case .image(let reader): reader.virtualSize
        case .raw(let disk): disk.virtualSize
        }
    }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        switch self {
        case .image(let reader): try reader.extents(in: range)
        case .raw(let disk): try disk.extents(in: range)
        }
    }

    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        switch self {
        case .image(let reader): try reader.nextData(from: offset)
        case .raw(let disk): try disk.nextData(from: offset)
        }
    }

    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        switch self {
        case .image(let reader): try reader.storedRanges(in: range)
        case .raw(let disk): disk.storedRanges(in: range)
        }
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        switch self {
        case .image(let reader): try reader.read(into: &buffer, at: offset)
        case .raw(let disk): try disk.read(into: &buffer, at: offset)
        }
    }

    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        switch self {
        case .image(let reader): try reader.mappedBytes(in: range)
        case .raw(let disk): disk.mappedBytes(in: range)
        }
    }

    /// Which files they were when they were opened: the disk's and those that it builds on.
    public var fingerprints: [FileFingerprint] {
        switch self {
        case .image(let reader): reader.fingerprints
        case .raw(let disk): disk.fingerprints
        }
    }

    /// The same, with all that tells that they were changed since; nil for a device, which does not
    /// tell.
    public var stamps: [FileStamp]? {
        switch self {
        case .image(let reader): reader.stamps
        case .raw(let disk): disk.stamps
        }
    }

    /// Whether a log of the image, or of one that it builds on, has to be replayed.
    public var hasDirtyLog: Bool {
        switch self {
        case .image(let reader): reader.hasDirtyLog
        case .raw: false
        }
    }

    /// Whether it is an image of the format, not the bytes of a file.
    public var isImage: Bool {
        switch self {
        case .image: true
        case .raw: false
        }
    }

    /// Whether the files are as when they were opened, as far as they tell.
    public func isUnchanged() throws(VHDXError) -> Bool {
        switch self {
        case .image(let reader): try reader.isUnchanged()
        case .raw(let disk): try disk.isUnchanged()
        }
    }

    /// Asks the kernel to read the files from the device next time.
    public func dropCache() {
        switch self {
        case .image(let reader): reader.dropCache()
        case .raw(let disk): disk.dropCache()
        }
    }

    /// The identity of the disk, the same in all its copies; a raw disk has none.
    public var virtualDiskID: GUID {
        switch self {
        case .image(let reader): reader.virtualDiskID
        case .raw: .zero
        }
    }

    /// The identity of this state of the content; a raw disk has none.
    public var dataWriteGUID: GUID {
        switch self {
        case .image(let reader): reader.dataWriteGUID
        case .raw: .zero
        }
    }
}
