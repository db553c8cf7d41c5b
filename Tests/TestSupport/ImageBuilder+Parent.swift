/// What a differencing image has besides.
extension ImageBuilder {
    /// A parent locator, [MS-VHDX] 2.6.2.6, that may break any rule.
    package struct Locator: Sendable {
        package var type = "B04AEFB7-D19E-4A81-B789-25B8E9445913"
        /// Keys and values in their order.
        package var entries: [(key: String, value: String)]
        /// The count in the header, where it is another.
        package var count: UInt16?

        /// A locator as Hyper-V writes one.
        package init(
            linkage: String = "{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee}",
            linkage2: String? = "{\(ImageBuilder.zeroGUID)}",
            relativePath: String? = #".\parent.vhdx"#, volumePath: String? = nil,
            absolutePath: String? = nil
        ) {
            entries = [("parent_linkage", linkage)]
            if let linkage2 { entries.append(("parent_linkage2", linkage2)) }
            if let relativePath { entries.append(("relative_path", relativePath)) }
            if let volumePath { entries.append(("volume_path", volumePath)) }
            if let absolutePath { entries.append(("absolute_win32_path", absolutePath)) }
        }

        /// The item as it stands in the metadata region.
        package var encoded: [UInt8] {
            let textStart = 20 + entries.count * 12
            var texts: [UInt8] = []
            var header = ImageBuilder.bytes(ofGUID: type) + [0, 0]
            header += ImageBuilder.bytes(count ?? UInt16(entries.count))
            for (key, value) in entries {
                let places = [key, value].map { text -> (Int, Int) in
                    let start = textStart + texts.count
                    for unit in text.utf16 { texts += ImageBuilder.bytes(unit) }
                    return (start, text.utf16.count * 2)
                }
                for (start, _) in places { header += ImageBuilder.bytes(UInt32(start)) }
                for (_, length) in places { header += ImageBuilder.bytes(UInt16(length)) }
            }
            return header + texts
        }
    }

    /// Where the locator stands, from the start of the metadata region.
    package static let locatorOffset: UInt32 = 65536 + 4096

    /// Gives the image a locator.
    package mutating func addLocator(_ locator: Locator = Locator()) {
        metadataItems.append(
            MetadataItem(
                identifier: Self.parentLocator, offset: Self.locatorOffset, flags: 4,
                content: locator.encoded))
    }

    /// Where the entry of a chunk's sector bitmap stands in the BAT.
    package func batIndex(ofBitmapOfChunk chunk: UInt64) -> UInt64 {
        (chunk + 1) * chunkRatio + chunk
    }

    /// Adds a chunk's sector bitmap block in which the bits of some sectors of the chunk are set.
    package mutating func addBitmap(ofChunk chunk: UInt64, sectors: [Range<Int>]) {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        for sector in sectors.joined() { bytes[sector / 8] |= 1 << (sector % 8) }
        rawBATEntries[batIndex(ofBitmapOfChunk: chunk)] = nextOffset | 6
        rawContent[nextOffset] = bytes
        nextOffset += 1 << 20
    }
}
