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

    /// Whether the image builds on a parent.
    public let hasParent: Bool

    /// Payload blocks in a chunk.
    public var chunkRatio: UInt64 { (logicalSectorSize << 23) / blockSize }

    /// Payload blocks of the disk. The last may lie partly beyond its end.
    public var payloadBlockCount: UInt64 { virtualSize.dividedRoundingUp(by: blockSize) }

    /// Chunks of the disk. The last may lie partly beyond its end.
    public var chunkCount: UInt64 { payloadBlockCount.dividedRoundingUp(by: chunkRatio) }

    /// Entries of the table: up to the last payload block's; of an image with a parent, up to the
    /// sector bitmap's of the last chunk.
    public var entryCount: UInt64 {
        hasParent
            ? chunkCount * (chunkRatio + 1)
            : payloadBlockCount + (payloadBlockCount - 1) / chunkRatio
    }

    /// The table's index of a payload block's entry.
    public func entryIndex(ofBlock block: UInt64) -> UInt64 { block + block / chunkRatio }

    /// The table's index of the entry of a chunk's sector bitmap.
    func entryIndex(ofBitmapOfChunk chunk: UInt64) -> UInt64 {
        (chunk + 1) * chunkRatio + chunk
    }

    /// What an entry of the table is for.
    enum EntryRole: Equatable {
        case payloadBlock(UInt64)
        case sectorBitmap(chunk: UInt64)
        /// Past the last payload block, in its chunk.
        case unused
    }

    func role(ofEntry index: UInt64) -> EntryRole {
        let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
        if place == chunkRatio { return .sectorBitmap(chunk: chunk) }
        let block = chunk * chunkRatio + place
        return block < payloadBlockCount ? .payloadBlock(block) : .unused
    }

    /// Behind the last entry of a payload block that stands in a chunk with this one, itself one or that of
    /// a sector bitmap.
    func endOfPayloadEntries(from index: UInt64) -> UInt64 {
        let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
        return place < chunkRatio ? chunk * (chunkRatio + 1) + chunkRatio : index
    }

    /// Bytes of a sector bitmap block: one bit for each sector of a chunk, [MS-VHDX] 2.4.
    static let bitmapByteCount: UInt64 = .mebibyte

    func chunk(ofBlock block: UInt64) -> UInt64 { block / chunkRatio }

    /// The sectors that a range of virtual bytes of one payload block touches, counted from the
    /// start of the block's chunk.
    func sectorsInChunk(_ range: Range<UInt64>) -> Range<UInt64> {
        let chunkSize = blockSize * chunkRatio
        let start = range.lowerBound.roundedDown(toMultipleOf: chunkSize)
        return (range.lowerBound - start)
            / logicalSectorSize..<(range.upperBound - start).dividedRoundingUp(
                by: logicalSectorSize)
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
        hasParent = items.hasParent
    }
}
