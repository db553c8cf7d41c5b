internal import Storage

extension ImageWriter where File: ~Copyable {
    /// Makes the disk larger and closes the image. What is new reads as zeros; in a differencing
    /// image, new blocks read as the parent, and so does the rest of a last block that is partially
    /// present. What was written before becomes part of it.
    ///
    /// A crash or an error at any point leaves the old size or the new one, and the content as it
    /// was. The block allocation table stays where it is, or moves where it no longer fits.
    ///
    /// - Throws: ``VHDXError/invalidGeometry(_:)`` for a size that is not larger, or that the format
    ///   does not allow.
    public consuming func grow(to virtualSize: UInt64) throws(VHDXError) {
        do throws(VHDXError) {
            try session.withLock { (session) throws(VHDXError) in
                try session.grow(to: virtualSize, isFixed: isFixed, in: file)
            }
        } catch {
            abandon()
            throw error
        }
        try close()
    }
}

extension WriteSession {
    /// All that the larger disk needs is written where the smaller one does not look, and made
    /// durable. Then one log entry changes everything that it does look at.
    mutating func grow(
        to virtualSize: UInt64, isFixed: Bool,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let new = try geometry.grown(to: virtualSize)
        // The larger table is made from what stands in the file.
        try commit(in: file)
        try begin(in: file)
        try clearTail(isFixed: isFixed, in: file)
        let added = geometry.payloadBlockCount..<new.payloadBlockCount
        let firstPlace = isFixed ? try newBlocks(added.byteCount, in: file) : nil
        let growth = TableGrowth(
            table: map.table, to: new, region: try region(for: new, in: file),
            firstPlace: firstPlace)
        var pages = try growth.write(to: file)
        pages += map.bitmaps.pages.logged()
        pages += try sizePages(virtualSize, of: file)
        if growth.region != map.table.region {
            pages += move(to: growth.region)
        }
        try commit(pages, in: file)
        map = BlockMap(table: BlockAllocationTable(geometry: new, region: growth.region))
    }

    /// Makes what lies behind the end of the disk in its last block read as zeros.
    private mutating func clearTail(
        isFixed: Bool, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let block = geometry.payloadBlockCount - 1
        let used = geometry.virtualRange(ofBlock: block)
        let entry = try map.table.entry(ofBlock: block, from: file)
        let isPresent = entry.state == .fullyPresent || entry.state == .partiallyPresent
        guard isPresent, used.byteCount < geometry.blockSize else { return }
        let tail = entry.fileOffset + used.byteCount..<entry.fileOffset + geometry.blockSize
        try onFile { () throws(FileError) in
            // A file may end with the disk, inside its last block.
            if file.byteCount < tail.upperBound { try file.grow(to: tail.upperBound) }
            if isFixed {
                try file.base.writeZeros(tail)
            } else {
                try file.base.deallocate(tail)
            }
        }
        guard entry.state == .partiallyPresent else { return }
        let sectors = geometry.sectorsInChunk(used)
        let end = sectors.lowerBound + geometry.blockSize / geometry.logicalSectorSize
        try map.bitmaps.set(
            sectors.upperBound..<end, to: false,
            inBitmapAt: try map.bitmap(ofBlock: block, from: file), from: file)
    }

