internal import Storage

/// Where a piece of the disk's content stands.
enum Placement: Equatable {
    /// In the file, from this byte on.
    case file(UInt64)
    case zeros
    case parent
}

/// A range of virtual bytes that stands in one place.
struct PlacedRange: Equatable {
    var range: Range<UInt64>
    var placement: Placement
}

extension [PlacedRange] {
    /// Adds the next range, as a part of the last one where it goes on in the same place.
    fileprivate mutating func add(_ next: PlacedRange) {
        guard let last, last.isContinued(by: next) else { return append(next) }
        self[count - 1].range = last.range.lowerBound..<next.range.upperBound
    }
}

extension PlacedRange {
    fileprivate func isContinued(by next: PlacedRange) -> Bool {
        switch (placement, next.placement) {
        case (.zeros, .zeros), (.parent, .parent): true
        case (.file(let start), .file(let other)): start + range.byteCount == other
        default: false
        }
    }
}

/// Where each piece of the disk stands: the block allocation table and the sector bitmaps, with
/// their changes. Not thread-safe.
struct BlockMap: Sendable {
    var table: BlockAllocationTable
    var bitmaps = SectorBitmaps()

    var geometry: Geometry { table.geometry }

    /// The places of a range, in order; they cover it.
    mutating func places(
        of range: Range<UInt64>, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [PlacedRange] {
        var places: [PlacedRange] = []
        let blocks = geometry.blocks(in: range)
        for (block, entry) in zip(blocks, try table.entries(ofBlocks: blocks, from: file)) {
            let part = geometry.virtualRange(ofBlock: block).clamped(to: range)
            switch entry.state {
            case .fullyPresent:
                let start = entry.fileOffset + part.lowerBound % geometry.blockSize
                places.add(PlacedRange(range: part, placement: .file(start)))
            case .partiallyPresent:
                try appendSectors(of: part, in: block, entry, to: &places, from: file)
            case .notPresent where geometry.hasParent:
                places.add(PlacedRange(range: part, placement: .parent))
            case .notPresent, .zero, .undefined, .unmapped, nil:
                places.add(PlacedRange(range: part, placement: .zeros))
            }
        }
        return places
    }

    private mutating func appendSectors(
        of part: Range<UInt64>, in block: UInt64, _ entry: BATEntry,
        to places: inout [PlacedRange],
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let sectors = geometry.sectorsInChunk(part)
        let runs = try bitmaps.runs(
            of: sectors, inBitmapAt: try bitmap(ofBlock: block, from: file), from: file)
        let sectorSize = geometry.logicalSectorSize
        let start = part.lowerBound.roundedDown(toMultipleOf: sectorSize)
        for run in runs {
            let lower = start + (run.sectors.lowerBound - sectors.lowerBound) * sectorSize
            let upper = start + (run.sectors.upperBound - sectors.lowerBound) * sectorSize
            let range = (lower..<upper).clamped(to: part)
            let place = entry.fileOffset + range.lowerBound % geometry.blockSize
            places.add(
                PlacedRange(range: range, placement: run.isPresent ? .file(place) : .parent))
        }
    }

    /// Where the sector bitmap of a partially present block stands.
    mutating func bitmap(
        ofBlock block: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> UInt64 {
        let index = geometry.entryIndex(ofBitmapOfChunk: geometry.chunk(ofBlock: block))
        let entry = try table.entry(at: index, from: file)
        // Checked when the image was opened, but the file may have changed since.
        guard entry.isPresentBitmap else {
            throw table.missingBitmap(at: index, of: file.name)
        }
        return entry.fileOffset
    }

    /// The changed pages as they are to stand on disk, in the order in which they may be logged
    /// even if a crash leaves only the first of several log entries: sector bitmaps before the
    /// table, and of the table a chunk's bitmap entry before the entries of its payload blocks,
    /// which stand in front of it.
    func loggedPages() -> [LoggedPage] {
        bitmaps.pages.logged() + table.pages.logged().reversed()
    }

    var changedPageCount: Int { bitmaps.pages.changed.count + table.pages.changed.count }

    /// Says that all changed pages are on their way to disk, in order behind the log.
    mutating func markUnchanged() {
        bitmaps.markUnchanged()
        table.markUnchanged()
    }
}
