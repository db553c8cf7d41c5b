internal import Storage

/// The part of a check that walks the block allocation table: each entry, and what it makes of the
/// file's space.
struct BlockCheck {
    let table: BlockAllocationTable
    private var scan: TableScan
    /// Where the block lies that was placed last, in the order of the disk.
    private var lastPlace: UInt64?
    private var backwardCount: UInt64 = 0
    private var firstBackward: UInt64?
    private var shortLastBlock: Range<UInt64>?
    private var strayCount: UInt64 = 0
    private var firstStray: UInt64?

    init(table: BlockAllocationTable, space: SpaceMap) {
        self.table = table
        scan = TableScan(table: table, space: space)
    }

    private var geometry: Geometry { table.geometry }
    private var space: SpaceMap { scan.space }

    /// Walks the entries that there should be and those behind them, as far as the region and the
    /// file reach.
    mutating func run<File: RandomAccessFile & ~Copyable>(
        on file: borrowing ImageFile<File>, _ list: inout FindingList
    ) throws(VHDXError) {
        let start = table.region.fileOffset
        let end = min(table.region.range.upperBound, max(file.byteCount, start))
        let entryCount = (end - start) / UInt64(BATEntry.byteCount)
        let usedCount = min(geometry.entryCount, entryCount)
        try table.forEachEntry(0..<usedCount, of: file) { (index, entry) throws(VHDXError) in
            advance(to: index, of: file.name, &list)
            try check(entry, at: index, of: file, &list)
        }
        advance(to: usedCount, of: file.name, &list)
        try table.forEachEntry(usedCount..<entryCount, of: file) { index, _ in
            countStray(at: index)
        }
    }

    private mutating func advance(to index: UInt64, of path: String, _ list: inout FindingList) {
        do throws(VHDXError) {
            try scan.advance(to: index, of: path)
        } catch {
            list.add(error)
        }
    }

    private mutating func countStray(at index: UInt64) {
        strayCount += 1
        firstStray = firstStray ?? table.position(ofEntry: index)
    }

    private mutating func check<File: RandomAccessFile & ~Copyable>(
        _ entry: BATEntry, at index: UInt64, of file: borrowing ImageFile<File>,
        _ list: inout FindingList
    ) throws(VHDXError) {
        do throws(VHDXError) {
            try scan.take(entry, at: index, of: file)
        } catch {
            if case .file = error { throw error }
            return list.add(error, subject: subject(ofEntry: index))
        }
        let role = geometry.role(ofEntry: index)
        if role == .unused { return countStray(at: index) }
        noteOffset(entry, at: index, &list)
        guard case .payloadBlock(let block) = role,
            entry.state == .fullyPresent || entry.state == .partiallyPresent
        else { return }
        if let lastPlace, entry.fileOffset < lastPlace {
            backwardCount += 1
            firstBackward = firstBackward ?? block
        }
        lastPlace = entry.fileOffset
        let range = entry.fileOffset..<entry.fileOffset + geometry.blockSize
        if range.upperBound > file.byteCount { shortLastBlock = range }
    }

    private func subject(ofEntry index: UInt64) -> String {
        switch geometry.role(ofEntry: index) {
        case .payloadBlock(let block): "payload block \(block): "
        case .sectorBitmap(let chunk): "sector bitmap \(chunk): "
        case .unused: ""
        }
    }

    private func noteOffset(_ entry: BATEntry, at index: UInt64, _ list: inout FindingList) {
        guard entry.fileOffset != 0 else { return }
        switch entry.state {
        case .notPresent, .zero:
            list.add(
                .notice, .unusedOffset, .blockAllocationTable, at: table.position(ofEntry: index),
                value: entry.rawValue,
                "\(subject(ofEntry: index))it is nowhere in the file, yet the entry names a place "
                    + "that means nothing")
        case .undefined, .unmapped:
            list.add(
                .notice, .retainedOffset, .blockAllocationTable, at: table.position(ofEntry: index),
                value: entry.rawValue,
                "\(subject(ofEntry: index))it holds nothing, and keeps its place in the file")
        case .fullyPresent, .partiallyPresent, nil: break
        }
    }

    /// Says what concerns all blocks, or the whole file.
    func finish<File: RandomAccessFile & ~Copyable>(
        isFixed: Bool, in file: borrowing ImageFile<File>, _ list: inout FindingList
    ) {
        noteBlocks(isFixed: isFixed, &list)
        let fileSize = file.byteCount
        if let shortLastBlock {
            list.add(
                .notice, .shortLastBlock, .payloadBlock, at: shortLastBlock.lowerBound,
                value: shortLastBlock.upperBound - fileSize,
                "the file lacks \(shortLastBlock.upperBound - fileSize) bytes of the last block, all "
                    + "past the end of the disk")
        }
        if !fileSize.isMultiple(of: .mebibyte) {
            let isCut = shortLastBlock != nil
            list.add(
                isCut ? .warning : .notice, .fileSize, .file, at: fileSize, value: fileSize,
                "the file's size is not a multiple of 1 MiB, which some software refuses"
                    + (isCut ? ": its last block is cut" : ""))
        }
        // With errors it is not known what is used.
        if list.counts[.error] == nil { noteSpace(fileSize, &list) }
    }

    private func noteBlocks(isFixed: Bool, _ list: inout FindingList) {
        if backwardCount > 0, let firstBackward {
            list.add(
                .notice, .blockOrder, .payloadBlock, at: nil, value: backwardCount,
                "\(backwardCount) times the next block of the disk lies further ahead in the file, "
                    + "first at block \(firstBackward)")
        }
        if strayCount > 0 {
            list.add(
                .notice, .strayEntries, .blockAllocationTable, at: firstStray, value: strayCount,
                "entries behind that of the last block that are not 0, and mean nothing: "
                    + "\(strayCount)")
        }
        let absentCount = geometry.payloadBlockCount - scan.states.fullyPresent
        if isFixed, absentCount > 0, list.counts[.error] == nil {
            list.add(
                .notice, .fixedUnallocated, .fileParameters, at: nil, value: absentCount,
                "blocks of a fixed image that have no content in the file: \(absentCount)")
        }
    }

    private func noteSpace(_ fileSize: UInt64, _ list: inout FindingList) {
        let between = space.freeByteCount
        if between > 0 {
            list.add(
                .notice, .unusedSpace, .file, at: space.firstFree, value: between,
                "\(between) bytes between structures are not used")
        }
        if fileSize > space.end {
            list.add(
                .notice, .unusedSpace, .file, at: space.end, value: fileSize - space.end,
                "\(fileSize - space.end) bytes behind the last structure are not used")
        }
    }
}
