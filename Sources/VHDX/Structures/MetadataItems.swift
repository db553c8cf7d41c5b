internal import Storage

/// The items that the format defines, [MS-VHDX] 2.6.2.
struct MetadataItems: Equatable, Sendable {
    /// Bytes in a payload block.
    var blockSize: UInt64
    /// Whether blocks stay allocated: a fixed image.
    var leavesBlocksAllocated: Bool
    /// Where the parent is, of a differencing image.
    var parentLocator: ParentLocator?
    var virtualSize: UInt64
    var virtualDiskID: GUID
    var logicalSectorSize: UInt64
    var physicalSectorSize: UInt64
    /// What the image bears where it is half-written.
    var mark: ApplyMark?

    var hasParent: Bool { parentLocator != nil }

    var kind: ImageInfo.Kind {
        if hasParent { return .differencing }
        return leavesBlocksAllocated ? .fixed : .dynamic
    }

    static let maximumVirtualSize: UInt64 = 64 << 40
    static let blockSizes: ClosedRange<UInt64> = 1 << 20...256 << 20
    static let sectorSizes: [UInt64] = [512, 4096]
}

/// An item that this package knows, and how it is stored.
struct KnownMetadataItem: Sendable {
    var itemID: GUID
    var structure: Structure
    /// The only length it may have.
    var length: UInt32
    var flags: UInt32

    private init(_ text: String, _ structure: Structure, length: UInt32, ofVirtualDisk: Bool) {
        itemID = GUID(text) ?? .zero
        self.structure = structure
        self.length = length
        flags =
            MetadataTableEntry.requiredFlag
            | (ofVirtualDisk ? MetadataTableEntry.virtualDiskFlag : 0)
    }

    static let fileParameters = KnownMetadataItem(
        "caa16737-fa36-4d43-b3b6-33f0aa44e76b", .fileParameters, length: 8, ofVirtualDisk: false)
    static let virtualDiskSize = KnownMetadataItem(
        "2fa54224-cd1b-4876-b211-5dbed83bf4b8", .virtualDiskSize, length: 8, ofVirtualDisk: true)
    static let virtualDiskID = KnownMetadataItem(
        "beca12ab-b2e6-4523-93ef-c309e000c746", .virtualDiskID, length: 16, ofVirtualDisk: true)
    static let logicalSectorSize = KnownMetadataItem(
        "8141bf1d-a96f-4709-ba47-f233a8faab5f", .logicalSectorSize, length: 4,
        ofVirtualDisk: true)
    static let physicalSectorSize = KnownMetadataItem(
        "cda348c7-445d-4471-9cc9-e9885251c556", .physicalSectorSize, length: 4,
        ofVirtualDisk: true)

    /// In the order in which a new image stores them.
    static let all = [
        fileParameters, virtualDiskSize, logicalSectorSize, physicalSectorSize, virtualDiskID,
    ]

    /// Items that are known by name only: what their presence means.
    static let parentLocator = GUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c") ?? .zero
    static let incompleteFile = GUID("71cc85f0-1b69-4e28-9558-c3bf83ae75d3") ?? .zero
}

extension MetadataItems {
    /// Reads and checks the region.
    static func read(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        in region: RegionTableEntry
    ) throws(VHDXError) -> MetadataItems {
        let table = try examineTable(file, in: region).valid()
        return try examine(table, in: region, of: file).valid()
    }

    /// Reads the table, or what is right of it.
    ///
    /// - Throws: an error of the file.
    static func examineTable(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        in region: RegionTableEntry
    ) throws(VHDXError) -> Examination<MetadataTable> {
        var errors: [VHDXError] = []
        let bytes = try errors.collect { () throws(VHDXError) in
            try file.structure(
                .metadataTable, at: region.fileOffset, count: MetadataTable.byteCount)
        }
        guard let bytes else { return Examination(errors: errors) }
        return MetadataTable.examine(
            bytes.rawSpan, regionLength: region.length, of: file.name, at: region.fileOffset)
    }

