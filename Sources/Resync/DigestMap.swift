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
    static let version: UInt32 = 1
    /// Where each version has its number: behind the magic bytes.
    static let versionOffset = 16
}

/// What a digest map says of the disk that it is the map of.
///
///     offset  size  field
///          0    16  magic            "vhdresyncmap", 0D 0A 1A 0A
///         16     4  version          1
///         20     4  block size       bytes
///         24     8  virtual size     bytes
///         32    16  virtual disk ID  of the image; zero where it has none
///         48    16  data write GUID  of the image when it was read; zero where it has none
///         64     4  reserved         0
///         68     4  checksum         CRC-32C of bytes 0 to 67
public struct DigestMapHeader: Equatable, Sendable {
    /// Bytes of virtual content.
    public var virtualSize: UInt64
    /// Bytes in a block.
    public var blockSize: Int
    /// The image's identity, ``GUID/zero`` where it has none.
    public var virtualDiskID: GUID
    /// Changes whenever content of the image does; ``GUID/zero`` where it has none.
    public var dataWriteGUID: GUID

    /// The size on file.
    static let byteCount = 72

    /// A header of these values.
    public init(virtualSize: UInt64, blockSize: Int, virtualDiskID: GUID, dataWriteGUID: GUID) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        self.virtualDiskID = virtualDiskID
        self.dataWriteGUID = dataWriteGUID
    }
}

extension DigestMapHeader {
    /// Decodes and checks the start of a file whose magic bytes and version were found right.
    init(decoding bytes: RawSpan, path: String) throws(ResyncError) {
        precondition(bytes.byteCount == Self.byteCount)
        guard bytes.load(UInt32.self, at: 68) == CRC32C.checksum(of: bytes.extracting(0..<68))
        else {
            throw .damagedDigestMap(path: path, what: "wrong checksum of the header", at: 68)
        }
        guard bytes.load(UInt32.self, at: 64) == 0 else {
            throw .damagedDigestMap(path: path, what: "a reserved field that is not 0", at: 64)
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
    }

    /// The header as it stands on file.
    func encoded() -> [UInt8] {
        var bytes = DigestMap.magic
        bytes.append(contentsOf: [UInt8](repeating: 0, count: Self.byteCount - bytes.count))
        bytes.withMutableRawSpan { span in
            span.store(DigestMap.version, at: DigestMap.versionOffset)
            span.store(UInt32(blockSize), at: 20)
            span.store(virtualSize, at: 24)
            virtualDiskID.encode(into: &span, at: 32)
            dataWriteGUID.encode(into: &span, at: 48)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan.extracting(0..<68))
        bytes.withMutableRawSpan { $0.store(checksum, at: 68) }
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
