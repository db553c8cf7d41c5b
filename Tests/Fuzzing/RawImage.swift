internal import Storage
internal import TestSupport

/// What the bytes of an image say, taken without any code of the module that is tested, and without
/// a judgement: each number is as it stands there, or the nearest that does no harm.
struct RawImage {
    struct Region {
        var identifier: GUID
        var range: Range<UInt64>
        /// Where its entry stands in each copy of the table.
        var entryOffset: UInt64
    }

    struct Item {
        var identifier: GUID
        /// Where the content lies in the file.
        var range: Range<UInt64>
        /// Where its entry stands in the file.
        var entryOffset: UInt64
        var isUser: Bool
    }

    static let headerPositions: [UInt64] = [64 << 10, 128 << 10]
    static let headerSize = 4096
    static let tablePositions: [UInt64] = [192 << 10, 256 << 10]
    static let tableSize = 65536

    /// The slot of the header that counts.
    let headerSlot: Int
    /// Whether both headers are valid and differ, and nothing tells which one counts.
    let hasTwoHeaders: Bool
    let logGUID: [UInt8]
    let log: Range<UInt64>
    /// Where the copy of the region table stands that counts.
    let tablePosition: UInt64
    let damagedTables: [UInt64]
    let regions: [Region]
    let metadata: Range<UInt64>
    let table: Range<UInt64>
    let items: [Item]

    let blockSize: UInt64
    let virtualSize: UInt64
    let logicalSectorSize: UInt64
    let hasParent: Bool

    init(_ content: Content) {
        let valid = [0, 1].filter { slot in
            Checksum.isRight(in: content, at: Self.headerPositions[slot], count: Self.headerSize)
                && content.integer(UInt32.self, at: Self.headerPositions[slot]) == 0x6461_6568
                && content.integer(UInt16.self, at: Self.headerPositions[slot] + 66) == 1
        }
        let names = Self.headerPositions.map { content.bytes(at: $0 + 8, count: 72) }
        let numbers = Self.headerPositions.map { content.integer(UInt64.self, at: $0 + 8) }
        hasTwoHeaders = valid.count == 2 && numbers[0] == numbers[1] && names[0] != names[1]
        headerSlot =
            valid.max { first, second in
                content.integer(UInt64.self, at: Self.headerPositions[first] + 8)
                    < content.integer(UInt64.self, at: Self.headerPositions[second] + 8)
            } ?? 0
        let header = Self.headerPositions[headerSlot]
        logGUID = content.bytes(at: header + 48, count: 16)
        log = Self.range(
            content.integer(UInt64.self, at: header + 72),
            UInt64(content.integer(UInt32.self, at: header + 68)))

        let goodTables = Self.tablePositions.filter { Self.isTable(content, at: $0) }
        damagedTables = Self.tablePositions.filter { !goodTables.contains($0) }
        let tablePosition = goodTables.first ?? Self.tablePositions[0]
        self.tablePosition = tablePosition
        let count = min(content.integer(UInt32.self, at: tablePosition + 8), 2047)
        let regions = (0..<UInt64(count)).map { index in
            let entry = 16 + index * 32
            return Region(
                identifier: Self.guid(content, tablePosition + entry),
                range: Self.range(
                    content.integer(UInt64.self, at: tablePosition + entry + 16),
                    UInt64(content.integer(UInt32.self, at: tablePosition + entry + 24))),
                entryOffset: entry)
        }
        self.regions = regions
        func region(_ text: String) -> Range<UInt64> {
            regions.first { $0.identifier == GUID(text) }?.range ?? 0..<0
        }
        metadata = region(ImageBuilder.metadataRegion)
        table = region(ImageBuilder.batRegion)
        items = Self.items(content, metadata)

        let items = items
        func number(_ text: String, _ offset: UInt64, _ count: Int) -> UInt64 {
            let item = items.first { $0.identifier == GUID(text) && !$0.isUser }
            guard let item else { return 0 }
            return count == 4
                ? UInt64(content.integer(UInt32.self, at: item.range.lowerBound + offset))
                : content.integer(UInt64.self, at: item.range.lowerBound + offset)
        }
        blockSize = number(ImageBuilder.fileParameters, 0, 4)
        hasParent = number(ImageBuilder.fileParameters, 4, 4) & 2 != 0
        virtualSize = number(ImageBuilder.virtualDiskSize, 0, 8)
        logicalSectorSize = number(ImageBuilder.logicalSectorSize, 0, 4)
    }

