public import Storage

/// What a new image is to be.
public struct ImageSpecification: Equatable, Sendable {
    /// Bytes of the disk: a multiple of the logical sector size, at most 64 TiB.
    public var virtualSize: UInt64
    /// Bytes in a payload block: a power of two from 1 to 256 MiB.
    public var blockSize: UInt64 = 32 << 20
    /// 512 or 4096 bytes.
    public var logicalSectorSize: UInt64 = 512
    /// 512 or 4096 bytes.
    public var physicalSectorSize: UInt64 = 4096
    /// Whether all blocks are allocated at once.
    public var isFixed = false
    /// The identity of the disk. A replica bears that of its primary.
    public var virtualDiskID = GUID.random()
    /// What the new image builds on; it is a differencing image then, and cannot be fixed.
    public var parent: ParentReference?
    /// Who makes the file.
    public var creator = "vhdresync"

    public init(virtualSize: UInt64) {
        self.virtualSize = virtualSize
    }
}

/// The parent that a new differencing image names.
public struct ParentReference: Equatable, Sendable {
    /// Its state: it must not be written to any more.
    public var dataWriteGUID: GUID
    /// From the new image's folder to the parent, with `/` between names.
    public var relativePath: String

    public init(dataWriteGUID: GUID, relativePath: String) {
        self.dataWriteGUID = dataWriteGUID
        self.relativePath = relativePath
    }

    /// An open image as the parent of one that is to be made at a path.
    public init(
        to parent: borrowing ImageReader<DiskFile>, from path: String
    ) throws(VHDXError) {
        dataWriteGUID = parent.dataWriteGUID
        let parentPath = parent.file.name
        relativePath = try onFile { () throws(FileError) in
            let folder = try Folder.realPath(of: PathText.folder(of: path))
            return Folder.relativePath(from: folder, to: try Folder.realPath(of: parentPath))
        }
    }
}

extension ImageSpecification {
    /// Makes the new image a differencing one on an open image, whose disk it continues: with its
    /// sectors and its identity.
    public mutating func build(
        on parent: borrowing ImageReader<DiskFile>, at path: String
    ) throws(VHDXError) {
        isFixed = false
        blockSize = Self.differencingBlockSize
        logicalSectorSize = parent.geometry.logicalSectorSize
        physicalSectorSize = parent.geometry.physicalSectorSize
        virtualDiskID = parent.virtualDiskID
        self.parent = try ParentReference(to: parent, from: path)
    }

    /// What Windows takes for differencing images.
    private static let differencingBlockSize: UInt64 = 2 << 20
}

/// Makes new images: the log at 1 MiB, the metadata at 2, the block allocation table at 3, and in a
/// fixed image the blocks behind it, in order.
public enum ImageCreation {
    private static let logLength = UInt64.mebibyte
    private static let metadataRegion = RegionTableEntry(
        identifier: RegionTableEntry.metadata, fileOffset: 2 << 20, length: 1 << 20,
        isRequired: true)
    private static let tableOffset: UInt64 = 3 << 20

    /// Makes an image that appears under its name complete and durable, or not at all.
    ///
    /// - Throws: `FileError.alreadyExists` where the name is taken.
    public static func create(
        _ specification: ImageSpecification, at path: String
    ) throws(VHDXError) {
        let items = try checkedItems(specification)
        let replacement = try onFile { () throws(FileError) in
            try DurableReplacement(of: path)
        }
        do throws(VHDXError) {
            try write(specification, items, to: replacement.file)
        } catch {
            replacement.discard()
            throw error
        }
        do throws(FileError) {
            try replacement.commit(.refuse)
        } catch {
            throw .file(error)
        }
    }

    /// Writes an image into an empty file. The identifier, without which it is none, comes last.
    public static func write(
        _ specification: ImageSpecification, to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) {
        try write(specification, checkedItems(specification), to: file)
    }

