package import Storage

/// Writes a delta stream to a file.
///
/// Memory: 64 KiB of small records. After an error each further call throws it again; what is
/// in the file then is an unfinished stream, with which ``init(continuing:)`` goes on.
package struct DeltaWriter<File: RandomAccessFile & ~Copyable>: ~Copyable, Sendable {
    package let header: DeltaHeader
    private var counts: DeltaCounts
    private let file: File
    /// How much of the stream is in the file; what follows are the pending bytes.
    private var writtenByteCount: UInt64
    private var pending: [UInt8] = []
    /// Of all bytes of the stream.
    private var stream: SHA256Context
    private var failure: ResyncError?

    /// Pending bytes are written when they have become this many.
    private static var pendingByteCount: Int { 65536 }

    /// Begins a stream in a file, whose former content is lost.
    ///
    /// - Precondition: the block size is a power of two in ``ResyncOptions/blockSizes``, the virtual
    ///   size at most ``DigestTree/maximumVirtualSize``.
    package init(_ header: DeltaHeader, to file: consuming File) throws(ResyncError) {
        DigestTree.checkGeometry(virtualSize: header.virtualSize, blockSize: header.blockSize)
        let head = header.encoded()
        do throws(FileError) {
            if try file.byteCount() > 0 {
                // Durable first: a crash must not leave the new header before the old records.
                try file.setByteCount(0)
                try file.flush()
            }
            try file.write(head.rawSpan, at: 0)
        } catch {
            throw .file(error)
        }
        do throws(OutOfMemory) {
            stream = try SHA256Context()
        } catch {
            throw .outOfMemory(error)
        }
        stream.update(head.rawSpan)
        self.header = header
        self.file = file
        counts = DeltaCounts()
        writtenByteCount = UInt64(head.count)
    }

    /// Goes on with a stream that was cut. All of it is read; its whole, right records stay, and
    /// what follows them goes.
    ///
    /// - Throws: also ``ResyncError/damagedDelta(path:what:at:)`` where the stream is finished or
    ///   its header not whole.
    package init(continuing file: consuming File) throws(ResyncError) {
        var reader = try DeltaReader(reading: file)
        if reader.trailer != nil {
            throw .damagedDelta(
                path: reader.input.path, what: "a trailer, where more is to follow",
                at: reader.input.byteCount - UInt64(DeltaTrailer.byteCount))
        }
        while try reader.next() != nil {}
        if reader.position < reader.input.byteCount {
            do throws(FileError) {
                try reader.input.file.setByteCount(reader.position)
                // Durable first: a crash must not leave new records before old ones.
                try reader.input.file.flush()
            } catch {
                throw .file(error)
            }
        }
        header = reader.header
        counts = reader.counts
        writtenByteCount = reader.position
        stream = reader.stream
        self.file = reader.input.file
    }

    /// What to call the stream in a message.
    package var path: String { file.name }
    /// How long the stream is, pending bytes included.
    package var byteCount: UInt64 { writtenByteCount + UInt64(pending.count) }
    package var recordCount: UInt64 { counts.records }
    package var dataBlockCount: UInt64 { counts.dataBlocks }
    package var zeroBlockCount: UInt64 { counts.zeroBlocks }
    /// Behind the last record's last block.
    package var endBlock: UInt64 { counts.endBlock }

    /// Adds the records of a worker in one write.
    ///
    /// - Precondition: their blocks are blocks of the disk at or after ``endBlock``.
    package mutating func append(_ records: borrowing DeltaRecordBuffer) throws(ResyncError) {
        if let failure { throw failure }
        guard records.recordCount > 0 else { return }
        precondition(records.blockSize == header.blockSize)
        precondition(records.firstBlock >= endBlock && records.endBlock <= header.blockCount)
        let lastBlock = (records.endBlock - 1)..<records.endBlock
        precondition(
            UInt64(records.lastBlockByteCount) == header.contentByteCount(of: lastBlock))
        try flush()
        try records.withBytes { (bytes) throws(ResyncError) in try write(bytes) }
        counts.records += records.recordCount
        counts.dataBlocks += records.blockCount
        counts.zeroBlocks += records.zeroBlockCount
        counts.endBlock = records.endBlock
    }

    /// Adds blocks that are to hold nothing but zeros, as one record; none for an empty range.
    ///
    /// - Precondition: they are blocks of the disk at or after ``endBlock``.
    package mutating func append(zeros blocks: Range<UInt64>) throws(ResyncError) {
        if let failure { throw failure }
        guard !blocks.isEmpty else { return }
        precondition(blocks.lowerBound >= endBlock && blocks.upperBound <= header.blockCount)
        try append(small: DeltaRecord.encodedZeros(blocks))
        counts.records += 1
        counts.zeroBlocks += blocks.byteCount
        counts.endBlock = blocks.upperBound
    }

    /// Adds a record of another stream as it stands there.
    ///
    /// - Precondition: that stream has the same geometry, and the blocks are at or after
    ///   ``endBlock``.
    package mutating func append(copying record: DeltaRecord) throws(ResyncError) {
        if let failure { throw failure }
        precondition(record.blockSize == header.blockSize)
        precondition(
            record.blocks.lowerBound >= endBlock && record.blocks.upperBound <= header.blockCount)
        precondition(record.contentByteCount == header.contentByteCount(of: record.blocks))
        if record.bytes.count < Self.pendingByteCount {
            try append(small: record.bytes)
        } else {
            try flush()
            try write(record.bytes.rawSpan)
        }
        counts.add(record)
    }

    /// Hands all records to the system. They are not durable by that: a crash may leave any part.
    package mutating func flush() throws(ResyncError) {
        if let failure { throw failure }
        guard !pending.isEmpty else { return }
        let bytes = pending
        pending = []
        try write(bytes.rawSpan)
    }

    /// Ends the stream, and makes it durable.
    ///
    /// The records are durable before the trailer is written, so that a trailer found after a crash
    /// means that everything is there.
    ///
    /// - Precondition: the roots are zero if the header says that there are none.
    package consuming func finish(
        baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> File {
        let trailer = try end(baseRoot: baseRoot, resultRoot: resultRoot)
        do throws(FileError) {
            try file.write(trailer.rawSpan, at: writtenByteCount)
        } catch {
            throw .file(error)
        }
        try flushFile()
        return file
    }

    /// Makes the records durable and leaves the stream unfinished: what would end it is returned.
    ///
    /// - Precondition: as for ``finish(baseRoot:resultRoot:)``.
    package consuming func prepare(
        baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> PreparedJournal {
        let trailer = try end(baseRoot: baseRoot, resultRoot: resultRoot)
        return PreparedJournal(header: header, byteCount: writtenByteCount, trailer: trailer)
    }

    /// Makes the records durable.
    ///
    /// - Returns: the trailer that belongs behind them.
    private mutating func end(
        baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> [UInt8] {
        precondition(header.hasRootDigests || baseRoot == .zero && resultRoot == .zero)
        try flush()
        try flushFile()
        let trailer = DeltaTrailer(
            recordCount: recordCount, dataBlockCount: dataBlockCount,
            zeroBlockCount: zeroBlockCount, streamID: header.streamID, baseRoot: baseRoot,
            resultRoot: resultRoot)
        var bytes = trailer.encoded()
        stream.update(bytes.rawSpan)
        let digest = stream.finalize()
        let offset = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: BlockDigest.byteCount))
        bytes.withMutableRawSpan { digest.encode(into: &$0, at: offset) }
        return bytes
    }

    /// Leaves the stream unfinished. Pending records are lost without a ``flush()`` before.
    package consuming func intoFile() -> File {
        file
    }

    private mutating func append(small bytes: [UInt8]) throws(ResyncError) {
        if pending.count + bytes.count > Self.pendingByteCount { try flush() }
        pending.append(contentsOf: bytes)
    }

    /// Writes at the end of the stream.
    private mutating func write(_ bytes: RawSpan) throws(ResyncError) {
        do throws(FileError) {
            try file.write(bytes, at: writtenByteCount)
        } catch {
            failure = .file(error)
            throw .file(error)
        }
        stream.update(bytes)
        writtenByteCount += UInt64(bytes.byteCount)
    }

    private borrowing func flushFile() throws(ResyncError) {
        do throws(FileError) {
            try file.flush()
        } catch {
            throw .file(error)
        }
    }
}