    /// Whether a copy of the region table is one that may count, [MS-VHDX] 2.2.3.
    private static func isTable(_ content: Content, at position: UInt64) -> Bool {
        let count = content.integer(UInt32.self, at: position + 8)
        guard Checksum.isRight(in: content, at: position, count: tableSize),
            content.integer(UInt32.self, at: position) == 0x6967_6572, count <= 2047
        else { return false }
        return (0..<UInt64(count)).allSatisfy { index in
            let entry = position + 16 + index * 32
            let offset = content.integer(UInt64.self, at: entry + 16)
            let length = content.integer(UInt32.self, at: entry + 24)
            return offset >= .mebibyte && offset <= .max - UInt64(UInt32.max)
                && offset.isMultiple(of: .mebibyte)
                && length > 0 && UInt64(length).isMultiple(of: .mebibyte)
        }
    }

    private static func items(_ content: Content, _ metadata: Range<UInt64>) -> [Item] {
        let count = content.integer(UInt16.self, at: metadata.lowerBound + 10)
        return (0..<UInt64(min(count, 2047))).map { index in
            let entry = metadata.lowerBound &+ 32 &+ index * 32
            let offset = UInt64(content.integer(UInt32.self, at: entry + 16))
            return Item(
                identifier: Self.guid(content, entry),
                range: Self.range(
                    metadata.lowerBound &+ offset,
                    UInt64(content.integer(UInt32.self, at: entry + 20))),
                entryOffset: entry,
                isUser: content.integer(UInt32.self, at: entry + 24) & 1 != 0)
        }
    }

    /// Cut so that no sum with a small number overflows.
    private static func range(_ offset: UInt64, _ count: UInt64) -> Range<UInt64> {
        let limit: UInt64 = 1 << 60
        return min(offset, limit)..<min(offset, limit) + count
    }

    private static func guid(_ content: Content, _ offset: UInt64) -> GUID {
        let bytes = content.bytes(at: offset, count: GUID.byteCount)
        return GUID(decoding: bytes.rawSpan, at: 0)
    }
}

// MARK: Blocks, [MS-VHDX] 2.5

extension RawImage {
    /// An entry of the BAT that is not zero.
    struct Entry {
        var index: UInt64
        var raw: UInt64
        /// nil for the entry of a sector bitmap.
        var block: UInt64?

        var state: UInt64 { raw & 7 }
        var offset: UInt64 { (raw >> 20) << 20 }
    }

    var chunkRatio: UInt64 {
        blockSize == 0 ? 1 : max(1, (logicalSectorSize << 23) / blockSize)
    }

    var blockCount: UInt64 {
        blockSize == 0 ? 0 : virtualSize / blockSize + (virtualSize % blockSize == 0 ? 0 : 1)
    }

    /// How many entries the table has.
    var entryCount: UInt64 {
        guard blockCount > 0 else { return 0 }
        if hasParent { return (blockCount - 1) / chunkRatio * (chunkRatio + 1) + chunkRatio + 1 }
        return blockCount + (blockCount - 1) / chunkRatio
    }

    /// The entries that are not zero, in order.
    func entries(of content: Content) -> [Entry] {
        let end = min(table.upperBound, table.lowerBound + entryCount * 8)
        var entries: [Entry] = []
        for range in content.dataRanges(in: table.lowerBound..<max(end, table.lowerBound)) {
            let bytes = content.bytes(at: range.lowerBound, count: Int(range.byteCount) / 8 * 8)
            for slot in 0..<bytes.count / 8 {
                let raw = bytes.rawSpan.load(UInt64.self, at: slot * 8)
                guard raw != 0 else { continue }
                let index = (range.lowerBound - table.lowerBound) / 8 + UInt64(slot)
                let (chunk, place) = index.quotientAndRemainder(dividingBy: chunkRatio + 1)
                let block = place == chunkRatio ? nil : chunk * chunkRatio + place
                // Past the last block, in its chunk: without meaning.
                if let block, block >= blockCount { continue }
                entries.append(Entry(index: index, raw: raw, block: block))
            }
        }
        return entries
    }

    /// The bytes of the file that an entry claims.
    func place(of entry: Entry) -> Range<UInt64>? {
        switch (entry.block, entry.state) {
        case (nil, 6): entry.offset..<entry.offset + UInt64.mebibyte
        case (.some, 6), (.some, 7): entry.offset..<entry.offset + blockSize
        case (.some, 1), (.some, 3):
            entry.offset == 0 ? nil : entry.offset..<entry.offset + blockSize
        default: nil
        }
    }
}
