internal import Storage
internal import TestSupport

/// Damages a stream where its fields stand, and makes its checksums right again.
struct StreamMutator {
    var pieces: StreamPieces
    var generator: SeededGenerator

    /// The bytes of the stream, damaged or not.
    mutating func mutated() -> [UInt8] {
        for _ in 0..<generator.below(4) { mutate() }
        pieces.repair(using: &generator)
        var bytes = pieces.bytes
        switch generator.below(12) {
        case 0: bytes.removeLast(min(bytes.count, generator.below(bytes.count + 1)))
        case 1: bytes.removeLast(min(bytes.count, generator.below(200)))
        case 2: bytes += generator.bytes(count: generator.below(200))
        case 3: flip(&bytes)
        case 4 where generator.once(in: 4): bytes += bytes
        default: break
        }
        return bytes
    }

    private mutating func mutate() {
        switch generator.below(12) {
        case 0: change(\.header) { $0.setField(&$1, $0.pieces.format.headerFields) }
        case 1: change(\.trailer) { $0.setField(&$1, $0.pieces.format.trailerFields) }
        case 2, 3: changeRecord { $0.setField(&$1, $0.pieces.format.recordFields) }
        case 4: changeRecord { $0.flip(&$1) }
        case 5, 6: changeRecord { $0.changePayload(&$1) }
        case 7: arrange()
        case 8: pieces.records.insert(madeUpZeros(), at: place())
        case 9: pieces.records.insert(madeUpData(), at: place())
        case 10: changeRecord { $0.changeLength(&$1) }
        default: changeTrailer()
        }
    }

    private mutating func place() -> Int { generator.below(pieces.records.count + 1) }

    private mutating func change(
        _ piece: WritableKeyPath<StreamPieces, [UInt8]>,
        _ body: (inout StreamMutator, inout [UInt8]) -> Void
    ) {
        var bytes = pieces[keyPath: piece]
        body(&self, &bytes)
        pieces[keyPath: piece] = bytes
    }

    private mutating func changeRecord(_ body: (inout StreamMutator, inout [UInt8]) -> Void) {
        guard !pieces.records.isEmpty else { return }
        let index = generator.below(pieces.records.count)
        change(\.records[index], body)
    }

    private mutating func setField(_ bytes: inout [UInt8], _ fields: [(offset: Int, width: Int)]) {
        let (offset, width) = fields[generator.below(fields.count)]
        guard offset + width <= bytes.count else { return }
        let current = (0..<width).reduce(UInt64(0)) {
            $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8)
        }
        let size = pieces.header.count >= 32 ? pieces.header.number(UInt64.self, at: 24) : 0
        let landmarks = [
            size, size / 4096, 256, 4096, 1 << 20, 16 << 20, UInt64(bytes.count),
            UInt64(pieces.records.count), UInt64(Int64.max),
        ]
        let value = generator.edgeValue(width: width, near: current, landmarks)
        bytes.put(value, width: width, at: offset)
    }

    private mutating func flip(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        for _ in 0...generator.below(3) {
            let index = generator.below(bytes.count)
            bytes[index] =
                generator.once(in: 2)
                ? bytes[index] ^ 1 << UInt8(generator.below(8)) : UInt8(generator.below(256))
        }
    }

    /// Changes what follows the digests of a record of data, and says how long it is now.
    private mutating func changePayload(_ record: inout [UInt8]) {
        guard pieces.format == .delta, record.count > 24, record.number(UInt32.self, at: 0) == 2
        else { return flip(&record) }
        let start = 24 + 32 * Int(record.number(UInt32.self, at: 16))
        guard start < record.count else { return }
        var payload = Array(record[start...])
        switch generator.below(6) {
        case 0: payload.removeLast(generator.below(min(payload.count, 20)))
        case 1: payload += generator.bytes(count: generator.below(20))
        // Lengths of LZ4 go on while a byte is 255.
        case 2:
            payload.insert(
                contentsOf: [UInt8](repeating: 255, count: 1 + generator.below(300)),
                at: generator.below(payload.count))
        case 3: payload = Array(payload.prefix(8)) + generator.bytes(count: generator.below(40))
        case 4: payload[generator.below(min(8, payload.count))] = UInt8(generator.below(256))
        default: flip(&payload)
        }
        record.replaceSubrange(start..., with: payload)
        record.put(UInt32(payload.count), at: 20)
    }

    private mutating func changeLength(_ record: inout [UInt8]) {
        if generator.once(in: 2) {
            record.removeLast(min(record.count, generator.below(60)))
        } else {
            record += generator.bytes(count: generator.below(60))
        }
    }

    private mutating func arrange() {
        guard !pieces.records.isEmpty else { return }
        let index = generator.below(pieces.records.count)
        switch generator.below(4) {
        case 0: pieces.records.remove(at: index)
        case 1: pieces.records.insert(pieces.records[index], at: place())
        case 2: pieces.records.swapAt(index, generator.below(pieces.records.count))
        default: pieces.records.removeLast(pieces.records.count - index)
        }
    }

    private mutating func madeUpZeros() -> [UInt8] {
        var record = [UInt8](repeating: 0, count: pieces.format.recordHeaderByteCount)
        record.put(UInt32(1), at: 0)
        record.put(generator.next() >> UInt64(generator.below(64)), at: 8)
        if pieces.format == .delta {
            record.put(generator.next() >> UInt64(generator.below(64)), at: 16)
        }
        return record
    }

    /// A record of data that is right in its form, with as many blocks as may be or one more.
    private mutating func madeUpData() -> [UInt8] {
        guard pieces.format == .delta, pieces.header.count == 200 else { return madeUpZeros() }
        let blockSize = pieces.header.number(UInt32.self, at: 20)
        let most = blockSize == 0 ? 1 : max(1, (1 << 20) / Int(blockSize))
        let count = min(
            generator.once(in: 4) ? 1 + generator.below(3) : most + generator.below(2), 4096)
        var record = [UInt8](repeating: 0, count: 24 + 32 * count)
        record.put(UInt32(2), at: 0)
        record.put(UInt64(generator.once(in: 2) ? 0 : generator.below(400)), at: 8)
        record.put(UInt32(count), at: 16)
        let payload = generator.bytes(count: 1 + generator.below(40))
        record.put(UInt32(payload.count), at: 20)
        return record + payload
    }

    private mutating func changeTrailer() {
        switch generator.below(4) {
        case 0: pieces.trailer = []
        case 1: pieces.trailer.removeLast(min(pieces.trailer.count, generator.below(144)))
        case 2: pieces.records.append(pieces.trailer)
        default: change(\.trailer) { $0.flip(&$1) }
        }
    }
}
