internal import Storage
internal import TestSupport

/// What of an image a mutation changes.
enum Part: CaseIterable, Sendable {
    case identifier, header, regionTable, metadata, parentLocator, table, bitmap, log, fileSize
}

/// A number or an identifier that the format has at a place of a file.
struct Field: Sendable {
    var offset: UInt64
    /// Bytes: 1, 2, 4, 8 or 16.
    var width: Int
}

/// Where the fields of an undamaged image stand, and what in it can be exchanged for its like.
struct FieldMap: Sendable {
    /// A piece that makes sense elsewhere too: an entry of a table, a structure.
    struct Record: Sendable {
        var offset: UInt64
        var count: Int
    }

    private(set) var fields: [Part: [Field]] = [:]
    private(set) var records: [Part: [Record]] = [:]
    /// Offsets and sizes that mean something in this file.
    private(set) var landmarks: [UInt64]
    /// Where in the log an entry starts.
    private(set) var logEntries: [UInt64] = []
    let image: RawImage
    let entries: [RawImage.Entry]

    init(_ content: Content) {
        image = RawImage(content)
        entries = image.entries(of: content)
        landmarks = [
            0, .mebibyte, image.log.lowerBound, image.log.upperBound, image.metadata.lowerBound,
            image.metadata.upperBound, image.table.lowerBound, image.table.upperBound,
            content.byteCount, image.blockSize, image.virtualSize, 1 << 44, 64 << 40, 256 << 40,
        ]
        landmarks += image.regions.map(\.range.lowerBound)
        landmarks += entries.prefix(8).map(\.offset)
        mapIdentifier()
        mapHeaders()
        mapRegionTables()
        mapMetadata(content)
        mapTable()
        mapBitmaps()
        mapLog(content)
    }

    private mutating func add(_ part: Part, _ offset: UInt64, _ widths: [Int]) {
        var position = offset
        for width in widths {
            fields[part, default: []].append(Field(offset: position, width: width))
            position += UInt64(width)
        }
    }

    private mutating func add(_ part: Part, record offset: UInt64, count: Int) {
        records[part, default: []].append(Record(offset: offset, count: count))
    }

    private mutating func mapIdentifier() {
        add(.identifier, 0, [8, 2, 2, 2, 8])
    }

    private mutating func mapHeaders() {
        for position in RawImage.headerPositions {
            add(.header, position, [4, 4, 8, 16, 16, 16, 2, 2, 4, 8, 8])
            add(.header, record: position, count: RawImage.headerSize)
        }
    }

    private mutating func mapRegionTables() {
        for position in RawImage.tablePositions {
            add(.regionTable, position, [4, 4, 4, 4])
            for region in image.regions {
                add(.regionTable, position + region.entryOffset, [16, 8, 4, 4])
                add(.regionTable, record: position + region.entryOffset, count: 32)
            }
            let next = 16 + UInt64(image.regions.count) * 32
            add(.regionTable, record: position + next, count: 32)
        }
    }

    private mutating func mapMetadata(_ content: Content) {
        let start = image.metadata.lowerBound
        add(.metadata, start, [8, 2, 2, 4])
        for item in image.items {
            add(.metadata, item.entryOffset, [16, 4, 4, 4, 4])
            add(.metadata, record: item.entryOffset, count: 32)
            if item.identifier == GUID(ImageBuilder.parentLocator) {
                mapParentLocator(item.range, content)
            } else {
                add(.metadata, item.range.lowerBound, item.range.byteCount == 4 ? [4] : [4, 4])
                if item.range.byteCount == 8 { add(.metadata, item.range.lowerBound, [8]) }
                landmarks.append(item.range.lowerBound - start)
            }
        }
        add(.metadata, record: start + 32 + UInt64(image.items.count) * 32, count: 32)
    }

    /// [MS-VHDX] 2.6.2.6: a type, a count, and for each entry where its key and its value lie.
    private mutating func mapParentLocator(_ range: Range<UInt64>, _ content: Content) {
        let start = range.lowerBound
        add(.parentLocator, start, [16, 2, 2])
        let count = UInt64(min(content.integer(UInt16.self, at: start + 18), 64))
        for index in 0..<count {
            let entry = start + 20 + index * 12
            add(.parentLocator, entry, [4, 4, 2, 2])
            add(.parentLocator, record: entry, count: 12)
            for (offsetField, lengthField) in [(0, 8), (4, 10)] as [(UInt64, UInt64)] {
                let offset = UInt64(content.integer(UInt32.self, at: entry + offsetField))
                let length = Int(content.integer(UInt16.self, at: entry + lengthField))
                let units = [Int](repeating: 2, count: min(length / 2, 80))
                add(.parentLocator, start + offset, units)
                landmarks += [offset, offset + UInt64(length)]
            }
        }
        landmarks.append(range.byteCount)
    }

    private mutating func mapTable() {
        let count = image.entryCount
        var indices = Set(entries.prefix(64).map(\.index) + entries.suffix(8).map(\.index))
        indices.formUnion(0..<min(count, 16))
        indices.formUnion([count / 2, count - 1, count, image.chunkRatio, image.chunkRatio + 1])
        for index in indices.sorted() where (index + 1) * 8 <= image.table.byteCount {
            add(.table, image.table.lowerBound + index * 8, [8])
            add(.table, record: image.table.lowerBound + index * 8, count: 8)
        }
    }

    /// The words of sector bitmaps that stand for the starts of blocks, [MS-VHDX] 2.4.
    private mutating func mapBitmaps() {
        guard image.hasParent, image.blockSize > 0 else { return }
        let wordsInABlock = image.blockSize / image.logicalSectorSize / 64
        for entry in entries where entry.block == nil && entry.state == 6 {
            for block in 0..<min(image.chunkRatio, 16) {
                let start = entry.offset + block * wordsInABlock * 8
                for word in 0..<min(wordsInABlock, 4) { add(.bitmap, start + word * 8, [8]) }
                add(.bitmap, record: start, count: Int(min(wordsInABlock * 8, 4096)))
            }
        }
    }

    private mutating func mapLog(_ content: Content) {
        for range in content.dataRanges(in: image.log) {
            for position in stride(from: range.lowerBound, to: range.upperBound, by: 4096) {
                guard content.integer(UInt32.self, at: position) == 0x6567_6F6C else {
                    add(.log, position, [4, 4])
                    add(.log, position + 4092, [4])
                    continue
                }
                logEntries.append(position - image.log.lowerBound)
                add(.log, position, [4, 4, 4, 4, 8, 4, 4, 16, 8, 8])
                add(.log, record: position, count: 4096)
                let count = min(content.integer(UInt32.self, at: position + 24), 126)
                for index in 0..<UInt64(count) {
                    add(.log, position + 64 + index * 32, [4, 4, 8, 8, 8])
                    add(.log, record: position + 64 + index * 32, count: 32)
                }
            }
        }
        landmarks += logEntries
    }
}
