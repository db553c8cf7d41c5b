internal import Storage

/// Everything about an image but its blocks: read and checked in one go, for readers and writers.
struct ImageLayout: Sendable {
    var creator: String
    var header: CurrentHeader
    var regions: RegionTable.Reading
    var items: MetadataItems
    var geometry: Geometry
    var table: BlockAllocationTable
    var space: SpaceMap
    var blockStates: ImageInfo.BlockStates

    /// Reads and checks the identifier and the current header, which lead to the log.
    static func readHeader(
        from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> CurrentHeader {
        _ = try readIdentifier(from: file)
        let header = try CurrentHeader.read(from: file)
        let fileSize = try onFile { () throws(FileError) in try file.byteCount() }
        try header.header.checkLog(of: file.name, fileSize: fileSize, at: header.position)
        return header
    }

    private static func readIdentifier(
        from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> FileIdentifier {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.bytes(at: 0, count: FileIdentifier.byteCount)
        } catch {
            if case .unexpectedEnd = error { throw .notVHDX(path: file.name) }
            throw .file(error)
        }
        return try FileIdentifier(decoding: bytes.rawSpan, of: file.name)
    }

    /// Reads and checks the rest through the log.
    init(
        reading file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        header: CurrentHeader
    ) throws(VHDXError) {
        creator = try Self.readIdentifier(from: file.base).creator
        self.header = header
        regions = try RegionTable.read(from: file)
        space = try Self.space(of: regions.table, log: header.header.logRange, in: file)

        items = try Self.readItems(from: file, regions.table)
        guard let region = regions.table.entry(RegionTableEntry.blockAllocationTable) else {
            throw .missing(.blockAllocationTable, path: file.name)
        }
        geometry = Geometry(items)
        guard geometry.entryCount * UInt64(BATEntry.byteCount) <= UInt64(region.length) else {
            throw .invalidField(
                .blockAllocationTable, field: "region length", value: UInt64(region.length),
                path: file.name, at: region.fileOffset)
        }
        table = BlockAllocationTable(geometry: geometry, region: region)
        blockStates = try table.scan(file, into: &space)
    }

    static func readItems(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, _ regions: RegionTable
    ) throws(VHDXError) -> MetadataItems {
        guard let region = regions.entry(RegionTableEntry.metadata) else {
            throw .missing(.metadataTable, path: file.name)
        }
        return try MetadataItems.read(from: file, in: region)
    }

    /// What the headers, the log and the regions occupy, which must not overlap.
    private static func space(
        of regions: RegionTable, log: Range<UInt64>,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> SpaceMap {
        var space = SpaceMap()
        _ = space.occupy(0..<UInt64.mebibyte)
        guard space.occupy(log) else {
            throw .overlap(.log, path: file.name, at: log.lowerBound)
        }
        for entry in regions.entries where !space.occupy(entry.range) {
            throw .overlap(.regionTable, path: file.name, at: entry.fileOffset)
        }
        return space
    }
}
