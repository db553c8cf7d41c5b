internal import Storage

/// What a log entry changes in the file, [MS-VHDX] 2.3.1.2 and 2.3.1.3.
///
///     offset  size  zero descriptor        data descriptor
///          0     4  signature "zero"       signature "desc"
///          4     4  reserved               trailing bytes: the last 4 of the page
///          8     8  zero length            leading bytes: the first 8 of the page
///         16     8  file offset            file offset
///         24     8  sequence number        sequence number
///
/// Lengths and offsets are multiples of 4096. The other bytes of a page stand in a data sector.
enum LogDescriptor: Equatable, Sendable {
    case zero(length: UInt64, fileOffset: UInt64)
    case data(leading: UInt64, trailing: UInt32, fileOffset: UInt64)

    static let byteCount = 32
    private static let zeroSignature: UInt32 = 0x6F72_657A
    private static let dataSignature: UInt32 = 0x6373_6564

    /// Decodes a descriptor, or returns nil where none of this entry stands.
    init?(decoding bytes: RawSpan, sequenceNumber: UInt64) {
        precondition(bytes.byteCount == Self.byteCount)
        let fileOffset = bytes.load(UInt64.self, at: 16)
        guard bytes.load(UInt64.self, at: 24) == sequenceNumber, fileOffset.isMultiple(of: 4096)
        else { return nil }
        switch bytes.load(UInt32.self, at: 0) {
        case Self.zeroSignature:
            let length = bytes.load(UInt64.self, at: 8)
            guard length.isMultiple(of: 4096) else { return nil }
            self = .zero(length: length, fileOffset: fileOffset)
        case Self.dataSignature:
            self = .data(
                leading: bytes.load(UInt64.self, at: 8), trailing: bytes.load(UInt32.self, at: 4),
                fileOffset: fileOffset)
        default:
            return nil
        }
    }

    func encode(into bytes: inout MutableRawSpan, at position: Int, sequenceNumber: UInt64) {
        switch self {
        case .zero(let length, let fileOffset):
            bytes.store(Self.zeroSignature, at: position)
            bytes.store(length, at: position + 8)
            bytes.store(fileOffset, at: position + 16)
        case .data(let leading, let trailing, let fileOffset):
            bytes.store(Self.dataSignature, at: position)
            bytes.store(trailing, at: position + 4)
            bytes.store(leading, at: position + 8)
            bytes.store(fileOffset, at: position + 16)
        }
        bytes.store(sequenceNumber, at: position + 24)
    }

    /// The bytes of the file that the descriptor changes; nil where their end does not fit.
    var target: Range<UInt64>? {
        switch self {
        case .zero(let length, let fileOffset):
            try? Range(at: fileOffset, count: length)
        case .data(_, _, let fileOffset):
            try? Range(at: fileOffset, count: UInt64(LogEntryHeader.sectorSize))
        }
    }
}

/// The middle of a logged page, [MS-VHDX] 2.3.1.4.
///
///     offset  size  field
///          0     4  signature      "data"
///          4     4  sequence high  upper half of the entry's sequence number
///          8  4084  data           bytes 8 to 4091 of the page
///       4092     4  sequence low   lower half
enum LogDataSector {
    private static let signature: UInt32 = 0x6174_6164

    /// Whether the sector belongs to an entry with this sequence number, and is not torn.
    static func isValid(_ bytes: RawSpan, sequenceNumber: UInt64) -> Bool {
        precondition(bytes.byteCount == LogEntryHeader.sectorSize)
        return bytes.load(UInt32.self, at: 0) == signature
            && bytes.load(UInt32.self, at: 4) == UInt32(truncatingIfNeeded: sequenceNumber >> 32)
            && bytes.load(UInt32.self, at: 4092) == UInt32(truncatingIfNeeded: sequenceNumber)
    }

    /// Turns a sector of the log into the page it stands for.
    static func restore(_ bytes: inout MutableRawSpan, leading: UInt64, trailing: UInt32) {
        bytes.store(leading, at: 0)
        bytes.store(trailing, at: 4092)
    }

    /// Writes the sector for a page into an entry, and returns the page's descriptor.
    static func encode(
        page: RawSpan, of fileOffset: UInt64, sequenceNumber: UInt64,
        into bytes: inout MutableRawSpan, at position: Int
    ) -> LogDescriptor {
        precondition(page.byteCount == LogEntryHeader.sectorSize)
        bytes.copy(page, at: position)
        bytes.store(signature, at: position)
        bytes.store(UInt32(truncatingIfNeeded: sequenceNumber >> 32), at: position + 4)
        bytes.store(UInt32(truncatingIfNeeded: sequenceNumber), at: position + 4092)
        return .data(
            leading: page.load(UInt64.self, at: 0), trailing: page.load(UInt32.self, at: 4092),
            fileOffset: fileOffset)
    }
}
