internal import Storage
internal import TestSupport

/// Damages an image where its format has something to damage, and makes most checksums right again,
/// so that what was damaged is looked at.
struct Mutator {
    let seed: Seed
    var generator: SeededGenerator
    private(set) var content: Content
    /// Log entries that were put where none was, from the start of the log.
    private var newLogEntries: [UInt64] = []

    private var map: FieldMap { seed.map }

    init(_ seed: Seed, _ generator: SeededGenerator) {
        self.seed = seed
        self.generator = generator
        content = seed.content
    }

    /// Changes a few things of some parts.
    mutating func mutate(_ parts: [Part]) {
        var count = 1
        while count < 6, !generator.once(in: 2) { count += 1 }
        for _ in 0..<count {
            if generator.once(in: 25) { continue }
            mutate(parts.randomElement(using: &generator) ?? .header)
        }
        if !generator.once(in: 12) { repairChecksums() }
    }

    private mutating func mutate(_ part: Part) {
        switch part {
        case .fileSize: return changeFileSize()
        case .header where generator.once(in: 3): return changeHeader()
        case .regionTable where generator.once(in: 2): return changeRegions()
        case .table where !generator.once(in: 4): return changeTable()
        case .log where !generator.once(in: 3): return changeLog()
        case .metadata where generator.once(in: 3): return changeMetadata()
        default: break
        }
        switch generator.below(10) {
        case 0: spliceRecord(part)
        case 1: damageByte(part)
        default: setField(part)
        }
    }

    // MARK: Fields and records of any part

    private mutating func setField(_ part: Part) {
        guard let field = map.fields[part]?.randomElement(using: &generator) else { return }
        if field.width == 16 {
            let known = (map.fields[part] ?? []).filter { $0.width == 16 }
            let other = known.randomElement(using: &generator) ?? field
            let bytes =
                switch generator.below(4) {
                case 0: [UInt8](repeating: 0, count: 16)
                case 1: generator.bytes(count: 16)
                default: content.bytes(at: other.offset, count: 16)
                }
            return write(bytes, part, at: field.offset)
        }
        let current = content.bytes(at: field.offset, count: 8).rawSpan.load(UInt64.self, at: 0)
        let value = generator.edgeValue(
            width: field.width, near: current & .max >> UInt64(64 - field.width * 8),
            map.landmarks)
        write(Array(ImageBuilder.bytes(value).prefix(field.width)), part, at: field.offset)
    }

    /// Puts one record in the place of another of its kind, or exchanges the two.
    private mutating func spliceRecord(_ part: Part) {
        guard let source = map.records[part]?.randomElement(using: &generator),
            let target = map.records[part]?.filter({ $0.count == source.count })
                .randomElement(using: &generator)
        else { return }
        let bytes = content.bytes(at: source.offset, count: source.count)
        if generator.once(in: 2) {
            write(
                content.bytes(at: target.offset, count: target.count), part, at: source.offset)
        }
        write(bytes, part, at: target.offset)
    }

    private mutating func damageByte(_ part: Part) {
        guard let record = map.records[part]?.randomElement(using: &generator) else { return }
        let offset = record.offset + UInt64(generator.below(record.count))
        let byte = content.bytes(at: offset, count: 1)[0] ^ 1 << UInt8(generator.below(8))
        write([byte], part, at: offset)
    }

    /// Writes, mostly to both copies of a structure that is stored twice.
    private mutating func write(_ bytes: [UInt8], _ part: Part, at offset: UInt64) {
        guard offset < content.byteCount else { return }
        content.write(bytes, at: offset)
        let positions =
            switch part {
            case .header: RawImage.headerPositions
            case .regionTable: RawImage.tablePositions
            default: [UInt64]()
            }
        guard positions.count == 2, !generator.once(in: 3) else { return }
        let copy = offset >= positions[1] ? 1 : 0
        content.write(bytes, at: offset - positions[copy] + positions[1 - copy])
    }

    private mutating func changeFileSize() {
        let size =
            generator.once(in: 2)
            ? content.byteCount &- UInt64(generator.below(3 << 20))
            : generator.edgeValue(width: 8, near: content.byteCount, map.landmarks)
        content.resize(to: min(size, UInt64(Int64.max)))
    }

    // MARK: Headers and regions

    private mutating func changeHeader() {
        let slot = generator.below(2)
        let position = RawImage.headerPositions[slot]
        let other = RawImage.headerPositions[1 - slot]
        switch generator.below(4) {
        case 0:
            content.write(content.bytes(at: other, count: RawImage.headerSize), at: position)
        case 1:
            content.clear(position..<position + UInt64(RawImage.headerSize))
        case 2:
            let number = content.integer(UInt64.self, at: other + 8)
            put(number &+ UInt64(generator.below(3)) &- 1, at: position + 8)
        default:
            // A log of another length at the end of the file.
            let sizes = generator.once(in: 4) ? 4096 : 5
            let length = UInt32(generator.below(sizes)) << 20
            let offset = content.byteCount.roundedUp(toMultipleOf: .mebibyte) ?? 0
            for position in RawImage.headerPositions {
                put(length, at: position + 68)
                put(offset, at: position + 72)
            }
            grow(to: offset + UInt64(length))
        }
    }

