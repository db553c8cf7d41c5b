internal import Storage

/// Records of a delta stream read once more, as simply as docs/delta-stream.md allows.
struct RawRecords {
    struct Record: Equatable {
        var isData: Bool
        var blocks: Range<UInt64>
        var content: UInt64
        var bytes: Range<Int>
    }

    /// Those of the disk.
    let blockSize: UInt64
    let virtualSize: UInt64

    static func isRight(_ record: [UInt8]) -> Bool {
        record.number(UInt32.self, at: 4)
            == CRC32C.checksum(of: record.rawSpan, withoutFieldAt: 4)
    }

    /// The record at an offset; nil where there is none that is whole, right, and behind a block.
    func record(
        in bytes: [UInt8], at start: Int, limit: Int, behind block: UInt64
    ) -> Record? {
        guard start + 24 <= limit else { return nil }
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
        guard count > 0, first >= block, first < blocks,
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

    /// What a record of data says that its blocks hold, if that has the digests that it says.
    func content(of record: Record, in bytes: [UInt8]) -> [UInt8]? {
        let blockSize = Int(blockSize)
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
