internal import TestSupport

/// A differencing image of the builder's, with the key-value pairs of its parent locator and its
/// sector bitmaps.
struct DifferencingImage {
    private static let locatorType = "B04AEFB7-D19E-4A81-B789-25B8E9445913"
    /// Behind the other items, which end at 65576.
    private static let locatorOffset: UInt32 = 65_600

    var builder: ImageBuilder
    /// What the locator says, in this order.
    var pairs: [(key: String, value: String)]
    /// The bytes of a chunk's bitmap, by the chunk's number. The others have no bitmap.
    var bitmaps: [UInt64: [UInt8]] = [:]

    /// A child of `parent.vhdx` in the same folder, whose GUID is the builder's own.
    init(virtualSize: UInt64, blockSize: UInt64 = 1 << 20, logicalSectorSize: UInt64 = 512) {
        builder = ImageBuilder(
            virtualSize: virtualSize, blockSize: blockSize, logicalSectorSize: logicalSectorSize,
            kind: .differencing)
        pairs = [
            ("parent_linkage", "{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee}"),
            ("relative_path", #".\parent.vhdx"#),
            ("absolute_win32_path", #"C:\disks\parent.vhdx"#),
        ]
        for slot in builder.headers.indices {
            builder.headers[slot]?.dataWriteGUID = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
        }
    }

    /// Marks sectors as this image's own; the bytes of a block's bitmap start with its first sector.
    mutating func setBitmap(_ bytes: [UInt8], ofBlock block: UInt64) {
        let chunk = block / builder.chunkRatio
        var bitmap = bitmaps[chunk] ?? [UInt8](repeating: 0, count: 1 << 20)
        let start = Int(block % builder.chunkRatio * (1 << 20) / builder.chunkRatio)
        bitmap.replaceSubrange(start..<(start + bytes.count), with: bytes)
        bitmaps[chunk] = bitmap
    }

    /// The image in memory.
    func build() -> MemoryFile {
        var builder = builder
        builder.metadataItems.append(
            ImageBuilder.MetadataItem(
                identifier: ImageBuilder.parentLocator, offset: Self.locatorOffset, flags: 4,
                content: locator))
        var places: [UInt64: UInt64] = [:]
        for chunk in bitmaps.keys.sorted() {
            places[chunk] = builder.nextOffset
            let index = (chunk + 1) * builder.chunkRatio + chunk
            builder.rawBATEntries[index] = builder.nextOffset | 6
            builder.nextOffset += 1 << 20
        }
        let end = builder.nextOffset
        let file = builder.build()
        if file.content.byteCount < end { file.content.resize(to: end) }
        for (chunk, place) in places { file.put(bitmaps[chunk] ?? [], at: place) }
        return file
    }

    private var locator: [UInt8] {
        var entries = ImageBuilder.bytes(ofGUID: Self.locatorType) + [0, 0]
        entries += ImageBuilder.bytes(UInt16(pairs.count))
        var texts: [UInt8] = []
        let start = UInt32(20 + 12 * pairs.count)
        for (key, value) in pairs {
            let (key, value) = (Self.encoded(key), Self.encoded(value))
            entries += ImageBuilder.bytes(start + UInt32(texts.count))
            entries += ImageBuilder.bytes(start + UInt32(texts.count + key.count))
            entries += ImageBuilder.bytes(UInt16(key.count))
            entries += ImageBuilder.bytes(UInt16(value.count))
            texts += key + value
        }
        return entries + texts
    }

    private static func encoded(_ text: String) -> [UInt8] {
        text.utf16.flatMap { ImageBuilder.bytes($0) }
    }
}
