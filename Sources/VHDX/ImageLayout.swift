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

    static func readIdentifier(
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
    ///
    /// - Throws: ``VHDXError/unfinishedApply(path:mark:)`` for a half-written image, before its table
    ///   is read, unless that is accepted.
    init(
        reading file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        header: CurrentHeader, acceptsMark: Bool
    ) throws(VHDXError) {
        creator = try Self.readIdentifier(from: file.base).creator
        self.header = header
        regions = try RegionTable.read(from: file)
        space = try Self.space(
            of: regions.table, log: header.header.logRange, in: file.name
        ).valid()

        items = try Self.readItems(from: file, regions.table)
        if let mark = items.mark, !acceptsMark {
            throw .unfinishedApply(path: file.name, mark: mark)
        }
        let region = try Self.tableRegion(in: regions.table, of: file.name)
        geometry = Geometry(items)
        try Self.checkLength(of: region, for: geometry, of: file.name)
        table = BlockAllocationTable(geometry: geometry, region: region)
        blockStates = try table.scan(file, into: &space)
    }

    static func metadataRegion(
        in table: RegionTable, of path: String
    ) throws(VHDXError) -> RegionTableEntry {
        guard let region = table.entry(RegionTableEntry.metadata) else {
            throw .missing(.metadataTable, path: path)
        }
        return region
    }

    static func tableRegion(
        in table: RegionTable, of path: String
    ) throws(VHDXError) -> RegionTableEntry {
        guard let region = table.entry(RegionTableEntry.blockAllocationTable) else {
            throw .missing(.blockAllocationTable, path: path)
        }
        return region
    }

    /// Checks that the region of the block allocation table has room for every entry.
    static func checkLength(
        of region: RegionTableEntry, for geometry: Geometry, of path: String
    ) throws(VHDXError) {
        guard geometry.entryCount * UInt64(BATEntry.byteCount) <= UInt64(region.length) else {
            throw .invalidField(
                .blockAllocationTable, field: "region length", value: UInt64(region.length),
                path: path, at: region.fileOffset)
        }
    }

    static func readItems(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, _ regions: RegionTable
    ) throws(VHDXError) -> MetadataItems {
        let region = try metadataRegion(in: regions, of: file.name)
        return try MetadataItems.read(from: file, in: region)
    }

    /// What the headers, the log and the regions occupy, which must not overlap.
    /// The log may be unknown.
    static func space(
        of regions: RegionTable, log: Range<UInt64>?, in path: String
    ) -> Examination<SpaceMap> {
        var space = SpaceMap()
        var errors: [VHDXError] = []
        _ = space.occupy(0..<UInt64.mebibyte)
        if let log, !space.occupy(log) {
            errors.append(.overlap(.log, path: path, at: log.lowerBound))
        }
        for entry in regions.entries where !space.occupy(entry.range) {
            errors.append(.overlap(.regionTable, path: path, at: entry.fileOffset))
        }
        return Examination(value: space, errors: errors)
    }
}
