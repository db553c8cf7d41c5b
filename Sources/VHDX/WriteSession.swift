internal import Storage

/// What changes while an image is written: headers, table, space and log. Not thread-safe.
///
/// The order that keeps the file an image at every moment ([MS-VHDX] 2.2.2 and 2.3):
/// 1. both headers get their new GUIDs, each flushed;
/// 2. content goes to new space or in place;
/// 3. flush: content, file size, and the table's pages of the entry before;
/// 4. a log entry with the changed pages of the table; flush;
/// 5. the pages in place. Only now is the space of freed blocks given back.
///
/// Steps 2 to 5 repeat: two flushes a batch. Closing flushes once more and empties the log.
struct WriteSession: Sendable {
    var map: BlockMap
    private var header: CurrentHeader
    /// What the file bears, as far as the log is sure to say.
    var mark: ApplyMark?
    private var chosenDataWriteGUID: GUID?
    private var space: SpaceMap
    var regions: RegionTable.Reading
    /// The size that the file had when it was opened.
    private let originalByteCount: UInt64
    private var hasBegun = false
    private var log: LogWriter?
    /// Whether the file's header may say that the log must be replayed.
    private var headerMayNameLog = false
    /// A size that the file is sure to have after a crash.
    private var durableByteCount: UInt64
    /// Where the space ends that durable entries refer to.
    private var committedEnd: UInt64
    /// Space of blocks that durable entries may still refer to.
    var freed: [Range<UInt64>] = []
    /// Partially present blocks that got sectors since the last commit.
    private var partialBlocks: Set<UInt64> = []
    /// Blocks of which a part became a hole since the last commit.
    private var punchedBlocks: Set<UInt64> = []
    /// Bytes of blocks that were allocated since the last commit.
    private var allocatedByteCount: UInt64 = 0
    private var pages = PagesInPlace.durable
    /// Why a flush or a header failed: what the file holds is unknown then, and nothing may be built
    /// on it. A repeated flush that succeeds would prove nothing.
    private var breakage: VHDXError?

    /// Where the pages of the newest log entry are, besides in the log.
    private enum PagesInPlace {
        case durable
        /// Written, and durable with the next flush.
        case written
        /// Perhaps not all written: the log must stay as it is.
        case unknown
    }

    /// A gibibyte of new blocks, or 128 MiB of table: what a crash can cost.
    private static let batchByteCount: UInt64 = 1 << 30
    private static let batchChangeCount = 32768

    init(_ layout: ImageLayout, fileSize: UInt64) {
        map = BlockMap(table: layout.table)
        header = layout.header
        mark = layout.items.mark
        space = layout.space
        regions = layout.regions
        originalByteCount = fileSize
        durableByteCount = fileSize
        committedEnd = layout.space.end
    }

    var batchIsFull: Bool {
        allocatedByteCount >= Self.batchByteCount
            || freed.count + map.changedPageCount >= Self.batchChangeCount
    }

    var geometry: Geometry { map.geometry }

    var dataWriteGUID: GUID { header.header.dataWriteGUID }

    mutating func chooseDataWriteGUID(_ guid: GUID) {
        precondition(!hasBegun, "the image has its DataWriteGuid already")
        chosenDataWriteGUID = guid
    }

    // MARK: Blocks

    /// Where content is to be written, and what makes it part of the disk afterwards.
    struct Place {
        var block: UInt64
        /// The place of the block's first byte in the file.
        var fileOffset: UInt64
        var completion: Completion

        enum Completion: Equatable {
            /// It is part of the disk already.
            case nothing
            /// The block stands at its place as a whole from then on.
            case block
            /// The sectors of this virtual range do.
            case sectors(Range<UInt64>)
        }
    }

