internal import Storage

/// The block allocation table, loaded a page at a time, with the changes that are not on disk yet.
///
/// A page is what the log writes at once: 4096 bytes, 512 entries. Clean pages are dropped when
/// there are too many, so memory does not grow with the disk; changed pages stay until they are
/// durable. Not thread-safe.
struct BlockAllocationTable: Sendable {
    static let entriesInAPage: UInt64 = 512
    /// 4 MiB: the entries of 512 GiB at payload blocks of 1 MiB.
    private static let maximumCleanPageCount = 1024

    let geometry: Geometry
    let region: RegionTableEntry
    private var pages: [UInt64: [UInt64]] = [:]
    private(set) var changedPages: Set<UInt64> = []

    init(geometry: Geometry, region: RegionTableEntry) {
        self.geometry = geometry
        self.region = region
    }

    /// The entry of a payload block, checked as ``check(_:at:of:fileSize:)`` does.
    mutating func entry(
        ofBlock block: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> BATEntry {
        let index = geometry.entryIndex(ofBlock: block)
        let page = try page(index / Self.entriesInAPage, from: file)
        return BATEntry(rawValue: page[Int(index % Self.entriesInAPage)])
    }

    /// The entries of neighbouring payload blocks.
    mutating func entries(
        ofBlocks blocks: Range<UInt64>,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [BATEntry] {
        var entries: [BATEntry] = []
        entries.reserveCapacity(blocks.count)
        var page: [UInt64] = []
        var pageIndex: UInt64?
        for block in blocks {
            let index = geometry.entryIndex(ofBlock: block)
            if pageIndex != index / Self.entriesInAPage {
                pageIndex = index / Self.entriesInAPage
                page = try self.page(index / Self.entriesInAPage, from: file)
            }
            entries.append(BATEntry(rawValue: page[Int(index % Self.entriesInAPage)]))
        }
        return entries
    }

    /// Changes an entry in memory.
    ///
    /// - Precondition: ``entry(ofBlock:from:)`` was called for it, with no other block in between.
    mutating func setEntry(ofBlock block: UInt64, to entry: BATEntry) {
        let index = geometry.entryIndex(ofBlock: block)
        let pageIndex = index / Self.entriesInAPage
        precondition(pages[pageIndex] != nil)
        pages[pageIndex]?[Int(index % Self.entriesInAPage)] = entry.rawValue
        changedPages.insert(pageIndex)
    }

    /// A page as it is to stand on disk, and where.
    func page(_ pageIndex: UInt64) -> LoggedPage {
        var bytes = [UInt8](repeating: 0, count: LogEntryHeader.sectorSize)
        let entries = pages[pageIndex] ?? []
        bytes.withMutableRawSpan { span in
            for (index, entry) in entries.enumerated() { span.store(entry, at: index * 8) }
        }
        return LoggedPage(fileOffset: filePosition(ofPage: pageIndex), bytes: bytes)
    }

    /// Says that all changed pages are on their way to disk, in order behind the log.
    mutating func markUnchanged() {
        changedPages = []
    }

    /// Forgets changes that were not logged.
    mutating func discardChanges() {
        for pageIndex in changedPages { pages[pageIndex] = nil }
        changedPages = []
    }

    private func filePosition(ofPage pageIndex: UInt64) -> UInt64 {
        region.fileOffset + pageIndex * UInt64(LogEntryHeader.sectorSize)
    }

    /// The entries of a page, loaded if need be.
    private mutating func page(
        _ pageIndex: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [UInt64] {
        if let page = pages[pageIndex] { return page }
        if pages.count - changedPages.count >= Self.maximumCleanPageCount {
            pages = pages.filter { changedPages.contains($0.key) }
        }
        let position = filePosition(ofPage: pageIndex)
        let bytes = try file.structure(
            .blockAllocationTable, at: position, count: LogEntryHeader.sectorSize)
        let first = pageIndex * Self.entriesInAPage
        var entries: [UInt64] = []
        entries.reserveCapacity(Int(Self.entriesInAPage))
        for slot in 0..<Self.entriesInAPage {
            let raw = bytes.rawSpan.load(UInt64.self, at: Int(slot) * BATEntry.byteCount)
            // The table was checked when the image was opened; what changed since must not do harm.
            if raw != 0, first + slot < geometry.entryCount {
                _ = try check(BATEntry(rawValue: raw), at: first + slot, of: file)
            }
            entries.append(raw)
        }
        pages[pageIndex] = entries
        return entries
    }
}

extension BlockAllocationTable {
    /// Checks an entry by itself, and returns the bytes of the file that it occupies, if any.
    ///
    /// A retained offset of an undefined or unmapped block is occupied. The last block may reach
    /// past the end of the file with what lies past the end of the disk.
    func check(
        _ entry: BATEntry, at index: UInt64,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Range<UInt64>? {
        let position = region.fileOffset + index * UInt64(BATEntry.byteCount)
        func invalid(_ field: String, _ value: UInt64) -> VHDXError {
            .invalidField(
                .blockAllocationTable, field: field, value: value, path: file.name, at: position)
        }
        guard entry.reservedBits == 0 else { throw invalid("reserved bits", entry.rawValue) }
        let block: UInt64
        switch geometry.role(ofEntry: index) {
        case .sectorBitmap:
            // Sector bitmaps exist in differencing images only.
            guard entry.stateBits == 0 else {
                throw invalid("sector bitmap state", entry.stateBits)
            }
            return nil
        case .payloadBlock(let number):
            block = number
        }
        switch entry.state {
        case nil, .partiallyPresent:
            throw invalid("state", entry.stateBits)
        case .notPresent, .zero:
            return nil
        case .undefined, .unmapped:
            if entry.fileOffset == 0 { return nil }
        case .fullyPresent:
            break
        }
        guard entry.fileOffset >= .mebibyte,
            entry.fileOffset <= SpaceMap.maximumByteCount - geometry.blockSize
        else { throw invalid("file offset", entry.fileOffset) }
        guard entry.fileOffset + geometry.virtualRange(ofBlock: block).byteCount <= file.byteCount
        else {
            throw .truncated(
                .payloadBlock, path: file.name, at: entry.fileOffset, fileSize: file.byteCount)
        }
        return entry.fileOffset..<entry.fileOffset + geometry.blockSize
    }

    /// How many entries are read at once when the whole table is walked: 1 MiB.
    private static let entriesInAScan: UInt64 = 131_072

    /// Walks the whole table once: checks every entry, and that no two blocks share a byte with
    /// each other or with what `space` holds already.
    func scan(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, into space: inout SpaceMap
    ) throws(VHDXError) -> ImageInfo.BlockStates {
        var states = ImageInfo.BlockStates()
        try forEachEntry(0..<geometry.entryCount, of: file) { (index, entry) throws(VHDXError) in
            try scan(entry, at: index, of: file, &space, &states)
        }
        states.notPresent =
            geometry.payloadBlockCount - states.undefined - states.zero - states.unmapped
            - states.fullyPresent
        return states
    }

    /// Runs the body on every entry of a range but those that are 0: most entries of a sparse disk
    /// are, and there is nothing to check about them.
    func forEachEntry(
        _ indices: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ body: (_ index: UInt64, _ entry: BATEntry) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        var first = indices.lowerBound
        while first < indices.upperBound {
            let count = min(Self.entriesInAScan, indices.upperBound - first)
            let bytes = try file.structure(
                .blockAllocationTable, at: region.fileOffset + first * UInt64(BATEntry.byteCount),
                count: Int(count) * BATEntry.byteCount)
            for index in 0..<count {
                let raw = bytes.rawSpan.load(UInt64.self, at: Int(index) * BATEntry.byteCount)
                if raw != 0 { try body(first + index, BATEntry(rawValue: raw)) }
            }
            first += count
        }
    }

    /// Checks an entry, takes its space, and counts its block.
    func scan(
        _ entry: BATEntry, at index: UInt64,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ space: inout SpaceMap, _ states: inout ImageInfo.BlockStates
    ) throws(VHDXError) {
        if let range = try check(entry, at: index, of: file), !space.occupy(range) {
            throw .overlap(.payloadBlock, path: file.name, at: range.lowerBound)
        }
        guard case .payloadBlock = geometry.role(ofEntry: index) else { return }
        switch entry.state {
        case .undefined: states.undefined += 1
        case .zero: states.zero += 1
        case .unmapped: states.unmapped += 1
        case .fullyPresent: states.fullyPresent += 1
        case .notPresent, .partiallyPresent, nil: break
        }
    }
}