    private static func write(
        _ specification: ImageSpecification, _ items: MetadataItems,
        to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) {
        let geometry = Geometry(items)
        let tableRegion = try tableRegion(for: geometry)
        let end =
            tableRegion.range.upperBound
            + (specification.isFixed ? geometry.payloadBlockCount * geometry.blockSize : 0)
        try onFile { () throws(FileError) in
            try file.setByteCount(end)
            try file.reserve(0..<tableOffset)
            if specification.isFixed {
                try file.reserve(tableOffset..<end)
                try writeTable(of: geometry, in: tableRegion, to: file)
            }
            try writeMetadata(items, to: file)
            let regions = RegionTable(entries: [metadataRegion, tableRegion])
            var bytes = [UInt8](repeating: 0, count: RegionTable.byteCount)
            bytes.withMutableRawSpan { regions.encode(into: &$0) }
            for position in RegionTable.positions { try file.write(bytes.rawSpan, at: position) }
            try writeHeaders(to: file)
            try file.flush()

            bytes = [UInt8](repeating: 0, count: FileIdentifier.byteCount)
            let identifier = FileIdentifier(creator: specification.creator)
            bytes.withMutableRawSpan { identifier.encode(into: &$0) }
            try file.write(bytes.rawSpan, at: 0)
            try file.flush()
        }
    }

    private static func checkedItems(
        _ specification: ImageSpecification
    ) throws(VHDXError) -> MetadataItems {
        guard !specification.isFixed || specification.parent == nil else {
            throw .invalidGeometry("a fixed image has no parent")
        }
        let locator = try specification.parent.map { (parent) throws(VHDXError) in
            let path = parent.relativePath
            // Whoever reads the locator would take these for a drive, or for two names.
            guard !path.utf8.contains(where: { [UInt8](#":\"#.utf8).contains($0) }) else {
                throw .invalidGeometry("no locator can hold the name of its parent, \(path)")
            }
            let names = PathText.components(of: path)
            return ParentLocator(
                linkage: parent.dataWriteGUID, relativePath: names.joined(separator: #"\"#))
        }
        let items = MetadataItems(
            blockSize: specification.blockSize,
            leavesBlocksAllocated: specification.isFixed, parentLocator: locator,
            virtualSize: specification.virtualSize, virtualDiskID: specification.virtualDiskID,
            logicalSectorSize: specification.logicalSectorSize,
            physicalSectorSize: specification.physicalSectorSize)
        do throws(VHDXError) {
            try items.check("") { _ in 0 }
        } catch {
            guard case .invalidField(let structure, _, let value, _, _) = error else { throw error }
            throw .invalidGeometry("\(structure.rawValue) \(value)")
        }
        return items
    }

    private static func tableRegion(
        for geometry: Geometry
    ) throws(VHDXError) -> RegionTableEntry {
        let byteCount = geometry.entryCount * UInt64(BATEntry.byteCount)
        guard let length = byteCount.roundedUp(toMultipleOf: .mebibyte),
            let stored = UInt32(exactly: length)
        else { throw .invalidGeometry("a block allocation table of \(byteCount) bytes") }
        return RegionTableEntry(
            identifier: RegionTableEntry.blockAllocationTable, fileOffset: tableOffset,
            length: stored, isRequired: true)
    }

    /// The table of a fixed image: all blocks present, in order.
    private static func writeTable(
        of geometry: Geometry, in region: RegionTableEntry,
        to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        let entriesAtOnce: UInt64 = 131_072
        var first: UInt64 = 0
        while first < geometry.entryCount {
            let count = min(entriesAtOnce, geometry.entryCount - first)
            var bytes = [UInt8](repeating: 0, count: Int(count) * BATEntry.byteCount)
            bytes.withMutableRawSpan { span in
                for index in 0..<count {
                    guard case .payloadBlock(let block) = geometry.role(ofEntry: first + index)
                    else { continue }
                    let place = region.range.upperBound + block * geometry.blockSize
                    let entry = BATEntry(state: .fullyPresent, fileOffset: place)
                    span.store(entry.rawValue, at: Int(index) * BATEntry.byteCount)
                }
            }
            try file.write(
                bytes.rawSpan, at: region.fileOffset + first * UInt64(BATEntry.byteCount))
            first += count
        }
    }

    private static func writeMetadata(
        _ items: MetadataItems, to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        let bytes = items.encodedRegion()
        try file.write(bytes.rawSpan, at: metadataRegion.fileOffset)
    }

    /// Both copies, with sequence numbers 0 and 1.
    private static func writeHeaders(
        to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        var header = ImageHeader(
            sequenceNumber: 0, fileWriteGUID: .random(), dataWriteGUID: .random(), logGUID: .zero,
            logVersion: 0, logLength: UInt32(logLength), logOffset: .mebibyte)
        for position in CurrentHeader.positions {
            var bytes = [UInt8](repeating: 0, count: ImageHeader.byteCount)
            bytes.withMutableRawSpan { header.encode(into: &$0) }
            try file.write(bytes.rawSpan, at: position)
            header.sequenceNumber += 1
        }
    }
}
