internal import Storage

/// The block allocation table, loaded a page at a time, with the changes that are not on disk yet.
/// Not thread-safe.
struct BlockAllocationTable: Sendable {
    let geometry: Geometry
    let region: RegionTableEntry
    private(set) var pages = MetadataPages(of: .blockAllocationTable)

    init(geometry: Geometry, region: RegionTableEntry) {
        self.geometry = geometry
        self.region = region
    }

    /// An entry, checked as ``check(_:at:of:)`` does.
    mutating func entry(
        at index: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> BATEntry {
        let page = try page(of: index, from: file)
        return BATEntry(rawValue: page[Int(index % MetadataPages.wordCount)])
    }

    /// The entry of a payload block.
    mutating func entry(
        ofBlock block: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> BATEntry {
        try entry(at: geometry.entryIndex(ofBlock: block), from: file)
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
            if pageIndex != index / MetadataPages.wordCount {
                pageIndex = index / MetadataPages.wordCount
                page = try self.page(of: index, from: file)
            }
            entries.append(BATEntry(rawValue: page[Int(index % MetadataPages.wordCount)]))
        }
        return entries
    }

    /// Changes an entry in memory.
    mutating func setEntry(
        at index: UInt64, to entry: BATEntry,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        var page = try page(of: index, from: file)
        page[Int(index % MetadataPages.wordCount)] = entry.rawValue
        pages.setWords(at: position(ofPageOf: index), to: page)
    }

    /// Changes the entry of a payload block in memory.
    mutating func setEntry(
        ofBlock block: UInt64, to entry: BATEntry,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        try setEntry(at: geometry.entryIndex(ofBlock: block), to: entry, from: file)
    }

    /// Says that all changed pages are on their way to disk, in order behind the log.
    mutating func markUnchanged() {
        pages.markUnchanged()
    }

    /// Where the page with an entry stands in the file.
    private func position(ofPageOf index: UInt64) -> UInt64 {
        region.fileOffset + index / MetadataPages.wordCount * MetadataPages.byteCount
    }

    private mutating func page(
        of index: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [UInt64] {
        let first = index.roundedDown(toMultipleOf: MetadataPages.wordCount)
        // Without the pages, which would be copied once they change.
        let table = BlockAllocationTable(geometry: geometry, region: region)
        return try pages.words(at: position(ofPageOf: index), from: file) {
            (words) throws(VHDXError) in
            // The table was checked when the image was opened; what changed since must not do harm.
            for (slot, raw) in words.enumerated() where raw != 0 {
                guard first + UInt64(slot) < table.geometry.entryCount else { break }
                _ = try table.check(BATEntry(rawValue: raw), at: first + UInt64(slot), of: file)
            }
        }
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
        let position = position(ofEntry: index)
        func invalid(_ field: String, _ value: UInt64) -> VHDXError {
            .invalidField(
                .blockAllocationTable, field: field, value: value, path: file.name, at: position)
        }
        guard entry.reservedBits == 0 else { throw invalid("reserved bits", entry.rawValue) }
        let (structure, size, usedSize): (Structure, UInt64, UInt64)
        switch geometry.role(ofEntry: index) {
        case .unused:
            return nil
        case .sectorBitmap:
            if entry.stateBits == 0 { return nil }
            // Sector bitmaps exist in differencing images only.
            guard geometry.hasParent, entry.isPresentBitmap else {
                throw invalid("sector bitmap state", entry.stateBits)
            }
            structure = .sectorBitmap
            (size, usedSize) = (Geometry.bitmapByteCount, Geometry.bitmapByteCount)
        case .payloadBlock(let block):
            switch entry.state {
            case nil:
                throw invalid("state", entry.stateBits)
            case .notPresent, .zero:
                return nil
            case .undefined, .unmapped:
                if entry.fileOffset == 0 { return nil }
            case .partiallyPresent:
                guard geometry.hasParent else { throw invalid("state", entry.stateBits) }
            case .fullyPresent:
                break
            }
            structure = .payloadBlock
            (size, usedSize) = (
                geometry.blockSize, geometry.virtualRange(ofBlock: block).byteCount
            )
        }
        guard entry.fileOffset >= .mebibyte,
            entry.fileOffset <= SpaceMap.maximumByteCount - size
        else { throw invalid("file offset", entry.fileOffset) }
        guard entry.fileOffset + usedSize <= file.byteCount else {
            throw .truncated(
                structure, path: file.name, at: entry.fileOffset, fileSize: file.byteCount)
        }
        return entry.fileOffset..<entry.fileOffset + size
    }

    /// How many entries are read at once when the whole table is walked: 1 MiB.
    private static let entriesInAScan: UInt64 = 131_072

    /// Walks the whole table once: checks every entry, that no two blocks share a byte with each
    /// other or with what `space` holds already, and that partially present blocks have their
    /// sector bitmap.
    func scan(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, into space: inout SpaceMap
    ) throws(VHDXError) -> ImageInfo.BlockStates {
        var scan = TableScan(table: self, space: space)
        try forEachRun(0..<geometry.entryCount, of: file) { (run, entry) throws(VHDXError) in
            try scan.advance(to: run.lowerBound, of: file.name)
            if run.byteCount == 1 {
                try scan.take(entry, at: run.lowerBound, of: file)
            } else {
                scan.take(zeroBlocks: run)
            }
        }
        try scan.advance(to: geometry.entryCount, of: file.name)
        space = scan.space
        return scan.states
    }

    /// Runs the body on the entries of a range in order, but for those that are 0: most entries of a
    /// sparse disk are, and mean nothing. What lies in a hole of the file is not read.
    func forEachEntry(
        _ indices: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ body: (_ index: UInt64, _ entry: BATEntry) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        try forEachRun(indices, of: file) { (run, entry) throws(VHDXError) in
            for index in run { try body(index, entry) }
        }
    }

    /// As above, with the zero blocks that stand together in a chunk at once: some programs say of each
    /// block of a new disk that it is zero.
    private func forEachRun(
        _ indices: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ body: (_ run: Range<UInt64>, _ entry: BATEntry) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        let zeroBlock = BATEntry(state: .zero)
        var rest = indices
        while let data = try dataEntries(in: rest, of: file) {
            let entries = data.clamped(to: data.lowerBound..<data.lowerBound + Self.entriesInAScan)
            let bytes = try file.structure(
                .blockAllocationTable, at: position(ofEntry: entries.lowerBound),
                count: Int(entries.byteCount) * BATEntry.byteCount)
            let words = bytes.rawSpan
            func entry(_ index: UInt64) -> BATEntry {
                let slot = Int(index - entries.lowerBound)
                return BATEntry(rawValue: words.load(UInt64.self, at: slot * BATEntry.byteCount))
            }
            var index = entries.lowerBound
            while index < entries.upperBound {
                let first = entry(index)
                var end = index + 1
                if first == zeroBlock {
                    let limit = min(entries.upperBound, geometry.endOfPayloadEntries(from: index))
                    while end < limit, entry(end) == zeroBlock { end += 1 }
                }
                if first.rawValue != 0 { try body(index..<end, first) }
                index = end
            }
            rest = entries.upperBound..<indices.upperBound
        }
    }

    /// The first payload block at or after one for which the file has content; nil where none follows.
    /// What is changed in memory counts too.
    func nextStoredBlock(
        from block: UInt64, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> UInt64? {
        let changed = firstChangedBlock(from: block)
        let end = changed.map(geometry.entryIndex(ofBlock:)) ?? geometry.entryCount
        var rest = geometry.entryIndex(ofBlock: block)..<end
        // More at once the longer there is nothing: most often the first few tell.
        var count = MetadataPages.wordCount
        while !rest.isEmpty, let data = try dataEntries(in: rest, of: file) {
            let entries = data.clamped(to: data.lowerBound..<data.lowerBound + count)
            if let found = try firstStoredBlock(in: entries, of: file) { return found }
            rest = entries.upperBound..<rest.upperBound
            count = min(2 * count, Self.entriesInAScan)
        }
        return changed
    }

    /// The first block with content, from one on, in pages that were changed.
    private func firstChangedBlock(from block: UInt64) -> UInt64? {
        pages.changedPages.lazy.flatMap { position, words in
            let start = (position - region.fileOffset) / UInt64(BATEntry.byteCount)
            return words.indices.lazy.compactMap { slot in
                storedBlock(BATEntry(rawValue: words[slot]), at: start + UInt64(slot))
            }
        }.filter { $0 >= block }.min()
    }

    /// The payload block that an entry is for, where the file has content for it.
    private func storedBlock(_ entry: BATEntry, at index: UInt64) -> UInt64? {
        guard entry.mayHoldContent, case .payloadBlock(let block) = geometry.role(ofEntry: index)
        else { return nil }
        return block
    }

    private func firstStoredBlock(
        in entries: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> UInt64? {
        let bytes = try file.structure(
            .blockAllocationTable, at: position(ofEntry: entries.lowerBound),
            count: Int(entries.byteCount) * BATEntry.byteCount)
        let words = bytes.rawSpan
        for slot in 0..<entries.byteCount {
            let entry = BATEntry(
                rawValue: words.load(UInt64.self, at: Int(slot) * BATEntry.byteCount))
            if let block = storedBlock(entry, at: entries.lowerBound + slot) { return block }
        }
        return nil
    }

    /// The next entries that may be other than zero.
    private func dataEntries(
        in indices: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Range<UInt64>? {
        let data = try onFile { () throws(FileError) in
            try file.nextData(
                from: position(ofEntry: indices.lowerBound),
                limit: position(ofEntry: indices.upperBound))
        }
        guard let data else { return nil }
        let size = UInt64(BATEntry.byteCount)
        let first = (data.lowerBound - region.fileOffset) / size
        let end = (data.upperBound - region.fileOffset).dividedRoundingUp(by: size)
        return (first..<end).clamped(to: indices)
    }

    func position(ofEntry index: UInt64) -> UInt64 {
        region.fileOffset + index * UInt64(BATEntry.byteCount)
    }
}

/// What is known of a table while it is walked in order.
struct TableScan: Sendable {
    let table: BlockAllocationTable
    private(set) var space: SpaceMap
    private(set) var states: ImageInfo.BlockStates
    /// The chunk that has a partially present block, and whose sector bitmap was not met yet.
    private var chunkInNeed: UInt64?

    init(table: BlockAllocationTable, space: SpaceMap) {
        self.table = table
        self.space = space
        states = ImageInfo.BlockStates()
        states.notPresent = table.geometry.payloadBlockCount
    }

    /// Says that the entries before this one that were not taken are 0.
    ///
    /// - Throws: that a sector bitmap is missing among them; what comes next can still be taken.
    mutating func advance(to index: UInt64, of path: String) throws(VHDXError) {
        guard let chunk = chunkInNeed else { return }
        let bitmapIndex = table.geometry.entryIndex(ofBitmapOfChunk: chunk)
        guard bitmapIndex < index else { return }
        chunkInNeed = nil
        throw table.missingBitmap(at: bitmapIndex, of: path)
    }

    /// Checks an entry, takes its space, and counts its block.
    ///
    /// - Throws: what is wrong with it; the next one can still be taken.
    mutating func take(
        _ entry: BATEntry, at index: UInt64,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let role = table.geometry.role(ofEntry: index)
        let bitmapIsNeeded = chunkInNeed != nil
        if case .sectorBitmap = role { chunkInNeed = nil }
        if let range = try table.check(entry, at: index, of: file), !space.occupy(range) {
            let structure: Structure =
                if case .payloadBlock = role { .payloadBlock } else { .sectorBitmap }
            throw .overlap(structure, path: file.name, at: range.lowerBound)
        }
        switch role {
        case .unused: break
        case .sectorBitmap:
            guard entry.isPresentBitmap || !bitmapIsNeeded else {
                throw table.missingBitmap(at: index, of: file.name)
            }
        case .payloadBlock(let block):
            count(entry.state)
            if entry.state == .partiallyPresent {
                chunkInNeed = table.geometry.chunk(ofBlock: block)
            }
        }
    }

    /// Counts zero blocks, whose entries stand together in one chunk.
    mutating func take(zeroBlocks run: Range<UInt64>) {
        guard case .payloadBlock(let block) = table.geometry.role(ofEntry: run.lowerBound)
        else { return }
        let count = min(run.byteCount, table.geometry.payloadBlockCount - block)
        states.notPresent -= count
        states.zero += count
    }

    private mutating func count(_ state: PayloadBlockState?) {
        guard let state, state != .notPresent else { return }
        states.notPresent -= 1
        switch state {
        case .undefined: states.undefined += 1
        case .zero: states.zero += 1
        case .unmapped: states.unmapped += 1
        case .fullyPresent: states.fullyPresent += 1
        case .partiallyPresent: states.partiallyPresent += 1
        case .notPresent: break
        }
    }
}

extension BlockAllocationTable {
    /// The error of a chunk whose partially present blocks have no sector bitmap.
    func missingBitmap(at index: UInt64, of path: String) -> VHDXError {
        .invalidField(
            .blockAllocationTable, field: "sector bitmap state of a partially present block",
            value: 0, path: path, at: position(ofEntry: index))
    }
}
