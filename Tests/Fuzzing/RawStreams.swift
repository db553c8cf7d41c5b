internal import Resync
internal import Storage

/// A delta stream read once more, as simply as docs/delta-stream.md allows: all of it in memory, and
/// nothing of it through the reader under test.
struct RawDelta {
    struct Record {
        var isData: Bool
        var blocks: Range<UInt64>
        var content: UInt64
        var bytes: Range<Int>
    }

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
            && Self.isRight(Array(trailer[..<112])) && trailer[32..<48] == bytes[32..<48]
        let limit = bytes.count - (hasTrailer ? 144 : 0)
        while let record = record(at: end, limit: limit) {
            records.append(record)
            end = record.bytes.upperBound
        }
        if hasTrailer { isRefused = end != limit || !isRight(trailer: trailer) }
    }

    private static func isRight(_ record: [UInt8]) -> Bool {
        record.number(UInt32.self, at: 4)
            == CRC32C.checksum(of: record.rawSpan, withoutFieldAt: 4)
    }

    private func record(at start: Int, limit: Int) -> Record? {
        guard start + 24 <= limit else { return nil }
        let blockSize = UInt64(bytes.number(UInt32.self, at: 20))
        let virtualSize = bytes.number(UInt64.self, at: 24)
        let kind = bytes.number(UInt32.self, at: start)
        guard kind == 1 || kind == 2 else { return nil }
        let first = bytes.number(UInt64.self, at: start + 8)
        var count = bytes.number(UInt64.self, at: start + 16)
        var length: UInt64 = 0
        if kind == 2 {
            length = count >> 32
            count &= 0xFFFF_FFFF
        }
        let blocks = virtualSize / blockSize + (virtualSize % blockSize == 0 ? 0 : 1)
        guard count > 0, first >= records.last?.blocks.upperBound ?? 0, first < blocks,
            count <= blocks - first
        else { return nil }
        let isLast = first + count == blocks
        let content = (isLast ? virtualSize : (first + count) * blockSize) - first * blockSize
        var byteCount = 24
        if kind == 2 {
            guard count == 1 || count * blockSize <= 1 << 20, length > 0, length <= content,
                UInt64(limit - start - 24) >= 32 * count + length
            else { return nil }
            byteCount += Int(32 * count + length)
        }
        guard Self.isRight(Array(bytes[start..<start + byteCount])) else { return nil }
        return Record(
            isData: kind == 2, blocks: first..<first + count, content: content,
            bytes: start..<start + byteCount)
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
    func content(of record: Record) -> [UInt8]? {
        let blockSize = Int(bytes.number(UInt32.self, at: 20))
        let digests = record.bytes.lowerBound + 24
        let payload = bytes[(digests + 32 * Int(record.blocks.byteCount))..<record.bytes.upperBound]
        let content: [UInt8]
        if UInt64(payload.count) == record.content {
            content = Array(payload)
        } else {
            guard let decoded = Self.lz4(Array(payload), count: Int(record.content)) else {
                return nil
            }
            content = decoded
        }
        for index in 0..<Int(record.blocks.byteCount) {
            let start = index * blockSize
            let block = content[start..<min(start + blockSize, content.count)]
            let stored = bytes[(digests + 32 * index)..<(digests + 32 * index + 32)]
            guard StreamPieces.digest(of: block) == Array(stored) else { return nil }
        }
        return content
    }

    /// An LZ4 block by its format: also the rules for its end, which let decoders copy in large steps.
    static func lz4(_ block: [UInt8], count: Int) -> [UInt8]? {
        var content: [UInt8] = []
        var position = 0
        var lastMatch: Range<Int>?
        func length(_ start: Int) -> Int? {
            var total = start
            guard start == 15 else { return total }
            while position < block.count {
                total += Int(block[position])
                position += 1
                if block[position - 1] != 255 { return total }
            }
            return nil
        }
        while position < block.count {
            let token = Int(block[position])
            position += 1
            guard let literals = length(token >> 4), literals <= block.count - position,
                content.count + literals <= count
            else { return nil }
            content += block[position..<position + literals]
            position += literals
            if position == block.count {
                let isEnd = lastMatch.map {
                    $0.upperBound + 5 <= count && $0.lowerBound + 12 <= count
                }
                return content.count == count && (isEnd ?? true) ? content : nil
            }
            guard position + 2 <= block.count else { return nil }
            let distance = Int(block[position]) | Int(block[position + 1]) << 8
            position += 2
            guard distance > 0, distance <= content.count, let more = length(token & 15),
                content.count + more + 4 <= count
            else { return nil }
            lastMatch = content.count..<content.count + more + 4
            for _ in 0..<more + 4 { content.append(content[content.count - distance]) }
        }
        return nil
    }
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

    init(_ bytes: [UInt8]) {
        guard bytes.count >= 152, Array(bytes[..<16]) == Array("vhdresyncmap\r\n\u{1A}\n".utf8),
            bytes.number(UInt32.self, at: 16) == 1, bytes.number(UInt32.self, at: 64) == 0,
            let shift = (12...24).first(where: { 1 << $0 == bytes.number(UInt32.self, at: 20) }),
            bytes.number(UInt64.self, at: 24) < 1 << 63
        else { return }
        let virtualSize = bytes.number(UInt64.self, at: 24)
        let blockCount = (virtualSize + (1 << UInt64(shift)) - 1) >> UInt64(shift)
        guard
            var tree = try? DigestTreeBuilder(virtualSize: virtualSize, blockSize: 1 << shift)
        else { return }
        let trailer = Array(bytes.suffix(80))
        var position = 72
        var areRight =
            bytes.number(UInt32.self, at: 68)
            == CRC32C.checksum(of: bytes.rawSpan.extracting(0..<68))
        while position < bytes.count - 80 {
            let rest = bytes[position..<(bytes.count - 80)]
            guard let count = StreamFormat.map.byteCount(ofRecord: rest), count <= rest.count
            else { return }
            let record = Array(rest.prefix(count))
            let blocks = record.number(UInt64.self, at: 8)
            guard blocks > 0, blocks <= blockCount - tree.appendedCount else { return }
            areRight = areRight && Self.isRight(record)
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
            && Self.isRight(Array(trailer[..<48])) && Array(trailer[16..<48]) == root
            && Array(trailer[48...]) == StreamPieces.digest(of: bytes.dropLast(32))
    }

    private static func isRight(_ record: [UInt8]) -> Bool {
        record.number(UInt32.self, at: 4)
            == CRC32C.checksum(of: record.rawSpan, withoutFieldAt: 4)
    }
}