    private mutating func changeRegions() {
        let end = content.byteCount.roundedUp(toMultipleOf: .mebibyte) ?? 0
        let regions = map.image.regions
        guard let region = regions.randomElement(using: &generator), end < 1 << 50 else { return }
        if generator.once(in: 2) {
            // One more region, which need not be known.
            let entry = 16 + UInt64(regions.count) * 32
            for table in RawImage.tablePositions {
                put(UInt32(regions.count + 1), at: table + 8)
                content.write(generator.bytes(count: 16), at: table + entry)
                put(end, at: table + entry + 16)
                put(UInt32(1 << 20), at: table + entry + 24)
                put(UInt32(generator.once(in: 4) ? 1 : 0), at: table + entry + 28)
            }
            grow(to: end + .mebibyte)
        } else {
            // A region at another place.
            for range in content.dataRanges(in: region.range) {
                let bytes = content.bytes(at: range.lowerBound, count: Int(range.byteCount))
                content.write(bytes, at: end + range.lowerBound - region.range.lowerBound)
            }
            for table in RawImage.tablePositions {
                put(end, at: table + region.entryOffset + 16)
            }
            grow(to: end + region.range.byteCount)
        }
    }

    private mutating func changeMetadata() {
        let items = map.image.items
        let start = map.image.metadata.lowerBound
        guard let item = items.randomElement(using: &generator) else { return }
        switch generator.below(16) {
        case 0..<5:
            // One more item.
            let entry = start + 32 + UInt64(items.count) * 32
            put(UInt16(items.count + 1), at: start + 10)
            let identifier = [
                generator.bytes(count: 16), content.bytes(at: item.entryOffset, count: 16),
                ImageBuilder.bytes(ofGUID: ImageBuilder.incompleteFile),
            ]
            content.write(identifier.randomElement(using: &generator) ?? [], at: entry)
            put(UInt32(65536 + generator.below(200) * 4), at: entry + 16)
            put(UInt32(generator.below(64)), at: entry + 20)
            put(UInt32(generator.below(8)), at: entry + 24)
        case 5:
            // As many items as there may be, and one more.
            let user = UInt32(generator.below(2))
            let count = (user == 1 ? 1023 : 2046 - items.count) + generator.below(3)
            put(UInt16(items.count + count), at: start + 10)
            for index in 0..<count {
                let entry = start + 32 + UInt64(items.count + index) * 32
                put(UInt64(index) &+ 1, at: entry)
                put(UInt32(user), at: entry + 24)
            }
        case 6..<10:
            put(UInt16(generator.below(items.count + 1)), at: start + 10)
        default:
            // The file parameters and sizes that make another geometry.
            let blockSize = UInt32(1) << UInt32(19 + generator.below(11))
            for item in items.prefix(1) { put(blockSize, at: item.range.lowerBound) }
        }
    }

    // MARK: The BAT

    private mutating func changeTable() {
        let count = 1 + (generator.once(in: 3) ? generator.below(20) : 0)
        for _ in 0..<count { changeEntry() }
    }

    private mutating func changeEntry() {
        let image = map.image
        let candidates = map.records[.table] ?? []
        guard let record = candidates.randomElement(using: &generator),
            let other = candidates.randomElement(using: &generator)
        else { return }
        let current = content.integer(UInt64.self, at: record.offset)
        let state = UInt64(generator.below(8))
        let blockSize = max(image.blockSize, .mebibyte)
        switch generator.below(8) {
        case 0:
            put(current & ~7 | state, at: record.offset)
        case 1:
            put(content.integer(UInt64.self, at: other.offset), at: record.offset)
        case 2:
            let offset = landmark().roundedDown(toMultipleOf: .mebibyte)
            put(offset | state, at: record.offset)
        case 3:
            // The last place that the file has room for, or just not.
            let end = content.byteCount.roundedDown(toMultipleOf: .mebibyte)
            let offset = end &- blockSize &+ UInt64(generator.below(3)) << 20 &- .mebibyte
            put(offset | state, at: record.offset)
        case 4:
            put(current | 1 << UInt64(3 + generator.below(17)), at: record.offset)
        default:
            // A place of its own at the end of the file.
            let end = content.byteCount.roundedUp(toMultipleOf: .mebibyte) ?? 0
            guard end < 1 << 48 else { return }
            let states: [UInt64] = [6, 6, 6, 1, 3]
            put(end | (states.randomElement(using: &generator) ?? 6), at: record.offset)
            grow(to: end + blockSize)
            if generator.once(in: 2) { content.write(generator.bytes(count: 700), at: end + 300) }
        }
    }

