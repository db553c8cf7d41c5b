internal import Storage

/// What a dirty log changes, put over the file in memory, so that a reader changes no byte of it.
///
/// Pages stay in the log: for each, this remembers where. Memory is bounded by the length of the
/// log, about 40 bytes a page.
struct LogOverlay: Equatable, Sendable {
    private struct Page: Equatable {
        var ordinal: UInt64
        var sectorPosition: UInt64
        var leading: UInt64
        var trailing: UInt32
    }

    private struct ZeroRange: Equatable {
        var ordinal: UInt64
        var range: Range<UInt64>
    }

    private var pages: [UInt64: Page] = [:]
    private var zeroRanges: [ZeroRange] = []
    /// Everything that is changed lies in here.
    private var bounds: Range<UInt64> = 0..<0
    /// The size that the file has at least.
    private(set) var minimumByteCount: UInt64 = 0

    /// Real logs have a handful. More would make each read slow.
    static let maximumZeroRangeCount = 65536

    /// An overlay that changes nothing.
    init() {}

    /// The changes of a log.
    init(
        replaying sequence: LogSequence, in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) {
        var overlay = LogOverlay()
        overlay.minimumByteCount = sequence.lastFileOffset
        var ordinal: UInt64 = 0
        try sequence.forEachChange(in: file) { (change) throws(VHDXError) in
            try overlay.add(change, ordinal: ordinal, of: file.name)
            ordinal += 1
        }
        self = overlay
    }

    private mutating func add(
        _ change: LogSequence.Change, ordinal: UInt64, of path: String
    ) throws(VHDXError) {
        let target: Range<UInt64>
        switch change {
        case .zero(let range):
            guard zeroRanges.count < Self.maximumZeroRangeCount else {
                throw .limitExceeded(
                    "its log zeroes more than \(Self.maximumZeroRangeCount) ranges", path: path)
            }
            zeroRanges.append(ZeroRange(ordinal: ordinal, range: range))
            target = range
        case .page(let fileOffset, let sectorPosition, let leading, let trailing):
            pages[fileOffset] = Page(
                ordinal: ordinal, sectorPosition: sectorPosition, leading: leading,
                trailing: trailing)
            target = fileOffset..<fileOffset + UInt64(LogEntryHeader.sectorSize)
        }
        bounds =
            bounds.isEmpty
            ? target
            : min(bounds.lowerBound, target.lowerBound)..<max(bounds.upperBound, target.upperBound)
        minimumByteCount = max(minimumByteCount, target.upperBound)
    }

    /// Whether there was no log to replay, or an empty one.
    var isEmpty: Bool { bounds.isEmpty && minimumByteCount == 0 }

    /// Whether a range of the file may read otherwise than it stands there.
    func intersects(_ range: Range<UInt64>) -> Bool {
        range.overlaps(bounds)
    }

    /// Puts the changes over bytes that were read from the file.
    func apply(
        to buffer: inout MutableRawSpan, at offset: UInt64,
        from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        let end = offset + UInt64(buffer.byteCount)
        guard (offset..<end).overlaps(bounds) else { return }
        let pageSize = UInt64(LogEntryHeader.sectorSize)
        let zeroRanges = zeroRanges.filter { $0.range.overlaps(offset..<end) }
        var pageOffset = offset.roundedDown(toMultipleOf: pageSize)
        while pageOffset < end {
            let wanted = max(pageOffset, offset)..<min(pageOffset + pageSize, end)
            let target = Int(wanted.lowerBound - offset)..<Int(wanted.upperBound - offset)
            switch content(of: pageOffset, zeroRanges) {
            case .untouched: break
            case .zero:
                var part = buffer.part(target)
                part.clear()
            case .page(let page):
                var bytes = try file.bytes(at: page.sectorPosition, count: Int(pageSize))
                bytes.withMutableRawSpan {
                    LogDataSector.restore(&$0, leading: page.leading, trailing: page.trailing)
                }
                let start = Int(wanted.lowerBound - pageOffset)
                buffer.copy(
                    bytes.rawSpan.extracting(start..<start + target.count), at: target.lowerBound)
            }
            pageOffset += pageSize
        }
    }

    private enum Content {
        case untouched, zero
        case page(Page)
    }

    /// The newest change of a page wins. Zero ranges begin and end at page boundaries.
    private func content(of pageOffset: UInt64, _ zeroRanges: [ZeroRange]) -> Content {
        let zero = zeroRanges.last { $0.range.contains(pageOffset) }
        guard let page = pages[pageOffset] else { return zero == nil ? .untouched : .zero }
        if let zero, zero.ordinal > page.ordinal { return .zero }
        return .page(page)
    }
}

/// Replay on disk, [MS-VHDX] 2.3.3: what a writer does before anything else.
enum LogReplay {
    /// Applies the log to the file and marks it as empty.
    ///
    /// The header first gets a new FileWriteGuid and keeps its LogGuid, so a crash at any point
    /// leaves a log that is replayed again.
    static func run(
        _ sequence: LogSequence, in file: borrowing some RandomAccessFile & ~Copyable,
        header: inout CurrentHeader
    ) throws(VHDXError) {
        try header.checkSequenceNumber(of: file.name)
        try header.replace(in: file) { $0.fileWriteGUID = .random() }
        try onFile { () throws(FileError) in
            if try file.byteCount() < sequence.lastFileOffset {
                try file.setByteCount(sequence.lastFileOffset)
            }
        }
        try sequence.forEachChange(in: file) { (change) throws(VHDXError) in
            try onFile { () throws(FileError) in try apply(change, to: file) }
        }
        try onFile { () throws(FileError) in try file.flush() }
        try header.replace(in: file) { $0.logGUID = .zero }
    }

    private static func apply(
        _ change: LogSequence.Change, to file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) {
        switch change {
        case .zero(let range):
            if try file.byteCount() < range.upperBound {
                try file.setByteCount(range.upperBound)
            }
            try file.writeZeros(range)
        case .page(let fileOffset, let sectorPosition, let leading, let trailing):
            var page = try file.bytes(at: sectorPosition, count: LogEntryHeader.sectorSize)
            page.withMutableRawSpan {
                LogDataSector.restore(&$0, leading: leading, trailing: trailing)
            }
            try file.write(page.rawSpan, at: fileOffset)
        }
    }
}