    /// Reads the items. They have a value where all is right that says how the disk is laid out.
    ///
    /// - Throws: an error of the file.
    static func examine(
        _ table: MetadataTable, in region: RegionTableEntry,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Examination<MetadataItems> {
        var errors = requiredErrors(of: table, file.name)
        let reader = ItemReader(table: table, region: region)
        let parameters = try reader.number(of: .fileParameters, from: file, &errors)
        let diskID = try reader.bytes(of: .virtualDiskID, from: file, &errors)
        let virtualSize = try reader.number(of: .virtualDiskSize, from: file, &errors)
        let logicalSize = try reader.number(of: .logicalSectorSize, from: file, &errors)
        let physicalSize = try reader.number(of: .physicalSectorSize, from: file, &errors)
        let locator =
            (parameters ?? 0) >> 32 & 2 == 0
            ? nil
            : try errors.collect { () throws(VHDXError) in try reader.parentLocator(from: file) }
        let mark = try errors.collect { () throws(VHDXError) in try reader.mark(from: file) }
        // What is missing was said to be; a value that is right stands in for it.
        let flags = (parameters ?? 0) >> 32
        let items = MetadataItems(
            blockSize: (parameters ?? blockSizes.lowerBound) & UInt64(UInt32.max),
            leavesBlocksAllocated: flags & 1 != 0,
            parentLocator: flags & 2 != 0 ? locator ?? .unknown : nil,
            virtualSize: virtualSize ?? maximumVirtualSize,
            virtualDiskID: diskID.map { GUID(decoding: $0.rawSpan, at: 0) } ?? .zero,
            logicalSectorSize: logicalSize ?? sectorSizes[0],
            physicalSectorSize: physicalSize ?? sectorSizes[0],
            mark: mark.flatMap(\.self))
        if flags & ~3 != 0 {
            errors.append(
                .invalidField(
                    .fileParameters, field: "flags", value: flags, path: file.name,
                    at: reader.position(of: .fileParameters)))
        }
        let layoutErrors = items.layoutErrors(of: file.name, reader.position)
        errors += layoutErrors + items.otherErrors(of: file.name, reader.position)
        let hasLayout = parameters != nil && virtualSize != nil && logicalSize != nil
        return Examination(
            value: hasLayout && layoutErrors.isEmpty ? items : nil, errors: errors)
    }

    /// Where an item that the format demands stands in the file.
    static func position(
        of item: KnownMetadataItem,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        in region: RegionTableEntry
    ) throws(VHDXError) -> UInt64 {
        let table = try examineTable(file, in: region).valid()
        return ItemReader(table: table, region: region).position(of: item)
    }

    /// An unknown item that is required says: do not open.
    private static func requiredErrors(of table: MetadataTable, _ path: String) -> [VHDXError] {
        table.entries.filter { $0.isRequired && !$0.isKnown }.map { entry in
            entry.itemID == KnownMetadataItem.incompleteFile
                ? .unsupported("its creation was never completed", path: path)
                : .unsupported("required metadata item \(entry.itemID)", path: path)
        }
    }

    /// What is wrong with the values that the table of blocks follows from, [MS-VHDX] 2.6.2.1,
    /// 2.6.2.2 and 2.6.2.4.
    private func layoutErrors(
        of path: String, _ position: (KnownMetadataItem) -> UInt64
    ) -> [VHDXError] {
        func invalid(_ item: KnownMetadataItem, _ field: String, _ value: UInt64) -> VHDXError {
            .invalidField(
                item.structure, field: field, value: value, path: path, at: position(item))
        }
        var errors: [VHDXError] = []
        if !Self.blockSizes.contains(blockSize) || blockSize.nonzeroBitCount != 1 {
            errors.append(invalid(.fileParameters, "block size", blockSize))
        }
        let sectorSizeIsValid = Self.sectorSizes.contains(logicalSectorSize)
        if !sectorSizeIsValid {
            errors.append(invalid(.logicalSectorSize, "size", logicalSectorSize))
        }
        if virtualSize == 0 || virtualSize > Self.maximumVirtualSize
            || sectorSizeIsValid && !virtualSize.isMultiple(of: logicalSectorSize)
        {
            errors.append(invalid(.virtualDiskSize, "size", virtualSize))
        }
        return errors
    }

    /// What is wrong with the other values, [MS-VHDX] 2.6.2.5.
    private func otherErrors(
        of path: String, _ position: (KnownMetadataItem) -> UInt64
    ) -> [VHDXError] {
        guard !Self.sectorSizes.contains(physicalSectorSize) else { return [] }
        return [
            .invalidField(
                .physicalSectorSize, field: "size", value: physicalSectorSize, path: path,
                at: position(.physicalSectorSize))
        ]
    }

    /// Checks the values, [MS-VHDX] 2.6.2.1 to 2.6.2.5.
    func check(
        _ path: String, _ position: (KnownMetadataItem) -> UInt64
    ) throws(VHDXError) {
        try (layoutErrors(of: path, position) + otherErrors(of: path, position)).throwFirst()
    }
}

extension MetadataTableEntry {
    /// Whether it is an item of [MS-VHDX] 2.6.2, or a mark of this package. A user's item is not,
    /// whatever its identifier.
    var isKnown: Bool {
        !isUser
            && (itemID == KnownMetadataItem.parentLocator || isApplyMark
                || KnownMetadataItem.all.contains { $0.itemID == itemID })
    }
}

extension MetadataItems {
    /// The used bytes of a new region: the table, and behind it the items in their order.
    func encodedRegion() -> [UInt8] {
        let locator = parentLocator?.encoded() ?? []
        var table = MetadataTable(entries: [])
        var offset = UInt32(MetadataTable.byteCount)
        func add(_ itemID: GUID, length: UInt32, flags: UInt32) {
            table.entries.append(
                MetadataTableEntry(itemID: itemID, offset: offset, length: length, flags: flags))
            offset += length
        }
        for item in KnownMetadataItem.all {
            add(item.itemID, length: item.length, flags: item.flags)
        }
        let fixedEnd = Int(offset)
        if !locator.isEmpty {
            add(
                KnownMetadataItem.parentLocator, length: UInt32(locator.count),
                flags: MetadataTableEntry.requiredFlag)
        }
        var bytes = [UInt8](repeating: 0, count: fixedEnd)
        let entries = table.entries
        bytes.withMutableRawSpan { span in
            table.encode(into: &span)
            let flags: UInt32 = (leavesBlocksAllocated ? 1 : 0) | (hasParent ? 2 : 0)
            span.store(UInt32(blockSize), at: Int(entries[0].offset))
            span.store(flags, at: Int(entries[0].offset) + 4)
            span.store(virtualSize, at: Int(entries[1].offset))
            span.store(UInt32(logicalSectorSize), at: Int(entries[2].offset))
            span.store(UInt32(physicalSectorSize), at: Int(entries[3].offset))
            virtualDiskID.encode(into: &span, at: Int(entries[4].offset))
        }
        return bytes + locator
    }
}

/// Finds known items in the region.
private struct ItemReader {
    var table: MetadataTable
    var region: RegionTableEntry

