internal import Storage

/// The first structure of a log entry, [MS-VHDX] 2.3.1.1.
///
///     offset  size  field
///          0     4  signature            "loge"
///          4     4  checksum             CRC-32C of the whole entry, with this field as zero
///          8     4  entry length         bytes, a multiple of 4096
///         12     4  tail                 where in the log the oldest entry still needed starts
///         16     8  sequence number      one more than that of the entry before, not 0
///         24     4  descriptor count
///         32    16  log GUID             the header's, or the entry does not count
///         48     8  flushed file offset  a size that the file is sure to have
///         56     8  last file offset     the size that holds every structure
struct LogEntryHeader: Equatable, Sendable {
    static let byteCount = 64
    static let sectorSize = 4096
    static let signature: UInt32 = 0x6567_6F6C
    static let checksumOffset = 4

    var checksum: UInt32
    var entryLength: UInt32
    var tail: UInt32
    var sequenceNumber: UInt64
    var descriptorCount: UInt32
    var logGUID: GUID
    var flushedFileOffset: UInt64
    var lastFileOffset: UInt64

    /// Sectors that hold the header and this many descriptors: 126 in the first, 128 in the others.
    static func descriptorSectorCount(_ descriptorCount: UInt32) -> UInt64 {
        (UInt64(descriptorCount) + 2).dividedRoundingUp(by: 128)
    }
}

extension LogEntryHeader {
    /// Decodes the header, or returns nil where none stands, or one that cannot be valid in a log
    /// of this length. The rest of the entry is checked by `LogSequence`.
    init?(decoding bytes: RawSpan, logGUID: GUID, logLength: UInt32) {
        precondition(bytes.byteCount >= Self.byteCount)
        guard bytes.load(UInt32.self, at: 0) == Self.signature else { return nil }
        checksum = bytes.load(UInt32.self, at: 4)
        entryLength = bytes.load(UInt32.self, at: 8)
        tail = bytes.load(UInt32.self, at: 12)
        sequenceNumber = bytes.load(UInt64.self, at: 16)
        descriptorCount = bytes.load(UInt32.self, at: 24)
        self.logGUID = GUID(decoding: bytes, at: 32)
        flushedFileOffset = bytes.load(UInt64.self, at: 48)
        lastFileOffset = bytes.load(UInt64.self, at: 56)

        let sectorSize = UInt32(Self.sectorSize)
        guard self.logGUID == logGUID, sequenceNumber > 0,
            entryLength >= sectorSize, entryLength.isMultiple(of: sectorSize),
            entryLength < logLength,
            tail.isMultiple(of: sectorSize), tail < logLength,
            Self.descriptorSectorCount(descriptorCount) * UInt64(sectorSize)
                <= UInt64(entryLength)
        else { return nil }
    }

    func encode(into bytes: inout MutableRawSpan) {
        bytes.store(Self.signature, at: 0)
        bytes.store(checksum, at: 4)
        bytes.store(entryLength, at: 8)
        bytes.store(tail, at: 12)
        bytes.store(sequenceNumber, at: 16)
        bytes.store(descriptorCount, at: 24)
        logGUID.encode(into: &bytes, at: 32)
        bytes.store(flushedFileOffset, at: 48)
        bytes.store(lastFileOffset, at: 56)
    }
}
