package import Storage

/// What the records of a stream add up to.
package struct DeltaCounts: Equatable, Sendable {
    package var records: UInt64 = 0
    package var dataBlocks: UInt64 = 0
    package var zeroBlocks: UInt64 = 0
    /// Behind the last record's last block.
    package var endBlock: UInt64 = 0

    package init() {}

    mutating func add(_ record: DeltaRecord) {
        records += 1
        switch record.kind {
        case .data: dataBlocks += record.blocks.byteCount
        case .zeros: zeroBlocks += record.blocks.byteCount
        }
        endBlock = record.blocks.upperBound
    }
}

/// The end of a finished stream.
///
///     offset  size  field
///          0     4  kind         3
///          4     4  checksum     CRC-32C of bytes 0 to 111, with this field as 0
///          8     8  records      how many records the stream has
///         16     8  data blocks  how many blocks the records of data have
///         24     8  zero blocks  how many the records of zeros have
///         32    16  stream ID    the header's
///         48    32  base root    root digest of the disk that the stream applies to
///         80    32  result root  and of what results
///        112    32  SHA-256      of the whole stream before this field
package struct DeltaTrailer: Equatable, Sendable {
    package var recordCount: UInt64
    package var dataBlockCount: UInt64
    package var zeroBlockCount: UInt64
    package var streamID: GUID
    /// Zero where the header says that there are no root digests; so is ``resultRoot``.
    package var baseRoot: BlockDigest
    package var resultRoot: BlockDigest

    static let kind: UInt32 = 3
    /// The size in the stream.
    package static let byteCount = 144
    /// Bytes up to the SHA-256, which covers them too.
    static let checkedByteCount = 112
    static let countsOffset = 8
    static let rootsOffset = 48
}

extension DeltaTrailer {
    /// Decodes the last bytes of a stream; nil where they are no trailer of it.
    init?(decoding bytes: RawSpan, streamID: GUID) {
        precondition(bytes.byteCount == Self.byteCount)
        let checked = bytes.extracting(0..<Self.checkedByteCount)
        guard bytes.load(UInt32.self, at: 0) == Self.kind,
            bytes.load(UInt32.self, at: DeltaRecord.checksumOffset)
                == CRC32C.checksum(of: checked, withoutFieldAt: DeltaRecord.checksumOffset),
            GUID(decoding: bytes, at: 32) == streamID
        else { return nil }
        recordCount = bytes.load(UInt64.self, at: Self.countsOffset)
        dataBlockCount = bytes.load(UInt64.self, at: 16)
        zeroBlockCount = bytes.load(UInt64.self, at: 24)
        self.streamID = streamID
        baseRoot = BlockDigest(decoding: bytes, at: Self.rootsOffset)
        resultRoot = BlockDigest(decoding: bytes, at: Self.rootsOffset + BlockDigest.byteCount)
    }

    /// The trailer up to its SHA-256.
    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.checkedByteCount)
        bytes.withMutableRawSpan { span in
            span.store(Self.kind, at: 0)
            span.store(recordCount, at: Self.countsOffset)
            span.store(dataBlockCount, at: 16)
            span.store(zeroBlockCount, at: 24)
            streamID.encode(into: &span, at: 32)
            baseRoot.encode(into: &span, at: Self.rootsOffset)
            resultRoot.encode(into: &span, at: Self.rootsOffset + BlockDigest.byteCount)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan)
        bytes.withMutableRawSpan { $0.store(checksum, at: DeltaRecord.checksumOffset) }
        return bytes
    }
}