    /// Space for the blocks that a fixed image gets, in one run; nil for none.
    private mutating func newBlocks(
        _ count: UInt64, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> UInt64? {
        guard count > 0 else { return nil }
        let byteCount = count * geometry.blockSize
        let place = try newSpace(byteCount, in: file)
        try onFile { () throws(FileError) in
            try file.base.reserve(place..<place + byteCount)
        }
        return place
    }

    /// Where the table of the larger disk stands.
    private mutating func region(
        for new: Geometry, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> RegionTableEntry {
        var region = map.table.region
        let needed = new.entryCount * UInt64(BATEntry.byteCount)
        guard needed > UInt64(region.length) else { return region }
        // At most 513 MiB, for the largest disk that the format allows.
        let length = needed.roundedUp(toMultipleOf: .mebibyte) ?? needed
        region.fileOffset = try newSpace(length, in: file)
        region.length = UInt32(length)
        return region
    }

    /// The pages of the metadata region that hold the size of the disk, [MS-VHDX] 2.6.2.2.
    private func sizePages(
        _ virtualSize: UInt64, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [LoggedPage] {
        guard let metadata = regions.table.entry(RegionTableEntry.metadata) else {
            throw .missing(.metadataTable, path: file.name)
        }
        let position = try MetadataItems.position(of: .virtualDiskSize, from: file, in: metadata)
        let start = position.roundedDown(toMultipleOf: MetadataPages.byteCount)
        let end = position + UInt64(KnownMetadataItem.virtualDiskSize.length)
        let pageCount = (end - start).dividedRoundingUp(by: MetadataPages.byteCount)
        var bytes = try file.structure(
            .metadataTable, at: start, count: Int(pageCount * MetadataPages.byteCount))
        bytes.withMutableRawSpan { $0.store(virtualSize, at: Int(position - start)) }
        return LoggedPage.pages(of: bytes, at: start)
    }

    /// The table's old space is free after the commit. Both copies of the region table change at
    /// once, and a damaged one is whole again.
    private mutating func move(to region: RegionTableEntry) -> [LoggedPage] {
        freed.append(map.table.region.range)
        regions.table.entries = regions.table.entries.map { entry in
            entry.identifier == region.identifier ? region : entry
        }
        regions.damagedPositions = []
        return RegionTable.positions.flatMap { regions.table.pages(at: $0) }
    }
}

extension Geometry {
    /// The same disk with another size.
    fileprivate func grown(to virtualSize: UInt64) throws(VHDXError) -> Geometry {
        guard virtualSize > self.virtualSize, virtualSize <= MetadataItems.maximumVirtualSize,
            virtualSize.isMultiple(of: logicalSectorSize)
        else {
            throw .invalidGeometry(
                "a disk of \(self.virtualSize) bytes with sectors of \(logicalSectorSize) cannot "
                    + "grow to \(virtualSize)")
        }
        return Geometry(
            virtualSize: virtualSize, blockSize: blockSize, logicalSectorSize: logicalSectorSize,
            physicalSectorSize: physicalSectorSize, hasParent: hasParent)
    }
}

/// The table of a disk that becomes larger: the entries that it has, then those of new blocks. What
/// stood behind the last entry has no meaning, and is overwritten.
private struct TableGrowth {
    private let old: BlockAllocationTable
    private let new: Geometry
    /// Where the new table stands.
    let region: RegionTableEntry
    /// Where the first new block of a fixed image stands.
    private let firstPlace: UInt64?
    /// The entries before this one stay.
    private let keptCount: UInt64
    /// So does the entry of the last sector bitmap of an image with a parent.
    private let bitmapIndex: UInt64?

    init(
        table: BlockAllocationTable, to new: Geometry, region: RegionTableEntry,
        firstPlace: UInt64?
    ) {
        old = table
        self.new = new
        self.region = region
        self.firstPlace = firstPlace
        let geometry = table.geometry
        keptCount = geometry.entryIndex(ofBlock: geometry.payloadBlockCount - 1) + 1
        bitmapIndex =
            geometry.hasParent
            ? geometry.entryIndex(ofBitmapOfChunk: geometry.chunkCount - 1) : nil
    }

    /// Writes the pages that the smaller disk does not use, and returns the others, to be logged.
    func write(
        to file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [LoggedPage] {
        let isMoved = region.fileOffset != old.region.fileOffset
        let end = new.entryCount.dividedRoundingUp(by: MetadataPages.wordCount)
        var logged: [LoggedPage] = []
        for page in (isMoved ? 0 : keptCount / MetadataPages.wordCount)..<end {
            let first = page * MetadataPages.wordCount
            let indices = first..<first + MetadataPages.wordCount
            let before = isMoved && !isInUse(indices) ? Self.zeros : try self.page(page, from: file)
            let after = entries(at: indices, keeping: before)
            let position = region.fileOffset + page * MetadataPages.byteCount
            if isInUse(indices), !isMoved {
                logged.append(LoggedPage(fileOffset: position, bytes: after))
            } else if after != (isMoved ? Self.zeros : before) {
                try onFile { () throws(FileError) in
                    try file.base.write(after.rawSpan, at: position)
                }
            }
        }
        return logged
    }

    /// A page of new space.
    private static let zeros = [UInt8](repeating: 0, count: Int(MetadataPages.byteCount))

    /// Whether the smaller disk uses one of these entries.
    private func isInUse(_ indices: Range<UInt64>) -> Bool {
        indices.lowerBound < keptCount || bitmapIndex.map(indices.contains) == true
    }

    private func page(
        _ page: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [UInt8] {
        try file.structure(
            .blockAllocationTable, at: old.region.fileOffset + page * MetadataPages.byteCount,
            count: Int(MetadataPages.byteCount))
    }

    private func entries(at indices: Range<UInt64>, keeping before: [UInt8]) -> [UInt8] {
        guard isInUse(indices) || firstPlace != nil else { return Self.zeros }
        var after = Self.zeros
        after.withMutableRawSpan { span in
            for (slot, index) in indices.enumerated() {
                let place = slot * BATEntry.byteCount
                if index < keptCount || index == bitmapIndex {
                    span.store(before.rawSpan.load(UInt64.self, at: place), at: place)
                } else if let entry = newEntry(at: index) {
                    span.store(entry.rawValue, at: place)
                }
            }
        }
        return after
    }

    /// The entry of a new block of a fixed image.
    private func newEntry(at index: UInt64) -> BATEntry? {
        guard let firstPlace, index < new.entryCount,
            case .payloadBlock(let block) = new.role(ofEntry: index)
        else { return nil }
        let place = firstPlace + (block - old.geometry.payloadBlockCount) * new.blockSize
        return BATEntry(state: .fullyPresent, fileOffset: place)
    }
}
