public import Storage

/// A run of neighbouring blocks of a digest map.
public enum DigestRun: Equatable, Sendable {
    /// So many blocks that hold nothing but zeros; a partial last block may be among them.
    case zeros(UInt64)
    /// The digests of so many blocks, of which some may hold zeros all the same.
    case digests([BlockDigest])

    /// How many blocks the run covers.
    public var blockCount: UInt64 {
        switch self {
        case .zeros(let count): count
        case .digests(let digests): UInt64(digests.count)
        }
    }
}

/// Reads a digest map from its first block to its last, and believes nothing that it says.
///
/// Each record is checked before its digests are given out, and the whole file, with the root
/// digest that its digests make, before the last record's are. Memory: a piece of the file of
/// 256 KiB and the digests of one record, whatever lengths the file claims.
public struct DigestMapReader<File: RandomAccessFile & ~Copyable>: ~Copyable {
    /// The disk that this is the map of.
    public let header: DigestMapHeader
    /// The root digest of the disk. The file's own word, until the last run was given out.
    public let rootDigest: BlockDigest
    /// How many blocks the disk has.
    public let blockCount: UInt64
    /// How many of them were given out.
    public private(set) var givenCount: UInt64 = 0

    private var input: DigestMapInput<File>
    /// Of all bytes up to the next record.
    private var stream: SHA256Context
    /// Of all records up to the next one; nil when the last was read.
    private var tree: DigestTreeBuilder?
    private let trailer: [UInt8]
    // Of the record that was read last, what was not given out. One of the two is empty.
    private var zeroCount: UInt64 = 0
    private var digests: ArraySlice<BlockDigest> = []
    /// Why reading cannot go on.
    private var failure: ResyncError?

    /// Reads and checks the header and the trailer.
    ///
    /// - Throws: ``ResyncError/notADigestMap(path:)``,
    ///   ``ResyncError/unsupportedDigestMap(path:version:)``,
    ///   ``ResyncError/damagedDigestMap(path:what:at:)`` or ``ResyncError/file(_:)``.
    public init(reading file: consuming File) throws(ResyncError) {
        var input = try DigestMapInput(file)
        let head = try input.head()
        let header = try DigestMapHeader(decoding: head.rawSpan, path: input.path)
        let trailer = try input.trailer()
        let tree = try Self.makeTree(for: header)
        var stream = try Self.makeStream()
        stream.update(head.rawSpan)
        let count = trailer.rawSpan.load(UInt64.self, at: DigestMapRecord.countOffset)
        guard count == tree.blockCount else {
            throw input.damage(
                "\(count) blocks, where the disk has \(tree.blockCount)",
                at: input.end + UInt64(DigestMapRecord.countOffset))
        }
        rootDigest = BlockDigest(decoding: trailer.rawSpan, at: DigestMapRecord.headerByteCount)
        blockCount = tree.blockCount
        self.header = header
        self.trailer = trailer
        self.input = consume input
        self.stream = consume stream
        self.tree = consume tree
    }

    private static func makeTree(
        for header: DigestMapHeader
    ) throws(ResyncError) -> DigestTreeBuilder {
        do throws(OutOfMemory) {
            return try DigestTreeBuilder(
                virtualSize: header.virtualSize, blockSize: header.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
    }

    private static func makeStream() throws(ResyncError) -> SHA256Context {
        do throws(OutOfMemory) {
            return try SHA256Context()
        } catch {
            throw .outOfMemory(error)
        }
    }

    /// The next run: at most so many blocks, at least one, at most 4096 digests; nil after the
    /// last block, when the whole file is known to be right.
    ///
    /// After an error each further call throws it again.
    public mutating func nextRun(upTo count: UInt64) throws(ResyncError) -> DigestRun? {
        precondition(count > 0)
        if let failure { throw failure }
        if zeroCount == 0, digests.isEmpty {
            guard tree != nil else { return nil }
            do throws(ResyncError) {
                try readRecord()
            } catch {
                failure = error
                zeroCount = 0
                digests = []
                throw error
            }
        }
        guard givenCount < blockCount else { return nil }
        if zeroCount > 0 {
            let given = min(count, zeroCount)
            zeroCount -= given
            givenCount += given
            return .zeros(given)
        }
        let given = digests.prefix(Int(min(count, UInt64(digests.count))))
        digests.removeFirst(given.count)
        givenCount += UInt64(given.count)
        return .digests(Array(given))
    }

    /// The next runs: exactly so many blocks, fewer only where the disk ends, none after its end.
    public mutating func next(upTo count: Int) throws(ResyncError) -> [DigestRun] {
        var runs: [DigestRun] = []
        var remaining = UInt64(count)
        while remaining > 0, let run = try nextRun(upTo: remaining) {
            remaining -= run.blockCount
            runs.append(run)
        }
        return runs
    }

    private mutating func readRecord() throws(ResyncError) {
        // A disk without blocks has no records.
        guard blockCount > 0 else { return try checkWhole() }
        let start = input.position
        let record = try input.record()
        stream.update(record.rawSpan)
        let count = record.rawSpan.load(UInt64.self, at: DigestMapRecord.countOffset)
        guard count > 0, count <= blockCount - (tree?.appendedCount ?? 0) else {
            throw input.damage(
                "a record of \(count) blocks", at: start + UInt64(DigestMapRecord.countOffset))
        }
        if record.count == DigestMapRecord.headerByteCount {
            tree?.append(zeroBlocks: count)
            zeroCount = count
        } else {
            var decoded: [BlockDigest] = []
            decoded.reserveCapacity(Int(count))
            for index in 0..<Int(count) {
                let offset = DigestMapRecord.headerByteCount + index * BlockDigest.byteCount
                decoded.append(BlockDigest(decoding: record.rawSpan, at: offset))
            }
            for digest in decoded { tree?.append(digest) }
            digests = decoded[...]
        }
        if tree?.appendedCount == blockCount { try checkWhole() }
    }

    /// After the last record: nothing stands between it and the trailer, the file has the SHA-256
    /// that the trailer says, and the digests make the root digest.
    private mutating func checkWhole() throws(ResyncError) {
        guard input.position == input.end else {
            throw input.damage("a record after the last block", at: input.position)
        }
        let checked = DigestMapRecord.checkedTrailerByteCount
        let trailer = trailer
        stream.update(trailer.rawSpan.extracting(0..<checked))
        guard stream.finalize() == BlockDigest(decoding: trailer.rawSpan, at: checked) else {
            throw input.damage("wrong SHA-256 of the file", at: input.end + UInt64(checked))
        }
        guard let tree = tree.take(), tree.root() == rootDigest else {
            throw input.damage(
                "a root digest that is not that of its digests",
                at: input.end + UInt64(DigestMapRecord.headerByteCount))
        }
    }
}
