internal import Storage
internal import TestSupport

/// Makes up what happens to a receiver: by the model mostly what is right.
struct ReceiverScriptMaker {
    private var writer: ScriptWriter
    private var expected: ReceiverExpectation
    private let disk: SessionDisk
    private var isOpen = true

    private var model: ReceiverModel { expected.model }

    init(_ script: SessionScript, _ generator: SeededGenerator) {
        disk = SessionDisk(script)
        expected = ReceiverExpectation(script, disk)
        writer = ScriptWriter(script, generator)
    }

    /// A script of one run, which may hash as far as the limits go.
    mutating func made(isFlood: Bool) -> SessionScript {
        if isFlood { hash(10_000) }
        // Ranges grow where nothing is asked for long.
        if writer.generator.once(in: 4) { hash(60 + writer.generator.below(120)) }
        for _ in 0..<20 + writer.generator.below(200) where isOpen { step() }
        if isOpen, model.hasToldAll { finish() }
        return writer.script
    }

    private mutating func step() {
        // What is wrong ends a run: most have some of what is right before.
        let isRight = !writer.generator.once(in: 40)
        switch writer.generator.below(16) {
        case 0...5: hash(1 + writer.generator.below(writer.generator.once(in: 8) ? 90 : 6))
        case 6, 7: ask(isRight: isRight)
        case 8, 9: askForBlocks(isRight: isRight)
        case 10, 11: settle(isRight: isRight)
        case 12...14: record(isRight: isRight)
        default:
            if writer.generator.once(in: 16) { send(writer.wrongMessage()) }
            if writer.generator.once(in: 32) || model.hasToldAll && writer.generator.once(in: 8) {
                finish()
            }
        }
    }

    private mutating func hash(_ count: Int) {
        let before = model.hashedEnd
        for _ in 0..<count where model.canHash && model.hashedEnd < disk.geometry.windowCount {
            _ = expected.hash()
        }
        guard model.hashedEnd > before else { return }
        writer.add(.hash(Int(model.hashedEnd - before)))
    }

    private mutating func send(_ raw: RawMessage) {
        guard isOpen else { return }
        writer.add(.message(raw))
        switch expected.takes(raw) {
        case .refused, .finished: isOpen = false
        case .nothing, .answer, .records: break
        }
    }

    private mutating func finish() { send(RawMessage(12, writer.maker.right(12))) }

    /// A range that may be asked about, or any.
    private mutating func range(
        _ isRight: Bool, where isWanted: (ReceiverModel.Told) -> Bool
    ) -> ReceiverModel.Told? {
        // One that begins before what is settled is there until all of it is.
        if !isRight, writer.generator.once(in: 2) { return model.told.first }
        let settled = disk.geometry.window(behind: model.position)
        let ranges = model.told.filter {
            !isRight || !$0.isZero && $0.windows.lowerBound >= settled && isWanted($0)
        }
        return ranges.randomElement(using: &writer.generator)
    }

    private mutating func ask(isRight: Bool) {
        guard let range = range(isRight, where: { $0.asked == .nothing }) else { return }
        let first = writer.number(
            near: range.windows.lowerBound, isRight: isRight || writer.generator.once(in: 2))
        send(RawMessage(6, first: first))
    }

    private mutating func askForBlocks(isRight: Bool) {
        let geometry = disk.geometry
        let found = range(isRight) {
            $0.asked == .nodes
                || $0.asked == .nothing && geometry.nodes(of: $0.windows).count == 1
        }
        guard let found else { return }
        let count = geometry.nodes(of: found.windows).count
        var bits = (0..<count).map { _ in writer.generator.once(in: 4) }
        bits[writer.generator.below(count)] = true
        if !isRight, writer.generator.once(in: 2) {
            // In the last byte, or in one more.
            let rest = writer.generator.once(in: 2) ? (8 - count % 8) % 8 : 8
            bits += Array(repeating: !writer.generator.once(in: 4), count: rest)
        }
        let first = writer.number(
            near: found.windows.lowerBound, isRight: isRight || writer.generator.once(in: 2))
        send(RawMessage(.blocks(first: first, nodes: bits)))
    }

    private mutating func settle(isRight: Bool) {
        let geometry = disk.geometry
        var least = geometry.window(behind: model.position)
        // A window of which a part is settled may not be the next.
        if geometry.blocks(in: 0..<least).upperBound < model.position { least += 1 }
        guard least <= model.toldEnd else { return }
        let span = min(model.toldEnd - least, writer.generator.once(in: 4) ? .max : 2)
        let window = least + writer.generator.next() % (span + 1)
        send(RawMessage(11, first: writer.number(near: window, isRight: isRight)))
    }

