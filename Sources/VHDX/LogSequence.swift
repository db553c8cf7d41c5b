internal import Storage

/// The log's bytes in the file: a ring of sectors.
struct LogRegion: Equatable, Sendable {
    var fileOffset: UInt64
    var length: UInt32

    static let sectorSize = UInt32(LogEntryHeader.sectorSize)

    var fileRange: Range<UInt64> { fileOffset..<fileOffset + UInt64(length) }

    /// Where in the file the sector stands that follows a position of the log by so many sectors.
    func filePosition(of position: UInt32, plusSectors count: UInt64) -> UInt64 {
        fileOffset
            + (UInt64(position) + count * UInt64(Self.sectorSize)) % UInt64(length)
    }

    func sector(
        at position: UInt32, plusSectors count: UInt64,
        from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> [UInt8] {
        try file.bytes(
            at: filePosition(of: position, plusSectors: count), count: LogEntryHeader.sectorSize)
    }
}

/// A valid entry of the log.
struct LogEntry: Equatable, Sendable {
    /// Where in the log it starts, in bytes.
    var position: UInt32
    var header: LogEntryHeader
}

/// The active sequence of log entries, [MS-VHDX] 2.3.2: what has to be replayed.
struct LogSequence: Equatable, Sendable {
    var region: LogRegion
    /// From the entry that the newest one names as tail, to the newest.
    var entries: [LogEntry]

    /// The size that the file must have after replay.
    var lastFileOffset: UInt64 { entries.last?.header.lastFileOffset ?? 0 }
}

extension LogSequence {
    /// Finds the active sequence; nil where the header says that the log is empty.
    static func active(
        in file: borrowing some RandomAccessFile & ~Copyable, header: CurrentHeader
    ) throws(VHDXError) -> LogSequence? {
        guard header.header.logGUID != .zero else { return nil }
        let region = LogRegion(
            fileOffset: header.header.logOffset, length: header.header.logLength)
        let fileSize = try onFile { () throws(FileError) in try file.byteCount() }
        let entries = try onFile { () throws(FileError) in
            var search = LogSearch(
                region: region, logGUID: header.header.logGUID, fileSize: fileSize)
            return try search.run(in: file)
        }
        guard let entries, let newest = entries.last else {
            throw .noValidLogEntry(path: file.name, at: region.fileOffset)
        }
        guard newest.header.flushedFileOffset <= fileSize else {
            throw .truncated(
                .log, path: file.name, at: newest.header.flushedFileOffset, fileSize: fileSize)
        }
        let needed = entries.drop { $0.position != newest.header.tail }
        return LogSequence(region: region, entries: Array(needed))
    }

    /// One change that replay makes.
    enum Change: Equatable {
        case zero(Range<UInt64>)
        /// A page: the middle stands in a sector of the log, the ends here.
        case page(fileOffset: UInt64, sectorPosition: UInt64, leading: UInt64, trailing: UInt32)
    }

    /// Runs the body on every change, in the order in which they were logged.
    func forEachChange(
        in file: borrowing some RandomAccessFile & ~Copyable,
        _ body: (Change) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        for entry in entries {
            try forEachChange(of: entry, in: file, body)
        }
    }

    private func forEachChange(
        of entry: LogEntry, in file: borrowing some RandomAccessFile & ~Copyable,
        _ body: (Change) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        let header = entry.header
        var dataSector = LogEntryHeader.descriptorSectorCount(header.descriptorCount)
        var sector: [UInt8] = []
        for index in 0..<UInt64(header.descriptorCount) {
            let (sectorIndex, slot) = (index + 2).quotientAndRemainder(dividingBy: 128)
            if slot == 0 || sector.isEmpty {
                sector = try onFile { () throws(FileError) in
                    try region.sector(at: entry.position, plusSectors: sectorIndex, from: file)
                }
            }
            let start = Int(slot) * LogDescriptor.byteCount
            let descriptor = LogDescriptor(
                decoding: sector.rawSpan.extracting(start..<start + LogDescriptor.byteCount),
                sequenceNumber: header.sequenceNumber)
            // Nil only where the file changed since the entry was checked.
            guard let descriptor, let target = descriptor.target else {
                throw .noValidLogEntry(path: file.name, at: region.fileOffset)
            }
            switch descriptor {
            case .zero:
                if !target.isEmpty { try body(.zero(target)) }
            case .data(let leading, let trailing, let fileOffset):
                let position = region.filePosition(of: entry.position, plusSectors: dataSector)
                try body(
                    .page(
                        fileOffset: fileOffset, sectorPosition: position, leading: leading,
                        trailing: trailing))
                dataSector += 1
            }
        }
    }
}

/// The search of [MS-VHDX] 2.3.3, bounded: a log made to be slow ends as one without valid entries.
private struct LogSearch {
    let region: LogRegion
    let logGUID: GUID
    let fileSize: UInt64
    /// Sectors that may still be read. An honest log is walked about twice; a crafted one, in which
    /// each sector claims to start a long entry, would take the square of its length.
    private var sectorBudget: UInt64

    /// No structure lies past this: 256 TiB, four times the largest disk.
    private static let maximumFileSize: UInt64 = SpaceMap.maximumByteCount

