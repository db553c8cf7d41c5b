public import Storage

/// The digests of a disk on file (docs/digest-map.md).
///
/// A header, records with the digests of all blocks in order, and a trailer. Runs of zero blocks
/// take 16 bytes, whatever their length. Everything is little-endian and 8-byte aligned.
public enum DigestMap {
    /// Whether the file starts as a digest map does; nothing else of it is looked at.
    public static func isDigestMap(
        _ file: borrowing some RandomAccessFile & ~Copyable
    ) throws(FileError) -> Bool {
        guard try file.byteCount() >= UInt64(magic.count) else { return false }
        return try file.bytes(at: 0, count: magic.count) == magic
    }

    /// The first bytes of the file. The line ends are there to be damaged by a transfer as text.
    static let magic = Array("vhdresyncmap\r\n".utf8) + [0x1A, 0x0A]
    static let versions: ClosedRange<UInt32> = 1...2
    /// Where each version has its number: behind the magic bytes.
    static let versionOffset = 16
}

/// What a digest map says of the disk that it is the map of.
///
///     offset  size  field
///          0    16  magic            "vhdresyncmap", 0D 0A 1A 0A
///         16     4  version          2, or 1 where there is no file state
///         20     4  block size       bytes
///         24     8  virtual size     bytes
///         32    16  virtual disk ID  of the image; zero where it has none
///         48    16  data write GUID  of the image when it was read; zero where it has none
///         64    32  file state       of version 2: of the files when they were read
///         96     4  reserved         0, of version 1 at 64
///        100     4  checksum         CRC-32C of all bytes before it
public struct DigestMapHeader: Equatable, Sendable {
    /// Bytes of virtual content.
    public var virtualSize: UInt64
    /// Bytes in a block.
    public var blockSize: Int
    /// The image's identity, ``GUID/zero`` where it has none.
    public var virtualDiskID: GUID
    /// Changes whenever content of the image does; ``GUID/zero`` where it has none.
    public var dataWriteGUID: GUID
    /// What tells that the files were changed since they were read; nil where nothing would.
    public var fileState: BlockDigest?

    static let fileStateOffset = 64

    /// The version that holds this header.
    public var version: UInt32 { fileState == nil ? 1 : 2 }

    /// The size on file.
    static func byteCount(ofVersion version: UInt32) -> Int {
        fileStateOffset + (version == 1 ? 0 : BlockDigest.byteCount) + 8
    }

    /// A header of these values.
    public init(
        virtualSize: UInt64, blockSize: Int, virtualDiskID: GUID, dataWriteGUID: GUID,
        fileState: BlockDigest? = nil
    ) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        self.virtualDiskID = virtualDiskID
        self.dataWriteGUID = dataWriteGUID
        self.fileState = fileState
    }
}

extension DigestMapHeader {
    /// Decodes and checks the start of a file whose magic bytes and version were found right.
    init(decoding bytes: RawSpan, path: String) throws(ResyncError) {
        let version = bytes.load(UInt32.self, at: DigestMap.versionOffset)
        precondition(bytes.byteCount == Self.byteCount(ofVersion: version))
        let end = bytes.byteCount - 4
        guard bytes.load(UInt32.self, at: end) == CRC32C.checksum(of: bytes.extracting(0..<end))
        else {
            throw .damagedDigestMap(
                path: path, what: "wrong checksum of the header", at: UInt64(end))
        }
        guard bytes.load(UInt32.self, at: end - 4) == 0 else {
            throw .damagedDigestMap(
                path: path, what: "a reserved field that is not 0", at: UInt64(end - 4))
        }
        blockSize = Int(bytes.load(UInt32.self, at: 20))
        guard ResyncOptions.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw .damagedDigestMap(path: path, what: "block size \(blockSize)", at: 20)
        }
        virtualSize = bytes.load(UInt64.self, at: 24)
        guard virtualSize <= DigestTree.maximumVirtualSize else {
            throw .damagedDigestMap(path: path, what: "virtual size \(virtualSize)", at: 24)
        }
        virtualDiskID = GUID(decoding: bytes, at: 32)
        dataWriteGUID = GUID(decoding: bytes, at: 48)
        fileState =
            version == 1 ? nil : BlockDigest(decoding: bytes, at: Self.fileStateOffset)
    }

    /// The header as it stands on file.
    func encoded() -> [UInt8] {
        let byteCount = Self.byteCount(ofVersion: version)
        var bytes = DigestMap.magic
        bytes.append(contentsOf: [UInt8](repeating: 0, count: byteCount - bytes.count))
        bytes.withMutableRawSpan { span in
            span.store(version, at: DigestMap.versionOffset)
            span.store(UInt32(blockSize), at: 20)
            span.store(virtualSize, at: 24)
            virtualDiskID.encode(into: &span, at: 32)
            dataWriteGUID.encode(into: &span, at: 48)
            fileState?.encode(into: &span, at: Self.fileStateOffset)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan.extracting(0..<byteCount - 4))
        bytes.withMutableRawSpan { $0.store(checksum, at: byteCount - 4) }
        return bytes
    }
}

/// What every record of a digest map starts with.
///
///     offset  size  field
///          0     4  kind
///          4     4  checksum  CRC-32C of the record with this field as 0
///          8     8  count     blocks that the record is about
///
/// A record of digests goes on with as many digests. The trailer's goes on with the root digest,
/// and, outside its checksum, the SHA-256 of the file up to there.
enum DigestMapRecord {
    enum Kind: UInt32 {
        case zeros = 1
        case digests = 2
        case trailer = 3
    }

    static let headerByteCount = 16
    static let kindOffset = 0
    static let checksumOffset = 4
    static let countOffset = 8
    /// The most digests in a record: it bounds the memory of who reads one.
    static let maximumDigestCount = 4096
    static let maximumByteCount = headerByteCount + maximumDigestCount * BlockDigest.byteCount

    /// The part of the trailer that its checksum covers.
    static let checkedTrailerByteCount = headerByteCount + BlockDigest.byteCount
    static let trailerByteCount = checkedTrailerByteCount + BlockDigest.byteCount

    /// Sets the fields of a record whose content is in place.
    static func seal(_ bytes: inout [UInt8], kind: Kind, count: UInt64) {
        bytes.withMutableRawSpan { span in
            span.store(kind.rawValue, at: kindOffset)
            span.store(count, at: countOffset)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: checksumOffset)
        bytes.withMutableRawSpan { $0.store(checksum, at: checksumOffset) }
    }

    static func hasValidChecksum(_ bytes: RawSpan) -> Bool {
        bytes.load(UInt32.self, at: checksumOffset)
            == CRC32C.checksum(of: bytes, withoutFieldAt: checksumOffset)
    }
}