    // MARK: The log

    private mutating func changeLog() {
        let log = map.image.log
        guard log.byteCount >= .mebibyte else { return }
        switch generator.below(8) {
        case 0:
            // An entry that is lost.
            guard let position = map.logEntries.randomElement(using: &generator) else { return }
            content.clear(log.lowerBound + position..<log.lowerBound + position + 4096)
        case 1:
            // An entry at another place.
            guard let position = map.logEntries.randomElement(using: &generator) else { return }
            let bytes = content.bytes(at: log.lowerBound + position, count: 16384)
            let target = UInt64(generator.below(Int(log.byteCount / 4096) - 4)) * 4096
            content.write(bytes, at: log.lowerBound + target)
            newLogEntries.append(target)
        default:
            writeNewLog()
        }
    }

    /// A sequence of entries that is valid but for what a die says.
    private mutating func writeNewLog() {
        let log = map.image.log
        let guid = "99999999-8888-4999-8aaa-bbbbbbbbbbbb"
        let start = UInt64(generator.below(Int(log.byteCount / 4096))) * 4096
        var position = start
        var tail = start
        var sequence = generator.once(in: 10) ? UInt64.max - 2 : UInt64(1 + generator.below(1000))
        for index in 0..<1 + generator.below(5) {
            if generator.once(in: 4) { tail = position }
            if generator.once(in: 20) { tail = UInt64(generator.below(300)) * 4096 }
            let flushed = generator.once(in: 8) ? landmark() : 1 << 20
            let last = generator.once(in: 4) ? landmark() : content.byteCount
            var entry = ImageBuilder.LogEntry(
                at: position, sequenceNumber: sequence, tail: UInt32(truncatingIfNeeded: tail),
                logGUID: guid, flushedFileOffset: flushed, lastFileOffset: last,
                descriptors(number: index))
            if generator.once(in: 30) { entry.dataSequenceNumber = sequence &+ 1 }
            let bytes = entry.encoded
            for offset in stride(from: 0, to: bytes.count, by: 4096) {
                content.write(
                    Array(bytes[offset..<offset + 4096]),
                    at: log.lowerBound + (position + UInt64(offset)) % log.byteCount)
            }
            newLogEntries.append(position)
            position = (position + UInt64(bytes.count)) % log.byteCount
            sequence = generator.once(in: 30) ? sequence &+ 2 : sequence &+ 1
        }
        for header in RawImage.headerPositions {
            content.write(ImageBuilder.bytes(ofGUID: guid), at: header + 48)
        }
    }

    private mutating func landmark() -> UInt64 {
        generator.edgeValue(width: 8, near: content.byteCount, map.landmarks)
    }

    private mutating func descriptors(number: Int) -> [ImageBuilder.LogEntry.Descriptor] {
        let image = map.image
        let count = generator.once(in: 12) ? 120 + generator.below(20) : generator.below(4)
        return (0..<count).map { index in
            var target: UInt64 =
                switch generator.below(6) {
                case 0: image.table.lowerBound
                case 1: image.metadata.lowerBound + 65536
                case 2: map.entries.randomElement(using: &generator)?.offset ?? 4 << 20
                case 3: content.byteCount
                default: landmark()
                }
            target &+= UInt64(generator.below(3)) * 4096
            if !generator.once(in: 15) { target = target.roundedDown(toMultipleOf: 4096) }
            if generator.once(in: 3) {
                let length = generator.once(in: 6) ? landmark() : UInt64(generator.below(5)) * 4096
                return .zero(at: target, count: length)
            }
            // Mostly what stands there already, for the structures to stay valid.
            var page = content.bytes(at: min(target, content.byteCount), count: 4096)
            if generator.once(in: 2) {
                page[generator.below(4096)] ^= UInt8(1 << generator.below(8))
            }
            return .data(at: target, page)
        }
    }

    // MARK: Bytes

    private mutating func put(_ value: some FixedWidthInteger, at offset: UInt64) {
        content.write(ImageBuilder.bytes(value), at: offset)
    }

    private mutating func grow(to byteCount: UInt64) {
        content.resize(to: max(content.byteCount, byteCount))
    }

    private mutating func repairChecksums() {
        for header in RawImage.headerPositions where header + 4096 <= content.byteCount {
            Checksum.repair(in: &content, at: header, count: RawImage.headerSize)
        }
        for table in RawImage.tablePositions where table + 65536 <= content.byteCount {
            Checksum.repair(in: &content, at: table, count: RawImage.tableSize)
        }
        let log = map.image.log
        guard log.upperBound <= content.byteCount else { return }
        for position in map.logEntries + newLogEntries {
            Checksum.repairLogEntry(in: &content, log: log, at: position)
        }
    }
}