    /// Where a part of a block's content stands in the file; allocates it if need be.
    mutating func placeForWriting(
        _ part: Range<UInt64>, of block: UInt64,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Place {
        try begin(in: file)
        let entry = try map.table.entry(ofBlock: block, from: file)
        switch entry.state {
        case .fullyPresent:
            return Place(block: block, fileOffset: entry.fileOffset, completion: .nothing)
        case .partiallyPresent:
            return Place(block: block, fileOffset: entry.fileOffset, completion: .sectors(part))
        case .notPresent where geometry.hasParent:
            let place = try newSpace(geometry.blockSize, in: file)
            // What is not written yet reads from the parent, until all of this is written.
            if part == geometry.virtualRange(ofBlock: block) {
                return Place(block: block, fileOffset: place, completion: .block)
            }
            try makePartial(block, at: place, in: file)
            return Place(block: block, fileOffset: place, completion: .sectors(part))
        case .notPresent, .zero, .undefined, .unmapped, nil:
            let place = try newSpace(for: entry, in: file)
            try setPresent(block, at: place, in: file)
            return Place(block: block, fileOffset: place, completion: .nothing)
        }
    }

    /// Where a part of a block's content stands in the file; nil where it reads as zeros already.
    mutating func placeForZeroing(
        _ part: Range<UInt64>, of block: UInt64,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Place? {
        let entry = try map.table.entry(ofBlock: block, from: file)
        switch entry.state {
        case .fullyPresent, .partiallyPresent: break
        case .notPresent where geometry.hasParent: break
        default: return nil
        }
        return try placeForWriting(part, of: block, in: file)
    }

    /// Makes a block of an image that is not fixed a ZERO block.
    mutating func makeZero(
        _ block: UInt64, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let entry = try map.table.entry(ofBlock: block, from: file)
        switch entry.state {
        case .fullyPresent, .partiallyPresent:
            try begin(in: file)
            freed.append(entry.fileOffset..<entry.fileOffset + geometry.blockSize)
            partialBlocks.remove(block)
        case .notPresent where geometry.hasParent:
            try begin(in: file)
        default:
            return
        }
        try map.table.setEntry(ofBlock: block, to: BATEntry(state: .zero), from: file)
    }

    /// Makes what was written part of the disk.
    mutating func complete(
        _ place: Place, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        switch place.completion {
        case .nothing: break
        case .block: try setPresent(place.block, at: place.fileOffset, in: file)
        case .sectors(let range):
            let bitmap = try map.bitmap(ofBlock: place.block, from: file)
            try map.bitmaps.set(
                geometry.sectorsInChunk(range), to: true, inBitmapAt: bitmap, from: file)
            partialBlocks.insert(place.block)
        }
    }

    /// Says that a part of a block is a hole in the file now.
    mutating func notePunched(_ block: UInt64) {
        punchedBlocks.insert(block)
    }

    private mutating func setPresent(
        _ block: UInt64, at place: UInt64,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        try map.table.setEntry(
            ofBlock: block, to: BATEntry(state: .fullyPresent, fileOffset: place), from: file)
    }

    /// Gives a block a place of which no sector counts yet.
    private mutating func makePartial(
        _ block: UInt64, at place: UInt64,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let index = geometry.entryIndex(ofBitmapOfChunk: geometry.chunk(ofBlock: block))
        if try !map.table.entry(at: index, from: file).isPresentBitmap {
            let bitmap = try newSpace(Geometry.bitmapByteCount, in: file)
            let entry = BATEntry(state: .fullyPresent, fileOffset: bitmap)
            try map.table.setEntry(at: index, to: entry, from: file)
        }
        // Bits may be left from when the block was partially present before.
        let bitmap = try map.bitmap(ofBlock: block, from: file)
        try map.bitmaps.set(
            geometry.sectorsInChunk(geometry.virtualRange(ofBlock: block)), to: false,
            inBitmapAt: bitmap, from: file)
        let entry = BATEntry(state: .partiallyPresent, fileOffset: place)
        try map.table.setEntry(ofBlock: block, to: entry, from: file)
    }

    /// Partially present blocks whose sectors are all here need their parent no more.
    private mutating func completePartialBlocks(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        for block in partialBlocks {
            let sectors = geometry.sectorsInChunk(geometry.virtualRange(ofBlock: block))
            let runs = try map.bitmaps.runs(
                of: sectors, inBitmapAt: try map.bitmap(ofBlock: block, from: file), from: file)
            guard runs.count == 1, runs[0].isPresent else { continue }
            let entry = try map.table.entry(ofBlock: block, from: file)
            try setPresent(block, at: entry.fileOffset, in: file)
        }
        partialBlocks = []
    }

    /// Blocks that became holes piece by piece are ZERO blocks, as if they had been zeroed at once.
    ///
    /// Not before a commit: until then another thread may be about to write to a block's place.
    private mutating func makePunchedBlocksZero(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        for block in punchedBlocks.sorted() {
            let entry = try map.table.entry(ofBlock: block, from: file)
            // Of a partially present block the rest reads from the parent.
            guard entry.state == .fullyPresent else { continue }
            let end = entry.fileOffset + geometry.virtualRange(ofBlock: block).byteCount
            let data = try onFile { () throws(FileError) in
                try file.base.nextData(from: entry.fileOffset, limit: end)
            }
            if data == nil { try makeZero(block, in: file) }
        }
        punchedBlocks = []
    }

    // MARK: Space

    /// Space for a block: what was kept for it, which still counts as occupied, or new space.
    private mutating func newSpace(
        for entry: BATEntry, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> UInt64 {
        let isKept = entry.state == .unmapped || entry.state == .undefined
        return try newSpace(
            geometry.blockSize, in: file,
            at: isKept && entry.fileOffset != 0 ? entry.fileOffset : nil)
    }

    /// Space that reads as zeros and that nothing durable refers to.
    mutating func newSpace(
        _ byteCount: UInt64, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        at kept: UInt64? = nil
    ) throws(VHDXError) -> UInt64 {
        guard let place = kept ?? space.allocate(byteCount) else {
            throw .limitExceeded(
                "the file would grow past \(SpaceMap.maximumByteCount) bytes", path: file.name)
        }
        let end = place + byteCount
        try onFile { () throws(FileError) in
            // What stands in used space is another block's: it must not show in this one.
            let size = file.byteCount
            if place < size { try file.base.deallocate(place..<min(end, size)) }
            if end > size { try file.grow(to: end) }
        }
        allocatedByteCount += byteCount
        return place
    }

    // MARK: The session

    /// Before the first change: new GUIDs, and room for the log, so that it cannot fail for space.
    mutating func begin(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        guard !hasBegun else { return }
        try header.checkSequenceNumber(of: file.name)
        try onFile { () throws(FileError) in try file.base.reserve(header.header.logRange) }
        let dataWriteGUID = chosenDataWriteGUID ?? .random()
        try replaceHeader(in: file) {
            $0.fileWriteGUID = .random()
            $0.dataWriteGUID = dataWriteGUID
        }
        hasBegun = true
    }

    /// Opens the log. It holds a valid entry before the header names it.
    private mutating func openLog(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> LogWriter {
        let current = header.header
        var writer = LogWriter(
            region: LogRegion(fileOffset: current.logOffset, length: current.logLength))
        try append([], to: &writer, in: file)
        headerMayNameLog = true
        try replaceHeader(in: file) {
            $0.logGUID = writer.logGUID
            $0.logVersion = 0
        }
        return writer
    }

    private mutating func append(
        _ pages: [LoggedPage], to writer: inout LogWriter,
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        let flushed = durableByteCount.roundedDown(toMultipleOf: .mebibyte)
        let last = max(space.end, flushed)
        try onFile { () throws(FileError) in
            try writer.append(
                pages, flushedFileOffset: flushed, lastFileOffset: last, to: file.base)
        }
        try flush(file)
    }

    private mutating func flush(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        try breaking { () throws(VHDXError) in
            try onFile { () throws(FileError) in try file.base.flush() }
        }
        if pages == .written { pages = .durable }
    }

    private mutating func replaceHeader(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        _ change: (inout ImageHeader) -> Void
    ) throws(VHDXError) {
        var next = header
        try breaking { () throws(VHDXError) in try next.replace(in: file.base, change) }
        header = next
    }

    /// Runs a step after whose failure the session must not go on.
    private mutating func breaking(_ step: () throws(VHDXError) -> Void) throws(VHDXError) {
        if let breakage { throw breakage }
        do throws(VHDXError) {
            try step()
        } catch {
            breakage = error
            throw error
        }
    }

    /// Makes everything that was written durable, and part of the disk.
    mutating func commit(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        if let breakage { throw breakage }
        guard hasBegun else { return }
        try completePartialBlocks(in: file)
        try makePunchedBlocksZero(in: file)
        try commit(map.loggedPages(), in: file)
        map.markUnchanged()
        allocatedByteCount = 0
    }

    /// Makes content durable, then changes pages through the log: as many at once as one entry
    /// takes, 126 or more.
    mutating func commit(
        _ pages: [LoggedPage], in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        if let breakage { throw breakage }
        var pages = pages
        if !pages.isEmpty {
            // A damaged copy of the region table is made whole along with the first change.
            pages += regions.damagedPositions.flatMap { regions.table.pages(at: $0) }
            regions.damagedPositions = []
        }
        // A page may lie in a hole of the file.
        try onFile { () throws(FileError) in
            for page in pages {
                let end = page.fileOffset + UInt64(page.bytes.count)
                try file.base.reserve(page.fileOffset..<end)
            }
        }
        let size = file.byteCount
        try flush(file)
        durableByteCount = size
        guard !pages.isEmpty else { return }
        if log == nil { log = try openLog(in: file) }
        guard var writer = log else { return }
        var rest = pages[...]
        while !rest.isEmpty {
            if self.pages == .written { try flush(file) }
            // From here on the log may refer to all new blocks, whatever fails next.
            committedEnd = space.end
            let part = Array(rest.prefix(writer.pageCapacity))
            rest = rest.dropFirst(part.count)
            try append(part, to: &writer, in: file)
            log = writer
            self.pages = .unknown
            for page in part {
                try onFile { () throws(FileError) in
                    try file.base.write(page.bytes.rawSpan, at: page.fileOffset)
                }
            }
            self.pages = .written
        }
        giveBackFreedSpace(in: file)
        committedEnd = space.end
    }

    /// Changes pages through the log, in one entry, and returns when they are durable where they stand.
    ///
    /// Who does not know what such a page holds in the file now cannot write it again: after an error
    /// in its midst the session is at its end, with a log to replay.
    mutating func commitInPlace(
        _ pages: [LoggedPage], in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        do throws(VHDXError) {
            try commit(pages, in: file)
            try flush(file)
        } catch {
            if self.pages == .unknown { breakage = breakage ?? error }
            throw error
        }
    }

    /// Nothing durable refers to the space any more. Whether it can be given to the file system
    /// does not matter here: whoever takes it for a block zeroes it first.
    private mutating func giveBackFreedSpace(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) {
        for range in freed {
            space.release(range)
            let end = min(range.upperBound, file.byteCount)
            if range.lowerBound < end { try? file.base.deallocate(range.lowerBound..<end) }
        }
        freed = []
    }

    mutating func close(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        guard hasBegun else { return }
        try commit(in: file)
        if pages == .written { try flush(file) }
        try finish(file, end: space.end)
    }

    mutating func abandon(in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>) {
        guard hasBegun, breakage == nil, pages != .unknown else { return }
        do throws(VHDXError) {
            try flush(file)
            try finish(file, end: committedEnd)
        } catch {
            // The log still stands, and the next writer replays it.
        }
    }

    /// Marks the log as empty, and only then cuts what the session added and does not need.
    private mutating func finish(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, end: UInt64
    ) throws(VHDXError) {
        if headerMayNameLog { try replaceHeader(in: file) { $0.logGUID = .zero } }
        let needed = max(originalByteCount, end)
        if file.byteCount > needed {
            try onFile { () throws(FileError) in try file.base.setByteCount(needed) }
        }
    }
}
