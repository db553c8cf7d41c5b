package import Storage

/// Records of data that a worker encodes by itself, in its own memory, for a ``DeltaWriter``.
///
/// Compression and checksums are done here; what is left to the writer is a write and SHA-256.
package struct DeltaRecordBuffer: ~Copyable, Sendable {
    /// Bytes in a block of the disk.
    package let blockSize: Int
    /// How many records there are.
    package private(set) var recordCount: UInt64 = 0
    /// How many blocks with content they have.
    package private(set) var blockCount: UInt64 = 0
    /// How many blocks they make zeros of.
    package private(set) var zeroBlockCount: UInt64 = 0
    /// The first of these blocks, if there are any.
    package private(set) var firstBlock: UInt64 = 0
    /// Behind the last of them.
    package private(set) var endBlock: UInt64 = 0
    /// How long the records are together.
    package private(set) var byteCount = 0
    /// How many bytes the last block has: fewer than others at the end of the disk alone.
    private(set) var lastBlockByteCount = 0

    private var memory: AlignedBuffer

    /// Room for records of so much content in all, however it is cut into runs.
    package init(contentByteCount: Int, blockSize: Int) throws(OutOfMemory) {
        precondition(contentByteCount > 0)
        DigestTree.checkGeometry(virtualSize: UInt64(contentByteCount), blockSize: blockSize)
        // The most that is needed is a record for each block, none of which becomes smaller; one of
        // zeros takes the room of a block that is not recorded.
        let blocks = UInt64(contentByteCount).dividedRoundingUp(by: UInt64(blockSize))
        let overhead = DeltaRecord.headerByteCount + BlockDigest.byteCount
        memory = try AlignedBuffer(byteCount: contentByteCount + Int(blocks) * overhead)
        self.blockSize = blockSize
    }

    /// The most that all records of what a worker reads at once can have together.
    static var maximumByteCount: Int {
        let overhead = DeltaRecord.headerByteCount + BlockDigest.byteCount
        let blocks = WindowPlan.bytesAtOnce / ResyncOptions.blockSizes.lowerBound
        return max(
            WindowPlan.bytesAtOnce + blocks * overhead,
            ResyncOptions.blockSizes.upperBound + overhead)
    }

    /// An empty buffer of the same size.
    func another() throws(OutOfMemory) -> DeltaRecordBuffer {
        try DeltaRecordBuffer(memory: AlignedBuffer(byteCount: memory.byteCount), blockSize)
    }

    private init(memory: consuming AlignedBuffer, _ blockSize: Int) {
        self.memory = memory
        self.blockSize = blockSize
    }

    /// Adds a record.
    ///
    /// - Parameters:
    ///   - first: The first of some neighbouring blocks, behind those of all records before.
    ///   - digests: The SHA-256 of each block.
    ///   - content: What the blocks hold, at most ``DeltaStream/maximumContentByteCount(blockSize:)``
    ///     bytes. The last block may be short, if it is the last of the disk.
    package mutating func append(first: UInt64, digests: [BlockDigest], content: RawSpan) {
        let limit = DeltaStream.maximumContentByteCount(blockSize: blockSize)
        precondition(content.byteCount > 0 && content.byteCount <= limit)
        precondition(
            UInt64(digests.count)
                == UInt64(content.byteCount).dividedRoundingUp(by: UInt64(blockSize)))
        precondition(recordCount == 0 || first >= endBlock && lastBlockByteCount == blockSize)

        let start = byteCount
        let payloadOffset = DeltaRecord.headerByteCount + digests.count * BlockDigest.byteCount
        precondition(content.byteCount + payloadOffset <= memory.byteCount - start)
        var room = memory.mutableBytes
        var record = room.part(start..<(start + payloadOffset + content.byteCount))
        let payloadLength = Self.encode(content, into: &record, at: payloadOffset)
        record.store(DeltaRecord.Kind.data.rawValue, at: 0)
        record.store(UInt32(0), at: DeltaRecord.checksumOffset)
        record.store(first, at: DeltaRecord.firstBlockOffset)
        record.store(UInt32(digests.count), at: DeltaRecord.blockCountOffset)
        record.store(UInt32(payloadLength), at: DeltaRecord.payloadLengthOffset)
        for (index, digest) in digests.enumerated() {
            let offset = DeltaRecord.headerByteCount + index * BlockDigest.byteCount
            digest.encode(into: &record, at: offset)
        }
        let checksum = CRC32C.checksum(
            of: record.bytes.extracting(0..<(payloadOffset + payloadLength)))
        record.store(checksum, at: DeltaRecord.checksumOffset)

        if recordCount == 0 { firstBlock = first }
        recordCount += 1
        blockCount += UInt64(digests.count)
        endBlock = first + UInt64(digests.count)
        lastBlockByteCount = content.byteCount - (digests.count - 1) * blockSize
        byteCount += payloadOffset + payloadLength
    }

    /// Adds a record of blocks that are to hold nothing but zeros, and that lie behind those of all
    /// records before.
    ///
    /// - Precondition: between two records with content there is at most one such record.
    package mutating func append(zeros blocks: Range<UInt64>) {
        precondition(!blocks.isEmpty && (recordCount == 0 || blocks.lowerBound >= endBlock))
        let record = DeltaRecord.encodedZeros(blocks)
        let place = byteCount..<byteCount + record.count
        var room = memory.mutableBytes
        var part = room.part(place)
        part.copy(record.rawSpan)
        if recordCount == 0 { firstBlock = blocks.lowerBound }
        recordCount += 1
        zeroBlockCount += blocks.byteCount
        endBlock = blocks.upperBound
        lastBlockByteCount = blockSize
        byteCount += record.count
    }

    /// Makes room for other records.
    package mutating func removeAll() {
        recordCount = 0
        blockCount = 0
        zeroBlockCount = 0
        firstBlock = 0
        endBlock = 0
        byteCount = 0
        lastBlockByteCount = 0
    }

    /// Lends the bytes of all records.
    package borrowing func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(memory.bytes.extracting(0..<byteCount))
    }

    /// Puts the payload of some content at the end of its record.
    ///
    /// - Returns: its length.
    private static func encode(
        _ content: RawSpan, into record: inout MutableRawSpan, at offset: Int
    ) -> Int {
        // What saves less than 1/32 costs more time than it is worth. It must be shorter than the
        // content, which is what tells it from that.
        let capacity = content.byteCount - max(1, content.byteCount / 32)
        var target = record.part(offset..<(offset + capacity))
        if let count = Compression.compress(content, into: &target) { return count }
        record.copy(content, at: offset)
        return content.byteCount
    }
}
