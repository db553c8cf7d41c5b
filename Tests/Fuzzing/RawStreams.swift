internal import Resync
internal import Storage

/// A delta stream read once more, as simply as docs/delta-stream.md allows: all of it in memory, and
/// nothing of it through the reader under test.
struct RawDelta {
    typealias Record = RawRecords.Record

    /// Whether there is a header that may be used.
    private(set) var hasHeader = false
    private(set) var hasTrailer = false
    /// Up to the first that is wrong.
    private(set) var records: [Record] = []
    /// Where these records end.
    private(set) var end = 200
    /// Whether a finished stream breaks a rule behind these records.
    private(set) var isRefused = false

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        guard bytes.count >= 200, Array(bytes[..<16]) == Array("vhdresyncdlt\r\n\u{1A}\n".utf8),
            bytes.number(UInt32.self, at: 16) == 1,
            bytes.number(UInt32.self, at: 196)
                == CRC32C.checksum(of: bytes.rawSpan.extracting(0..<196)),
            (12...24).contains(where: { 1 << $0 == bytes.number(UInt32.self, at: 20) }),
            bytes.number(UInt64.self, at: 24) < 1 << 63, bytes.number(UInt32.self, at: 192) < 2
        else { return }
        hasHeader = true
        let trailer = Array(bytes.suffix(144))
        hasTrailer =
            bytes.count >= 344 && trailer.number(UInt32.self, at: 0) == 3
            && RawRecords.isRight(Array(trailer[..<112])) && trailer[32..<48] == bytes[32..<48]
        let limit = bytes.count - (hasTrailer ? 144 : 0)
        while let record = form.record(
            in: bytes, at: end, limit: limit, behind: records.last?.blocks.upperBound ?? 0)
        {
            records.append(record)
            end = record.bytes.upperBound
        }
        if hasTrailer { isRefused = end != limit || !isRight(trailer: trailer) }
    }

    private var form: RawRecords {
        RawRecords(
            blockSize: UInt64(bytes.number(UInt32.self, at: 20)),
            virtualSize: bytes.number(UInt64.self, at: 24))
    }

    private func isRight(trailer: [UInt8]) -> Bool {
        let data = records.filter(\.isData).reduce(0) { $0 + $1.blocks.byteCount }
        let zeros = records.filter { !$0.isData }.reduce(0) { $0 + $1.blocks.byteCount }
        return trailer.number(UInt64.self, at: 8) == UInt64(records.count)
            && trailer.number(UInt64.self, at: 16) == data
            && trailer.number(UInt64.self, at: 24) == zeros
            && (bytes[192] == 1 || trailer[48..<112].allSatisfy { $0 == 0 })
            && Array(trailer[112...]) == StreamPieces.digest(of: bytes.dropLast(32))
    }

    /// What a record of data says that its blocks hold, if that has the digests that it says.
    func content(of record: Record) -> [UInt8]? { form.content(of: record, in: bytes) }
}

/// A digest map read once more, by docs/digest-map.md alone.
struct RawMap {
    enum Run: Equatable {
        case zeros(UInt64)
        case digests([[UInt8]])
    }

    private(set) var runs: [Run] = []
    /// The root digest that the runs make, if they cover the disk.
    private(set) var root: [UInt8]?
    private(set) var isRight = false
    /// What version 2 has besides.
    private(set) var fileState: [UInt8]?

    init(_ bytes: [UInt8]) {
        let hasState = bytes.count >= 20 && bytes.number(UInt32.self, at: 16) == 2
        let start = hasState ? 104 : 72
        guard bytes.count >= start + 80,
            Array(bytes[..<16]) == Array("vhdresyncmap\r\n\u{1A}\n".utf8),
            hasState || bytes.number(UInt32.self, at: 16) == 1,
            bytes.number(UInt32.self, at: start - 8) == 0,
            let shift = (12...24).first(where: { 1 << $0 == bytes.number(UInt32.self, at: 20) }),
            bytes.number(UInt64.self, at: 24) < 1 << 63
        else { return }
        if hasState { fileState = Array(bytes[64..<96]) }
        let virtualSize = bytes.number(UInt64.self, at: 24)
        let blockCount = (virtualSize + (1 << UInt64(shift)) - 1) >> UInt64(shift)
        guard
            var tree = try? DigestTreeBuilder(virtualSize: virtualSize, blockSize: 1 << shift)
        else { return }
        let trailer = Array(bytes.suffix(80))
        var position = start
        var areRight =
            bytes.number(UInt32.self, at: start - 4)
            == CRC32C.checksum(of: bytes.rawSpan.extracting(0..<start - 4))
        while position < bytes.count - 80 {
            let rest = bytes[position..<(bytes.count - 80)]
            guard let count = StreamFormat.map.byteCount(ofRecord: rest), count <= rest.count
            else { return }
            let record = Array(rest.prefix(count))
            let blocks = record.number(UInt64.self, at: 8)
            guard blocks > 0, blocks <= blockCount - tree.appendedCount else { return }
            areRight = areRight && RawRecords.isRight(record)
            if count == 16 {
                guard record.number(UInt32.self, at: 0) == 1 else { return }
                tree.append(zeroBlocks: blocks)
                runs.append(.zeros(blocks))
            } else {
                let offsets = stride(from: 16, to: count, by: 32)
                for offset in offsets {
                    tree.append(BlockDigest(decoding: record.rawSpan, at: offset))
                }
                runs.append(.digests(offsets.map { Array(record[$0..<$0 + 32]) }))
            }
            position += count
        }
        guard tree.appendedCount == blockCount else { return }
        let root = tree.root().bytes
        self.root = root
        isRight =
            areRight && trailer.number(UInt32.self, at: 0) == 3
            && trailer.number(UInt64.self, at: 8) == blockCount
            && RawRecords.isRight(Array(trailer[..<48])) && Array(trailer[16..<48]) == root
            && Array(trailer[48...]) == StreamPieces.digest(of: bytes.dropLast(32))
    }
}
