internal import Storage

/// The arithmetic of blocks, chunks and the block allocation table, [MS-VHDX] 2.5.
///
/// After every chunk of payload entries the table holds one entry for a sector bitmap block, in
/// every kind of image.
public struct Geometry: Equatable, Sendable {
    /// Bytes of the disk: at most 64 TiB, a multiple of the logical sector size.
    public let virtualSize: UInt64
    /// Bytes in a payload block: a power of two from 1 to 256 MiB.
    public let blockSize: UInt64
    /// 512 or 4096 bytes.
    public let logicalSectorSize: UInt64
    /// 512 or 4096 bytes.
    public let physicalSectorSize: UInt64

    /// Payload blocks in a chunk.
    public var chunkRatio: UInt64 { (logicalSectorSize << 23) / blockSize }

    /// Payload blocks of the disk. The last may lie partly beyond its end.
    public var payloadBlockCount: UInt64 { virtualSize.dividedRoundingUp(by: blockSize) }

    /// Entries of the table in an image without a parent.
    public var entryCount: UInt64 {
        payloadBlockCount + (payloadBlockCount - 1) / chunkRatio
    }

    /// The table's index of a payload block's entry.
    public func entryIndex(ofBlock block: UInt64) -> UInt64 { block + block / chunkRatio }

    /// What an entry of the table is for.
    enum EntryRole: Equatable {
        case payloadBlock(UInt64)
        case sectorBitmap
    }

    func role(ofEntry index: UInt64) -> EntryRole {
        let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
        return place == chunkRatio ? .sectorBitmap : .payloadBlock(chunk * chunkRatio + place)
    }

    /// The virtual bytes of a payload block that lie on the disk.
    func virtualRange(ofBlock block: UInt64) -> Range<UInt64> {
        let start = block * blockSize
        return start..<min(start + blockSize, virtualSize)
    }

    /// The payload blocks that a range of virtual bytes touches.
    func blocks(in range: Range<UInt64>) -> Range<UInt64> {
        range.lowerBound / blockSize..<range.upperBound.dividedRoundingUp(by: blockSize)
    }
}

extension Geometry {
    init(_ items: MetadataItems) {
        virtualSize = items.virtualSize
        blockSize = items.blockSize
        logicalSectorSize = items.logicalSectorSize
        physicalSectorSize = items.physicalSectorSize
    }
}