    func position(of item: KnownMetadataItem) -> UInt64 {
        let entry = table.entries.first { $0.itemID == item.itemID && !$0.isUser }
        return region.fileOffset + UInt64(entry?.offset ?? 0)
    }

    /// The value of an item of four or eight bytes; nil after an error.
    func number(
        of item: KnownMetadataItem,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ errors: inout [VHDXError]
    ) throws(VHDXError) -> UInt64? {
        guard let bytes = try bytes(of: item, from: file, &errors) else { return nil }
        return item.length == 4
            ? UInt64(bytes.rawSpan.load(UInt32.self, at: 0))
            : bytes.rawSpan.load(UInt64.self, at: 0)
    }

    /// The content of an item; nil after an error.
    func bytes(
        of item: KnownMetadataItem,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ errors: inout [VHDXError]
    ) throws(VHDXError) -> [UInt8]? {
        try errors.collect { () throws(VHDXError) in try bytes(of: item, from: file) }
    }

    private func bytes(
        of item: KnownMetadataItem,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [UInt8] {
        guard let entry = table.entries.first(where: { $0.itemID == item.itemID && !$0.isUser })
        else { throw .missing(item.structure, path: file.name) }
        guard entry.length == item.length else {
            throw .invalidField(
                item.structure, field: "length", value: UInt64(entry.length), path: file.name,
                at: region.fileOffset + UInt64(entry.offset))
        }
        return try bytes(of: entry, item.structure, from: file)
    }

    /// The locator, which has any length up to that of an item.
    func parentLocator(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> ParentLocator {
        let itemID = KnownMetadataItem.parentLocator
        guard let entry = table.entries.first(where: { $0.itemID == itemID && !$0.isUser })
        else { throw .missing(.parentLocator, path: file.name) }
        let bytes = try bytes(of: entry, .parentLocator, from: file)
        return try ParentLocator(
            decoding: bytes.rawSpan, of: file.name,
            at: region.fileOffset + UInt64(entry.offset))
    }

    /// The mark of a half-written image; nil where there is none.
    func mark(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> ApplyMark? {
        guard let entry = table.entries.first(where: \.isApplyMark) else { return nil }
        let position = region.fileOffset + UInt64(entry.offset)
        guard entry.flags == ApplyMark.flags else {
            throw .invalidField(
                .applyMark, field: "flags", value: UInt64(entry.flags), path: file.name,
                at: position)
        }
        let bytes = try bytes(of: entry, .applyMark, from: file)
        return try ApplyMark(decoding: bytes.rawSpan, of: file.name, at: position)
    }

    private func bytes(
        of entry: MetadataTableEntry, _ structure: Structure,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [UInt8] {
        try file.structure(
            structure, at: region.fileOffset + UInt64(entry.offset), count: Int(entry.length))
    }
}