    private mutating func record(isRight: Bool) {
        let end = disk.geometry.blocks(in: 0..<model.toldEnd).upperBound
        var position = model.position
        var payload: [UInt8] = []
        for _ in 0...writer.generator.below(3) where position < end {
            let gap = writer.generator.once(in: 2) ? 0 : writer.generator.next() % 80
            let first = min(position + gap, end - 1)
            let count = 1 + writer.generator.next() % min(60, end - first)
            payload += record(first, count)
            position = first + count
        }
        guard !payload.isEmpty else { return }
        if !isRight { damage(&payload) }
        if !isRight, writer.generator.once(in: 12) { payload = [] }
        send(RawMessage(10, payload))
    }

    /// A record of some blocks; of data not more than may be.
    private mutating func record(_ first: UInt64, _ count: UInt64) -> [UInt8] {
        let blockSize = disk.geometry.blockSize
        var record = [UInt8](repeating: 0, count: 24)
        record.put(first, at: 8)
        if writer.generator.once(in: 2) {
            record.put(UInt32(1), at: 0)
            record.put(count, at: 16)
        } else {
            // Content that has its digests takes time to hash: less of it, and not often.
            let isTrue = blockSize <= 1 << 18 && writer.generator.once(in: 6)
            let count = min(count, max(1, (1 << (isTrue ? 18 : 20)) / blockSize))
            record.put(UInt32(2), at: 0)
            record.put(UInt32(count), at: 16)
            let isWhole = (first + count) * blockSize <= disk.geometry.virtualSize
            let payload: [UInt8]
            if isTrue, isWhole {
                let byte = UInt8(1 + writer.generator.below(255))
                let hasher = SHA256Hasher()
                let leaf = hasher.digest([UInt8](repeating: byte, count: Int(blockSize)))
                for _ in 0..<count { record += leaf }
                if writer.generator.once(in: 4) { record[record.count - 1] ^= 1 }
                payload = Self.run(of: byte, count: Int(count * blockSize))
            } else {
                for block in first..<first + count { record += leaf(of: block) }
                payload = writer.generator.bytes(count: 1 + writer.generator.below(30))
            }
            record.put(UInt32(payload.count), at: 20)
            record += payload
        }
        Self.seal(&record)
        return record
    }

    /// That of the disk, of zeros, or another.
    private mutating func leaf(of block: UInt64) -> [UInt8] {
        disk.leaf(UInt64(writer.generator.below(4)), of: block)
    }

    /// An LZ4 block of one byte: a literal, a match that overlaps itself, five literals.
    private static func run(of byte: UInt8, count: Int) -> [UInt8] {
        let more = count - 6 - 19
        return [0x1F, byte, 1, 0] + [UInt8](repeating: 255, count: more / 255)
            + [UInt8(more % 255), 0x50] + [UInt8](repeating: byte, count: 5)
    }

    private static func seal(_ record: inout [UInt8]) {
        record.put(CRC32C.checksum(of: record.rawSpan, withoutFieldAt: 4), at: 4)
    }

    /// Changes the first record, mostly with a checksum that is right again, or how they stand together.
    private mutating func damage(_ payload: inout [UInt8]) {
        let isData = payload.number(UInt32.self, at: 0) == 2
        let byteCount =
            isData
            ? 24 + 32 * Int(payload.number(UInt32.self, at: 16))
                + Int(payload.number(UInt32.self, at: 20)) : 24
        var first = Array(payload[..<byteCount])
        let rest = Array(payload[byteCount...])
        let landmarks = [
            model.position, model.toldEnd, disk.geometry.blockCount, disk.geometry.blocksPerWindow,
            disk.geometry.blocks(in: 0..<model.toldEnd).upperBound, 1 << 20,
            // So many blocks that their end is 2^64.
            0 &- first.number(UInt64.self, at: 8),
        ]
        switch writer.generator.below(8) {
        case 0...3:
            let fields = [(0, 4), (8, 8), (16, 8), (16, 4), (20, 4)]
            let (offset, width) = fields[writer.generator.below(fields.count)]
            let current = MessageField.number(first[offset..<offset + width])
            first.put(
                writer.generator.edgeValue(width: width, near: current, landmarks), width: width,
                at: offset)
        case 4: first.append(0)
        case 5: first.removeLast()
        case 6: return payload = rest + first
        default: first += first
        }
        if !writer.generator.once(in: 6) { Self.seal(&first) }
        payload = first + rest
    }
}
