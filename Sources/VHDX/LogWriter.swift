internal import Storage

/// 4096 bytes that are to stand in the file, through the log.
struct LoggedPage: Equatable, Sendable {
    /// A multiple of 4096.
    var fileOffset: UInt64
    var bytes: [UInt8]

    /// A structure, cut into pages.
    static func pages(of bytes: [UInt8], at fileOffset: UInt64) -> [LoggedPage] {
        stride(from: 0, to: bytes.count, by: LogEntryHeader.sectorSize).map { start in
            LoggedPage(
                fileOffset: fileOffset + UInt64(start),
                bytes: Array(bytes[start..<start + LogEntryHeader.sectorSize]))
        }
    }
}

/// Writes entries into the log, [MS-VHDX] 2.3. One session has one log GUID.
///
/// Every entry names itself as tail: whoever appends has made the pages of the entry before
/// durable. The entry before stays whole until the new one is durable, so that at every moment the
/// log holds a valid entry; hence an entry takes at most half of the ring.
struct LogWriter: Sendable {
    let region: LogRegion
    let logGUID: GUID
    private var sequenceNumber: UInt64
    /// Where the next entry starts, in bytes from the start of the log.
    private var head: UInt32 = 0

    /// A session that starts at the beginning of the ring.
    ///
    /// - Precondition: the log's length is not 0.
    init(region: LogRegion) {
        self.region = region
        logGUID = .random()
        // A start that differs from session to session tells their entries apart on sight.
        sequenceNumber = UInt64(UInt32.random(in: 1 ... .max))
    }

    /// How many pages fit into one entry.
    var pageCapacity: Int {
        let half = Int(region.length / LogRegion.sectorSize) / 2
        // With one descriptor sector for each 126 or more pages.
        return max(1, half - 1 - half / 126)
    }

    /// Writes one entry. It is not durable before the file's next flush.
    ///
    /// `flushedFileOffset` is a size that the file is sure to have after a crash, `lastFileOffset`
    /// the end of the last structure in use.
    mutating func append(
        _ pages: [LoggedPage], flushedFileOffset: UInt64, lastFileOffset: UInt64,
        to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        precondition(pages.count <= pageCapacity)
        let descriptorSectors = LogEntryHeader.descriptorSectorCount(UInt32(pages.count))
        let byteCount = (Int(descriptorSectors) + pages.count) * LogEntryHeader.sectorSize
        var header = LogEntryHeader(
            checksum: 0, entryLength: UInt32(byteCount), tail: head,
            sequenceNumber: sequenceNumber, descriptorCount: UInt32(pages.count),
            logGUID: logGUID, flushedFileOffset: flushedFileOffset,
            lastFileOffset: lastFileOffset)
        var entry = [UInt8](repeating: 0, count: byteCount)
        entry.withMutableRawSpan { span in
            for (index, page) in pages.enumerated() {
                let position =
                    (Int(descriptorSectors) + index) * LogEntryHeader.sectorSize
                let descriptor = LogDataSector.encode(
                    page: page.bytes.rawSpan, of: page.fileOffset, sequenceNumber: sequenceNumber,
                    into: &span, at: position)
                descriptor.encode(
                    into: &span, at: LogEntryHeader.byteCount + index * LogDescriptor.byteCount,
                    sequenceNumber: sequenceNumber)
            }
            header.encode(into: &span)
            header.checksum = CRC32C.checksum(of: span.bytes)
            header.encode(into: &span)
        }
        try write(entry, to: file)
        head = UInt32((UInt64(head) + UInt64(byteCount)) % UInt64(region.length))
        sequenceNumber += 1
    }

    /// Writes an entry at the head, the part that passes the end of the ring at its beginning.
    private func write(
        _ entry: [UInt8], to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        let beforeEnd = min(entry.count, Int(region.length - head))
        let bytes = entry.rawSpan
        try file.write(bytes.extracting(0..<beforeEnd), at: region.fileOffset + UInt64(head))
        if beforeEnd < entry.count {
            try file.write(bytes.extracting(beforeEnd..<entry.count), at: region.fileOffset)
        }
    }
}
