public import Storage
public import VHDX

/// A replica on this machine, of one kind or another.
public enum ReplicaDisk: ~Copyable, ReplicaTarget {
    case image(ImageWriter<DiskFile>)
    case raw(RawDisk<DiskFile>)

    public var virtualSize: UInt64 {
        switch self {
        case .image(let disk): disk.virtualSize
        case .raw(let disk): disk.virtualSize
        }
    }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        switch self {
        case .image(let disk): try disk.extents(in: range)
        case .raw(let disk): try disk.extents(in: range)
        }
    }

    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        switch self {
        case .image(let disk): try disk.nextData(from: offset)
        case .raw(let disk): try disk.nextData(from: offset)
        }
    }

    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        switch self {
        case .image(let disk): try disk.storedRanges(in: range)
        case .raw(let disk): disk.storedRanges(in: range)
        }
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.read(into: &buffer, at: offset)
        case .raw(let disk): try disk.read(into: &buffer, at: offset)
        }
    }

    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        switch self {
        case .image(let disk): try disk.mappedBytes(in: range)
        case .raw(let disk): disk.mappedBytes(in: range)
        }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.write(bytes, at: offset)
        case .raw(let disk): try disk.write(bytes, at: offset)
        }
    }

    public func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.writeZeros(range)
        case .raw(let disk): try disk.writeZeros(range)
        }
    }

    public func commitIfBatchIsFull() throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.commitIfBatchIsFull()
        case .raw(let disk): try disk.commitIfBatchIsFull()
        }
    }

    public func commit() throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.commit()
        case .raw(let disk): try disk.commit()
        }
    }

    public var virtualDiskID: GUID {
        switch self {
        case .image(let disk): disk.virtualDiskID
        case .raw(let disk): disk.virtualDiskID
        }
    }

    public var dataWriteGUID: GUID {
        switch self {
        case .image(let disk): disk.dataWriteGUID
        case .raw(let disk): disk.dataWriteGUID
        }
    }

    public var isMarkable: Bool {
        switch self {
        case .image(let disk): disk.isMarkable
        case .raw(let disk): disk.isMarkable
        }
    }

    public var mark: ApplyMark? {
        switch self {
        case .image(let disk): disk.mark
        case .raw(let disk): disk.mark
        }
    }

    public func chooseDataWriteGUID(_ guid: GUID) {
        switch self {
        case .image(let disk): disk.chooseDataWriteGUID(guid)
        case .raw(let disk): disk.chooseDataWriteGUID(guid)
        }
    }

    public func checkRoom(for mark: ApplyMark) throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.checkRoom(for: mark)
        case .raw(let disk): try disk.checkRoom(for: mark)
        }
    }

    public func setMark(_ mark: ApplyMark) throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.setMark(mark)
        case .raw(let disk): try disk.setMark(mark)
        }
    }

    public func removeMark() throws(VHDXError) {
        switch self {
        case .image(let disk): try disk.removeMark()
        case .raw(let disk): try disk.removeMark()
        }
    }

    public consuming func close() throws(VHDXError) {
        switch consume self {
        case .image(let disk): try disk.close()
        case .raw(let disk): try disk.close()
        }
    }

    /// Makes the disk larger, and ends. What is new reads as zeros, or as the parent of an image.
    public consuming func grow(to virtualSize: UInt64) throws(VHDXError) {
        switch consume self {
        case .image(let disk): try disk.grow(to: virtualSize)
        case .raw(let disk): try disk.grow(to: virtualSize)
        }
    }

    public consuming func abandon() {
        switch consume self {
        case .image(let disk): disk.abandon()
        case .raw(let disk): disk.abandon()
        }
    }
}

// A raw disk has no place for a mark, and no name for its states.
extension RawDisk: ReplicaTarget where File: ~Copyable {
    public var virtualDiskID: GUID { .zero }
    public var dataWriteGUID: GUID { .zero }
    public var isMarkable: Bool { false }
    public var mark: ApplyMark? { nil }
    public func chooseDataWriteGUID(_ guid: GUID) {}
    public func checkRoom(for mark: ApplyMark) throws(VHDXError) {}
    public func setMark(_ mark: ApplyMark) throws(VHDXError) {}

    public func removeMark() throws(VHDXError) { try commit() }
}
