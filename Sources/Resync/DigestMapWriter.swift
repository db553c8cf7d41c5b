public import Storage

/// Writes the digest map of a disk, which appears under its name complete or not at all.
///
/// Memory: one record, and one more on its way to the file. A writer that ends without
/// ``finish(_:)`` leaves no file; so does one of whose calls threw.
public struct DigestMapWriter: ~Copyable {
    private let replacement: DurableReplacement
    private var encoder: DigestMapEncoder
    private var position: UInt64 = 0

    /// Output is written when it has become this long.
    private static let outputByteCount = 65536

    /// Opens a temporary file beside the path.
    ///
    /// - Precondition: the header's geometry is one that ``DigestTreeBuilder`` takes.
    public init(
        of path: String, header: DigestMapHeader, cacheUse: CacheUse = .keep
    ) throws(ResyncError) {
        let encoder: DigestMapEncoder
        do throws(OutOfMemory) {
            encoder = try DigestMapEncoder(header: header)
        } catch {
            throw .outOfMemory(error)
        }
        let replacement: DurableReplacement
        do throws(FileError) {
            replacement = try DurableReplacement(of: path, cacheUse: cacheUse)
        } catch {
            throw .file(error)
        }
        self.encoder = encoder
        self.replacement = replacement
    }

    /// Adds the digest of the next block. That of a block of zeros becomes part of a run.
    ///
    /// - Precondition: the disk has a next block.
    public mutating func append(_ digest: BlockDigest) throws(ResyncError) {
        encoder.append(digest)
        try writeOutput(atLeast: Self.outputByteCount)
    }

    /// Adds the next blocks, which hold nothing but zeros; a partial last block may be among them.
    ///
    /// - Precondition: the disk has so many more blocks.
    public mutating func append(zeroBlocks count: UInt64) throws(ResyncError) {
        encoder.append(zeroBlocks: count)
        try writeOutput(atLeast: Self.outputByteCount)
    }

    /// Adds the next blocks as a reader gives them.
    ///
    /// - Precondition: the disk has so many more blocks.
    mutating func append(_ run: DigestRun) throws(ResyncError) {
        switch run {
        case .zeros(let count): try append(zeroBlocks: count)
        case .digests(let digests):
            for digest in digests { try append(digest) }
        }
    }

    /// Makes the map durable, gives it its name, and returns the root digest of the disk.
    ///
    /// - Precondition: the digests of all blocks were added.
    public consuming func finish(
        _ existing: DurableReplacement.Existing
    ) throws(ResyncError) -> BlockDigest {
        let root = encoder.finish()
        try writeOutput(atLeast: 1)
        do throws(FileError) {
            try replacement.commit(existing)
        } catch {
            throw .file(error)
        }
        return root
    }

    private mutating func writeOutput(atLeast byteCount: Int) throws(ResyncError) {
        guard encoder.output.count >= byteCount else { return }
        do throws(FileError) {
            try replacement.file.write(encoder.output.rawSpan, at: position)
        } catch {
            throw .file(error)
        }
        position += UInt64(encoder.output.count)
        encoder.removeOutput()
    }
}

/// Makes the bytes of a digest map from the digests of a disk.
///
/// The bytes depend on the header and the content of the disk alone, not on how digests and zeros
/// were cut into calls.
package struct DigestMapEncoder: ~Copyable {
    /// Bytes to be written next; the owner takes them away from time to time.
    package private(set) var output: [UInt8]

    private var tree: DigestTreeBuilder?
    private let zeros: ZeroDigests
    /// Of all bytes that were put out.
    private var stream: SHA256Context
    /// Zero blocks that are no record yet. Where there are some, there are no digests.
    private var zeroCount: UInt64 = 0
    /// A record of digests that has room for more.
    private var record = Self.emptyRecord
    private var appendedCount: UInt64 = 0

    private static let emptyRecord = [UInt8](repeating: 0, count: DigestMapRecord.headerByteCount)

    package init(header: DigestMapHeader) throws(OutOfMemory) {
        let tree = try DigestTreeBuilder(
            virtualSize: header.virtualSize, blockSize: header.blockSize)
        var stream = try SHA256Context()
        let head = header.encoded()
        stream.update(head.rawSpan)
        output = head
        zeros = tree.zeros
        self.tree = consume tree
        self.stream = consume stream
    }

    package mutating func append(_ digest: BlockDigest) {
        precondition(appendedCount < zeros.blockCount)
        guard digest != zeros.digest(ofBlock: appendedCount) else { return append(zeroBlocks: 1) }
        endZeros()
        tree?.append(digest)
        appendedCount += 1
        let offset = record.count
        record.append(contentsOf: repeatElement(0, count: BlockDigest.byteCount))
        record.withMutableRawSpan { digest.encode(into: &$0, at: offset) }
        if record.count == DigestMapRecord.maximumByteCount { endDigests() }
    }

    package mutating func append(zeroBlocks count: UInt64) {
        guard count > 0 else { return }
        endDigests()
        tree?.append(zeroBlocks: count)
        appendedCount += count
        zeroCount += count
    }

    /// Puts out everything that is left, and gives the root digest.
    ///
    /// - Precondition: the digests of all blocks were added, and this was not called before.
    package mutating func finish() -> BlockDigest {
        endZeros()
        endDigests()
        guard let tree = tree.take() else { preconditionFailure("finished twice") }
        let root = tree.root()
        var trailer = [UInt8](repeating: 0, count: DigestMapRecord.checkedTrailerByteCount)
        trailer.withMutableRawSpan {
            root.encode(into: &$0, at: DigestMapRecord.headerByteCount)
        }
        DigestMapRecord.seal(&trailer, kind: .trailer, count: appendedCount)
        put(trailer)
        let digest = stream.finalize()
        let offset = output.count
        output.append(contentsOf: repeatElement(0, count: BlockDigest.byteCount))
        output.withMutableRawSpan { digest.encode(into: &$0, at: offset) }
        return root
    }

    mutating func removeOutput() {
        output.removeAll(keepingCapacity: true)
    }

    private mutating func endZeros() {
        guard zeroCount > 0 else { return }
        var record = Self.emptyRecord
        DigestMapRecord.seal(&record, kind: .zeros, count: zeroCount)
        put(record)
        zeroCount = 0
    }

    private mutating func endDigests() {
        let count = (record.count - DigestMapRecord.headerByteCount) / BlockDigest.byteCount
        guard count > 0 else { return }
        DigestMapRecord.seal(&record, kind: .digests, count: UInt64(count))
        put(record)
        record.removeLast(count * BlockDigest.byteCount)
    }

    private mutating func put(_ bytes: [UInt8]) {
        stream.update(bytes.rawSpan)
        output.append(contentsOf: bytes)
    }
}
