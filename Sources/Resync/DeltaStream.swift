public import Storage

/// What makes a disk read as another does (docs/delta-stream.md): on the wire, beside a replica that
/// is being changed, and as a file that travels by itself.
///
/// A header, records in the order of their blocks, and a trailer. A stream without its trailer is an
/// unfinished one, whose records may be used as far as they are whole.
public enum DeltaStream {
    /// Whether the file starts as a delta stream does; nothing else of it is looked at.
    public static func isDelta(
        _ file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> Bool {
        guard try file.byteCount() >= UInt64(magic.count) else { return false }
        return try file.bytes(at: 0, count: magic.count) == magic
    }

    /// Whether the file is what a crash leaves of a stream that was begun: no more than a part of the
    /// header, or zeros in its place.
    static func isRemainsOfHeader(
        _ file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> Bool {
        let count = min(try file.byteCount(), UInt64(DeltaHeader.byteCount))
        let bytes = try file.bytes(at: 0, count: Int(count))
        if bytes.allSatisfy({ $0 == 0 }) { return true }
        return count < UInt64(DeltaHeader.byteCount)
            && bytes.prefix(magic.count) == magic.prefix(bytes.count)
    }

    /// The first bytes of the file. The line ends are there to be damaged by a transfer as text.
    static let magic = Array("vhdresyncdlt\r\n".utf8) + [0x1A, 0x0A]
    static let version: UInt32 = 1
    /// Where each version has its number: behind the magic bytes.
    static let versionOffset = 16

    /// The most content in a record: what a worker reads at once, or one block. It bounds the memory
    /// of who reads a stream.
    package static func maximumContentByteCount(blockSize: Int) -> Int {
        max(WindowPlan.bytesAtOnce, blockSize)
    }

    /// How many blocks that can be.
    package static func maximumBlockCount(blockSize: Int) -> Int {
        maximumContentByteCount(blockSize: blockSize) / blockSize
    }
}

/// The state of a disk, as far as its files tell. Each field may be zero: unknown.
///
///     offset  size  field
///          0    16  virtual disk ID
///         16    16  data write GUID
///         32    32  file state
package struct DiskState: Equatable, Sendable {
    /// The image's identity.
    package var virtualDiskID: GUID
    /// Changes whenever content of the image does.
    package var dataWriteGUID: GUID
    /// What else tells that a file has changed. Compared for equality, and nothing else.
    package var fileState: BlockDigest

    package static let byteCount = 64
    /// Of this disk nothing is known.
    package static let unknown = DiskState(
        virtualDiskID: .zero, dataWriteGUID: .zero, fileState: .zero)

    package init(virtualDiskID: GUID, dataWriteGUID: GUID, fileState: BlockDigest) {
        self.virtualDiskID = virtualDiskID
        self.dataWriteGUID = dataWriteGUID
        self.fileState = fileState
    }

    init(decoding bytes: RawSpan, at offset: Int) {
        virtualDiskID = GUID(decoding: bytes, at: offset)
        dataWriteGUID = GUID(decoding: bytes, at: offset + 16)
        fileState = BlockDigest(decoding: bytes, at: offset + 32)
    }

    func encode(into bytes: inout MutableRawSpan, at offset: Int) {
        virtualDiskID.encode(into: &bytes, at: offset)
        dataWriteGUID.encode(into: &bytes, at: offset + 16)
        fileState.encode(into: &bytes, at: offset + 32)
    }
}

/// What a delta stream says of itself and of the disks that it is for.
///
///     offset  size  field
///          0    16  magic            "vhdresyncdlt", 0D 0A 1A 0A
///         16     4  version          1
///         20     4  block size       bytes
///         24     8  virtual size     bytes
///         32    16  stream ID        random
///         48    64  base             the state of the disk that it applies to
///        112    64  source           the state of the disk that it was made from
///        176    16  result           data write GUID of an image after it is applied
///        192     4  flags            bit 0: the trailer has root digests
///        196     4  checksum         CRC-32C of bytes 0 to 195
package struct DeltaHeader: Equatable, Sendable {
    /// Bytes of virtual content, of both disks.
    package var virtualSize: UInt64
    /// Bytes in a block.
    package var blockSize: Int
    /// Names this stream. Its trailer repeats it, so that no content passes for one.
    package var streamID: GUID
    /// The disk that the stream applies to, as it was found.
    package var base: DiskState
    /// The disk that it was made from.
    package var source: DiskState
    /// What an image gets as its data write GUID when the stream is applied; zero: no matter.
    package var resultDataWriteGUID: GUID
    /// Whether the trailer has root digests. A comparison of bytes has none.
    package var hasRootDigests: Bool

    /// The size in the stream.
    package static let byteCount = 200
    private static let flagsOffset = 192
    private static let checksumOffset = 196

    package init(
        virtualSize: UInt64, blockSize: Int, streamID: GUID, base: DiskState = .unknown,
        source: DiskState = .unknown, resultDataWriteGUID: GUID = .zero, hasRootDigests: Bool = true
    ) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        self.streamID = streamID
        self.base = base
        self.source = source
        self.resultDataWriteGUID = resultDataWriteGUID
        self.hasRootDigests = hasRootDigests
    }

    /// Whether both disks tell when they were changed. A block device does not.
    var isOfKnownStates: Bool { base.fileState != .zero && source.fileState != .zero }

    /// How many blocks the disk has; the last one may be partial.
    package var blockCount: UInt64 {
        DigestTree.blockCount(virtualSize: virtualSize, blockSize: blockSize)
    }

    /// How many bytes some blocks hold. The last block of the disk may be short.
    ///
    /// - Precondition: the disk has these blocks.
    package func contentByteCount(of blocks: Range<UInt64>) -> UInt64 {
        guard !blocks.isEmpty else { return 0 }
        precondition(blocks.upperBound <= blockCount)
        // The block before the last starts within the disk, so neither product overflows.
        let size = UInt64(blockSize)
        let end =
            blocks.upperBound == blockCount ? virtualSize : blocks.upperBound * size
        return end - blocks.lowerBound * size
    }
}

extension DeltaHeader {
    /// Decodes and checks the start of a stream: magic, version, checksum, values, in this order.
    ///
    /// Where the bytes end before the header does, they are checked as far as they go.
    package init(decoding bytes: RawSpan, path: String) throws(ResyncError) {
        let magic = DeltaStream.magic
        guard bytes.byteCount >= magic.count,
            magic.indices.allSatisfy({ bytes.load(UInt8.self, at: $0) == magic[$0] })
        else { throw .notADelta(path: path) }
        let truncation = ResyncError.damagedDelta(
            path: path, what: "\(bytes.byteCount) of the header's \(Self.byteCount) bytes",
            at: UInt64(bytes.byteCount))
        guard bytes.byteCount >= DeltaStream.versionOffset + 4 else { throw truncation }
        let version = bytes.load(UInt32.self, at: DeltaStream.versionOffset)
        guard version == DeltaStream.version else {
            throw .unsupportedDelta(path: path, version: UInt64(version))
        }
        guard bytes.byteCount >= Self.byteCount else { throw truncation }
        func damage(_ what: String, at offset: Int) -> ResyncError {
            .damagedDelta(path: path, what: what, at: UInt64(offset))
        }

        let stored = bytes.load(UInt32.self, at: Self.checksumOffset)
        let computed = CRC32C.checksum(of: bytes.extracting(0..<Self.checksumOffset))
        guard stored == computed else {
            throw damage(
                "checksum \(stored) of the header, computed \(computed)", at: Self.checksumOffset)
        }
        blockSize = Int(bytes.load(UInt32.self, at: 20))
        guard ResyncOptions.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw damage("block size \(blockSize)", at: 20)
        }
        virtualSize = bytes.load(UInt64.self, at: 24)
        guard virtualSize <= DigestTree.maximumVirtualSize else {
            throw damage("virtual size \(virtualSize)", at: 24)
        }
        let flags = bytes.load(UInt32.self, at: Self.flagsOffset)
        guard flags <= 1 else { throw damage("flags \(flags)", at: Self.flagsOffset) }
        hasRootDigests = flags == 1
        streamID = GUID(decoding: bytes, at: 32)
        base = DiskState(decoding: bytes, at: 48)
        source = DiskState(decoding: bytes, at: 112)
        resultDataWriteGUID = GUID(decoding: bytes, at: 176)
    }

    /// The header as it stands in the stream.
    package func encoded() -> [UInt8] {
        var bytes = DeltaStream.magic
        bytes.append(contentsOf: [UInt8](repeating: 0, count: Self.byteCount - bytes.count))
        bytes.withMutableRawSpan { span in
            span.store(DeltaStream.version, at: DeltaStream.versionOffset)
            span.store(UInt32(blockSize), at: 20)
            span.store(virtualSize, at: 24)
            streamID.encode(into: &span, at: 32)
            base.encode(into: &span, at: 48)
            source.encode(into: &span, at: 112)
            resultDataWriteGUID.encode(into: &span, at: 176)
            span.store(UInt32(hasRootDigests ? 1 : 0), at: Self.flagsOffset)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan.extracting(0..<Self.checksumOffset))
        bytes.withMutableRawSpan { $0.store(checksum, at: Self.checksumOffset) }
        return bytes
    }
}
