internal import Resync
internal import Storage
internal import TestSupport

/// What must hold for a file that is read as a delta stream.
struct DeltaOracle {
    let bytes: [UInt8]
    private let raw: RawDelta

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        raw = RawDelta(bytes)
    }

    func judge(_ reach: inout Reach) throws {
        let file = FuzzFile(bytes)
        do {
            var reader = try DeltaReader(reading: file)
            guard raw.hasHeader else { throw Violation("a wrong header was accepted") }
            guard (reader.trailer != nil) == raw.hasTrailer else {
                throw Violation("a trailer was found or not, wrongly")
            }
            var records: [DeltaRecord] = []
            let error = try read(&reader, &records)
            try compare(records)
            guard (error != nil) == raw.isRefused else {
                throw Violation("the reader said \(String(describing: error)), wrongly")
            }
            guard file.bytesRead <= 2 * UInt64(bytes.count) + 1 << 20 else {
                throw Violation("\(file.bytesRead) bytes were read of \(bytes.count)")
            }
            if let error {
                reach.noted(error)
            } else {
                let kind = raw.hasTrailer ? "finished" : "unfinished"
                reach.noted("read, \(kind), \(records.count) records", isOpened: raw.hasTrailer)
                try copy(records, reader.header, reader.trailer)
            }
            try decode(records, reader.header, &reach)
        } catch let error as ResyncError {
            guard !raw.hasHeader else { throw Violation("a right header was refused: \(error)") }
            switch error {
            case .notADelta, .unsupportedDelta, .damagedDelta: reach.noted(error)
            default: throw Violation("a damaged delta ended with: \(error)")
            }
        }
        try goOn(cutting: bytes.count)
        var generator = SeededGenerator(seed: UInt64(CRC32C.checksum(of: bytes.rawSpan)))
        for _ in 0..<2 { try goOn(cutting: generator.below(bytes.count + 1)) }
    }

    /// Reads to the end, or to an error, which must come again.
    private func read(
        _ reader: inout DeltaReader<FuzzFile>, _ records: inout [DeltaRecord]
    ) throws -> ResyncError? {
        do {
            while let record = try reader.next() { records.append(record) }
            guard try reader.next() == nil else { throw Violation("a record after the end") }
            return nil
        } catch let error as ResyncError {
            guard case .damagedDelta = error else {
                throw Violation("a damaged delta ended with: \(error)")
            }
            do {
                _ = try reader.next()
                throw Violation("an error went away")
            } catch let again as ResyncError where again == error {
                return error
            }
        }
    }

    /// The records are those that a second reading finds.
    private func compare(_ records: [DeltaRecord]) throws {
        guard records.count == raw.records.count else {
            throw Violation("\(records.count) records, where there are \(raw.records.count)")
        }
        for (record, other) in zip(records, raw.records) {
            guard (record.kind == .data) == other.isData, record.blocks == other.blocks,
                record.contentByteCount == other.content, record.bytes == Array(bytes[other.bytes])
            else { throw Violation("another record at byte \(record.offset) than is there") }
        }
    }

    /// What was accepted makes the same bytes when it is copied.
    private func copy(
        _ records: [DeltaRecord], _ header: DeltaHeader, _ trailer: DeltaTrailer?
    ) throws {
        var writer = try DeltaWriter(header, to: FuzzFile(Content()))
        for record in records { try writer.append(copying: record) }
        var expected = bytes[..<raw.end]
        let file: FuzzFile
        if let trailer {
            expected = bytes[...]
            file = try writer.finish(baseRoot: trailer.baseRoot, resultRoot: trailer.resultRoot)
        } else {
            try writer.flush()
            file = writer.intoFile()
        }
        guard file.content.bytes(at: 0, count: Int(file.content.byteCount)) == Array(expected)
        else { throw Violation("a copy is not the same") }
    }

    /// Content is what a second decoder makes of it, or refused by both; what was accepted makes
    /// a stream of the same content when it is written again.
    private func decode(
        _ records: [DeltaRecord], _ header: DeltaHeader, _ reach: inout Reach
    ) throws {
        var context = try SHA256Context()
        let largest = DeltaStream.maximumContentByteCount(blockSize: header.blockSize)
        var buffer = try DeltaRecordBuffer(
            contentByteCount: largest, blockSize: header.blockSize)
        var writer = try DeltaWriter(header, to: FuzzFile(Content()))
        var contents: [[UInt8]] = []
        for (record, other) in zip(records, raw.records) {
            guard record.kind == .data else {
                try writer.append(zeros: record.blocks)
                continue
            }
            let expected = raw.content(of: other)
            guard let content = try content(of: record, &context, &reach) else {
                guard expected == nil else { throw Violation("right content was refused") }
                continue
            }
            guard expected == content else { throw Violation("content of another digest") }
            let digests = (0..<Int(record.blocks.byteCount)).map { record.digest(at: $0) }
            buffer.append(
                first: record.blocks.lowerBound, digests: digests, content: content.rawSpan)
            try writer.append(buffer)
            buffer.removeAll()
            contents.append(content)
        }
        try writer.flush()
        var again = try DeltaReader(reading: writer.intoFile())
        var index = 0
        while let record = try again.next() {
            guard record.kind == .data else { continue }
            guard try content(of: record, &context, &reach) == contents[index] else {
                throw Violation("content that was written again is another")
            }
            index += 1
        }
        guard index == contents.count else { throw Violation("records were lost") }
    }

    private func content(
        of record: DeltaRecord, _ context: inout SHA256Context, _ reach: inout Reach
    ) throws -> [UInt8]? {
        var content = [UInt8](repeating: 0xEE, count: Int(record.contentByteCount))
        do {
            try content.withMutableRawSpan { (span) throws(ResyncError) in
                try record.decode(into: &span, context: &context)
            }
            reach.noted("decoded a record")
            return content
        } catch {
            guard case .damagedDelta = error else { throw Violation("decoding: \(error)") }
            reach.noted(error)
            return nil
        }
    }

    /// A stream that was cut keeps its whole records, gets one more, and is right.
    private func goOn(cutting count: Int) throws {
        let rest = Array(bytes[..<count])
        let raw = RawDelta(rest)
        let file = FuzzFile(rest)
        var writer: DeltaWriter<FuzzFile>
        do {
            writer = try DeltaWriter(continuing: file)
        } catch {
            guard !raw.hasHeader || raw.hasTrailer, file.changeCount == 0 else {
                throw Violation("a cut stream was not continued: \(error)")
            }
            return
        }
        guard raw.hasHeader, !raw.hasTrailer, writer.byteCount == UInt64(raw.end),
            file.content.byteCount == UInt64(raw.end),
            writer.endBlock == raw.records.last?.blocks.upperBound ?? 0
        else { throw Violation("a stream was continued at byte \(writer.byteCount)") }
        let header = writer.header
        if writer.endBlock < header.blockCount {
            try writer.append(zeros: writer.endBlock..<header.blockCount)
        }
        let recordCount = writer.recordCount
        let root: BlockDigest = .zero
        let done = try writer.finish(baseRoot: root, resultRoot: root)
        let whole = RawDelta(done.content.bytes(at: 0, count: Int(done.content.byteCount)))
        guard whole.hasTrailer, !whole.isRefused, UInt64(whole.records.count) == recordCount else {
            throw Violation("a stream that was continued is not right")
        }
    }
}