    init(region: LogRegion, logGUID: GUID, fileSize: UInt64) {
        self.region = region
        self.logGUID = logGUID
        self.fileSize = fileSize
        sectorBudget = 8 * UInt64(region.length / LogRegion.sectorSize)
    }

    /// The sequence with the newest last entry among those that hold their own tail.
    mutating func run(
        in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> [LogEntry]? {
        var candidate: [LogEntry]?
        var start: UInt64 = 0
        while start < UInt64(region.length) {
            let current = try sequence(at: UInt32(start), in: file)
            guard let newest = current.last else {
                start += UInt64(LogRegion.sectorSize)
                continue
            }
            let isValid = current.contains { $0.position == newest.header.tail }
            if isValid,
                newest.header.sequenceNumber > candidate?.last?.header.sequenceNumber ?? 0
            {
                candidate = current
            }
            // The specification goes on one sector further where the sequence is not valid. But no
            // entry starts within another, and what starts at a later entry of this sequence ends
            // with the same one and holds even less of what that names as tail.
            start += current.reduce(0) { $0 + UInt64($1.header.entryLength) }
        }
        return candidate
    }

    private mutating func sequence(
        at start: UInt32, in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> [LogEntry] {
        var entries: [LogEntry] = []
        var walked: UInt64 = 0
        while walked < UInt64(region.length) {
            let position = UInt32((UInt64(start) + walked) % UInt64(region.length))
            guard let entry = try entry(at: position, in: file) else { break }
            if let last = entries.last {
                guard entry.header.sequenceNumber == last.header.sequenceNumber &+ 1 else { break }
            }
            walked += UInt64(entry.header.entryLength)
            guard walked <= UInt64(region.length) else { break }
            entries.append(entry)
        }
        return entries
    }

    /// The entry at a position, if all of it is valid.
    private mutating func entry(
        at position: UInt32, in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> LogEntry? {
        guard sectorBudget > 0 else { return nil }
        sectorBudget -= 1
        var first = try region.sector(at: position, plusSectors: 0, from: file)
        guard
            let header = LogEntryHeader(
                decoding: first.rawSpan, logGUID: logGUID, logLength: region.length),
            header.lastFileOffset <= Self.maximumFileSize
        else { return nil }
        let sectorCount = UInt64(header.entryLength / LogRegion.sectorSize)
        guard sectorCount <= sectorBudget else { return nil }
        sectorBudget -= sectorCount

        first.withMutableRawSpan { $0.store(UInt32(0), at: LogEntryHeader.checksumOffset) }
        var body = EntryBody(header: header, limit: fileLimit(header), log: region.fileRange)
        for index in 0..<sectorCount {
            let sector =
                index == 0
                ? first : try region.sector(at: position, plusSectors: index, from: file)
            guard body.accept(sector.rawSpan, at: index) else { return nil }
        }
        return body.isComplete ? LogEntry(position: position, header: header) : nil
    }

    /// Where the targets of an entry must end, so that a log cannot make a file grow at will.
    private func fileLimit(_ header: LogEntryHeader) -> UInt64 {
        let end = max(
            header.lastFileOffset, fileSize.roundedUp(toMultipleOf: .mebibyte) ?? fileSize)
        return min(end, Self.maximumFileSize)
    }
}

/// Checks the sectors of one entry as they pass.
private struct EntryBody {
    let header: LogEntryHeader
    let limit: UInt64
    let log: Range<UInt64>
    private var checksum = CRC32C()
    private var remainingDescriptors: UInt32
    private var dataDescriptors: UInt64 = 0
    private var dataSectors: UInt64 = 0
    private let descriptorSectors: UInt64

    /// The log changes region tables and what comes after, never the identifier or a header.
    private static let firstTarget: UInt64 = 192 << 10

    init(header: LogEntryHeader, limit: UInt64, log: Range<UInt64>) {
        self.header = header
        self.limit = limit
        self.log = log
        remainingDescriptors = header.descriptorCount
        descriptorSectors = LogEntryHeader.descriptorSectorCount(header.descriptorCount)
    }

    /// Whether the entry had as many data sectors as data descriptors, and the right checksum.
    var isComplete: Bool {
        dataDescriptors == dataSectors && checksum.value == header.checksum
    }

    mutating func accept(_ sector: RawSpan, at index: UInt64) -> Bool {
        checksum.update(sector)
        guard index < descriptorSectors else {
            dataSectors += 1
            return LogDataSector.isValid(sector, sequenceNumber: header.sequenceNumber)
        }
        var slot = index == 0 ? 2 : 0
        while slot < 128, remainingDescriptors > 0 {
            let start = slot * LogDescriptor.byteCount
            let descriptor = LogDescriptor(
                decoding: sector.extracting(start..<start + LogDescriptor.byteCount),
                sequenceNumber: header.sequenceNumber)
            guard let descriptor, let target = descriptor.target,
                target.lowerBound >= Self.firstTarget, target.upperBound <= limit,
                !target.overlaps(log)
            else { return false }
            if case .data = descriptor { dataDescriptors += 1 }
            slot += 1
            remainingDescriptors -= 1
        }
        return true
    }
}
