package import Storage

/// Reads a delta stream from its first record to its last, and believes nothing that it says.
///
/// Memory: a piece of the file of 256 KiB, and the record that is given out, whatever lengths the
/// file claims.
package struct DeltaReader<File: RandomAccessFile & ~Copyable>: ~Copyable {
    package typealias Record = DeltaRecord

    package let header: DeltaHeader
    /// What stands at the end of the file, if that is a trailer of this stream; nil: the stream is
    /// unfinished.
    ///
    /// Its own word, until ``next()`` has given nil.
    package let trailer: DeltaTrailer?
    /// Of the records that were given out.
    package private(set) var counts = DeltaCounts()
    /// Behind the last record that was given out.
    package private(set) var position: UInt64 = 0

    var input: SequentialInput<File>
    /// Of all bytes up to ``position``.
    var stream: SHA256Context
    /// Where the records must end.
    private let end: UInt64
    private var isAtEnd = false
    /// Whether the SHA-256 of the stream is known to be right.
    private var isTrusted = false
    /// Why reading cannot go on.
    private var failure: ResyncError?

    /// Reads and checks the header, and looks for a trailer.
    ///
    /// - Throws: ``ResyncError/notADelta(path:)``,
    ///   ``ResyncError/unsupportedDelta(path:version:)``,
    ///   ``ResyncError/damagedDelta(path:what:at:)`` or ``ResyncError/file(_:)``.
    package init(reading file: consuming File) throws(ResyncError) {
        var input = try SequentialInput(file)
        let headerByteCount = UInt64(DeltaHeader.byteCount)
        let head = try input.bytes(at: 0, count: Int(min(headerByteCount, input.byteCount)))
        let header = try DeltaHeader(decoding: head.rawSpan, path: input.path)
        let trailerByteCount = UInt64(DeltaTrailer.byteCount)
        var trailer: DeltaTrailer?
        if input.byteCount >= headerByteCount + trailerByteCount {
            let bytes: [UInt8]
            do throws(FileError) {
                // Not through the input, which goes from the start to the end.
                bytes = try input.file.bytes(
                    at: input.byteCount - trailerByteCount, count: DeltaTrailer.byteCount)
            } catch {
                throw .file(error)
            }
            trailer = DeltaTrailer(decoding: bytes.rawSpan, streamID: header.streamID)
        }
        let stream: SHA256Context
        do throws(OutOfMemory) {
            stream = try SHA256Context()
        } catch {
            throw .outOfMemory(error)
        }
        end = input.byteCount - (trailer == nil ? 0 : trailerByteCount)
        self.header = header
        self.trailer = trailer
        self.input = consume input
        self.stream = consume stream
        begin(with: head)
    }

    /// The trailer of a stream that must be finished.
    ///
    /// - Throws: ``ResyncError/incompleteDelta(path:)``.
    package func requiredTrailer() throws(ResyncError) -> DeltaTrailer {
        guard let trailer else { throw .incompleteDelta(path: input.path) }
        return trailer
    }

    /// The next record, checked by its form, its checksum, the limits and the order; nil at the end.
    ///
    /// With a trailer nil says that the whole stream is right: its counts, its SHA-256, and that
    /// the trailer follows the last record. Without one the stream ends before the first bytes that
    /// are no whole right record: what a crash leaves.
    ///
    /// After an error each further call throws it again.
    package mutating func next() throws(ResyncError) -> DeltaRecord? {
        if let failure { throw failure }
        guard !isAtEnd else { return nil }
        do throws(ResyncError) {
            if position < end { return try readRecord() }
            try checkWhole()
        } catch {
            guard trailer == nil, case .damagedDelta = error else {
                failure = error
                throw error
            }
        }
        isAtEnd = true
        return nil
    }

    /// Starts again before the first record. The header and the size of the file must be the same.
    package mutating func rewind() throws(ResyncError) {
        input.rewind()
        let head = try input.bytes(at: 0, count: DeltaHeader.byteCount)
        guard try DeltaHeader(decoding: head.rawSpan, path: input.path) == header else {
            throw damage("another header than before", at: 0)
        }
        begin(with: head)
    }

    /// Size of the whole file.
    package var byteCount: UInt64 { input.byteCount }

    /// Leaves out the SHA-256 of the stream from here on: it was found right, or was just computed by
    /// who wrote the stream. Records are checked one by one as before.
    ///
    /// - Precondition: no record was given out since the start.
    package mutating func trustStream() {
        precondition(counts.records == 0)
        isTrusted = true
    }

    /// Gives the file back.
    package consuming func intoFile() -> File {
        input.file
    }

    private mutating func begin(with head: [UInt8]) {
        _ = stream.finalize()
        stream.update(head.rawSpan)
        position = UInt64(DeltaHeader.byteCount)
        counts = DeltaCounts()
        isAtEnd = false
        failure = nil
    }

    private mutating func readRecord() throws(ResyncError) -> DeltaRecord {
        let headerByteCount = DeltaRecord.headerByteCount
        guard end - position >= UInt64(headerByteCount) else {
            throw damage("\(end - position) bytes that are no record", at: position)
        }
        let start = try input.bytes(at: position, count: headerByteCount)
        let byteCount = try DeltaRecord.byteCount(
            startingWith: start.rawSpan, in: header, at: position, path: input.path)
        guard end - position >= UInt64(byteCount) else {
            throw damage(
                "a record of \(byteCount) bytes where there are \(end - position)", at: position)
        }
        let bytes = try input.bytes(at: position, count: byteCount)
        let record = try DeltaRecord(
            decoding: bytes, in: header, after: counts.endBlock, at: position, path: input.path)
        if !isTrusted { stream.update(bytes.rawSpan) }
        counts.add(record)
        position += UInt64(byteCount)
        return record
    }

    /// After the last record: the trailer tells the truth.
    private mutating func checkWhole() throws(ResyncError) {
        guard let trailer else { return }
        let stated = [trailer.recordCount, trailer.dataBlockCount, trailer.zeroBlockCount]
        let counted = [counts.records, counts.dataBlocks, counts.zeroBlocks]
        for (index, name) in ["records", "data blocks", "zero blocks"].enumerated()
        where stated[index] != counted[index] {
            throw damage(
                "a count of \(stated[index]) \(name), where there are \(counted[index])",
                at: end + UInt64(DeltaTrailer.countsOffset + 8 * index))
        }
        let hasRoots = trailer.baseRoot != .zero || trailer.resultRoot != .zero
        guard header.hasRootDigests || !hasRoots else {
            throw damage(
                "a root digest, of which the header says that there is none",
                at: end + UInt64(DeltaTrailer.rootsOffset))
        }
        let bytes = try input.bytes(at: end, count: DeltaTrailer.byteCount)
        let checked = DeltaTrailer.checkedByteCount
        stream.update(bytes.rawSpan.extracting(0..<checked))
        guard !isTrusted else { return }
        let computed = stream.finalize()
        let stored = BlockDigest(decoding: bytes.rawSpan, at: checked)
        guard computed == stored else {
            throw damage(
                "SHA-256 \(stored) of the stream, computed \(computed)",
                at: end + UInt64(checked))
        }
    }

    private func damage(_ what: String, at offset: UInt64) -> ResyncError {
        .damagedDelta(path: input.path, what: what, at: offset)
    }
}
