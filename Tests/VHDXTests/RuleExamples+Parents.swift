import TestSupport

@testable import VHDX

/// Rules 16 to 20 of differencing images, as far as the image alone breaks them. Those about its
/// parents are in FormatRuleTests.
extension RuleExample {
    static let children: [RuleExample] = childBlocks + bitmaps + locators + pairs

    /// Opens a differencing image; its parent is given where one is needed.
    private static func child(
        _ number: Int, _ what: String, _ outcome: Outcome,
        change: @escaping @Sendable (inout ImageBuilder) -> Void = { $0.addLocator() },
        damage: @escaping @Sendable (MemoryFile) -> Void = { _ in }
    ) -> RuleExample {
        var rule = RuleExample(number, "a child, \(what)", outcome) {
            var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
            change(&builder)
            let file = builder.build()
            damage(file)
            return file
        }
        rule.hasParent = true
        return rule
    }

    // MARK: Blocks

    private static func invalid(_ field: String, _ value: UInt64, entry index: UInt64) -> Outcome {
        .refused(
            .invalidField(
                .blockAllocationTable, field: field, value: value, path: path,
                at: tableOffset + index * 8))
    }

    /// Block 2 with a raw entry, a bitmap block at 4 MiB; the file ends at 8 MiB.
    private static func entry(
        _ number: Int, _ what: String, _ raw: UInt64, at index: UInt64 = 2, _ outcome: Outcome
    ) -> RuleExample {
        child(
            number, what, outcome,
            change: { builder in
                builder.addLocator()
                builder.addBitmap(ofChunk: 0, sectors: [])
                builder.rawBATEntries[index] = raw
                builder.fileSize = 8 << 20
            })
    }

    private static func overlap(_ structure: Structure, at offset: UInt64) -> Outcome {
        .refused(.overlap(structure, path: path, at: offset))
    }

    private static func beyondTheEnd(_ structure: Structure) -> Outcome {
        .refused(.truncated(structure, path: path, at: 8 << 20, fileSize: 8 << 20))
    }

    /// The entry of the only bitmap.
    private static let bitmapIndex: UInt64 = 4096

    private static let childBlocks: [RuleExample] = {
        var rules: [RuleExample] = [
            child(20, "all right", .accepted),
            entry(17, "partially present at offset 0", 7, invalid("file offset", 0, entry: 2)),
            entry(18, "partially present behind the end", 8 << 20 | 7, beyondTheEnd(.payloadBlock)),
            entry(
                18, "partially present over the log", logOffset | 7,
                overlap(.payloadBlock, at: logOffset)),
            // The bitmap's entry stands behind those of the chunk's blocks.
            entry(
                18, "a block where the bitmap is", end | 7, overlap(.sectorBitmap, at: end)),
            entry(
                25, "partially present at 2^63", 1 << 63 | 7,
                invalid("file offset", 1 << 63, entry: 2)),
            entry(19, "partially present, with a bitmap", 5 << 20 | 7, .accepted),
        ]
        for state: UInt64 in [4, 5] {
            rules.append(
                entry(16, "state \(state)", 5 << 20 | state, invalid("state", state, entry: 2)))
        }
        return rules
    }()

    private static let bitmaps: [RuleExample] = {
        var rules: [RuleExample] = []
        for state: UInt64 in [1, 2, 3, 4, 5, 7] {
            rules.append(
                entry(
                    16, "a bitmap in state \(state)", 5 << 20 | state, at: bitmapIndex,
                    invalid("sector bitmap state", state, entry: bitmapIndex)))
        }
        rules.append(
            entry(
                17, "a bitmap at offset 0", 6, at: bitmapIndex,
                invalid("file offset", 0, entry: bitmapIndex)))
        rules.append(
            entry(
                18, "a bitmap behind the end", 8 << 20 | 6, at: bitmapIndex,
                beyondTheEnd(.sectorBitmap)))
        rules.append(
            entry(
                18, "a bitmap over the metadata", metadataOffset | 6, at: bitmapIndex,
                overlap(.sectorBitmap, at: metadataOffset)))
        rules.append(
            child(
                19, "partially present, without a bitmap",
                invalid(
                    "sector bitmap state of a partially present block", 0, entry: bitmapIndex),
                change: { builder in
                    builder.addLocator()
                    builder.addBlock(2, state: 7)
                }))
        rules.append(
            child(
                19, "partially present in the second chunk, with a bitmap of the first",
                invalid(
                    "sector bitmap state of a partially present block", 0, entry: 8193),
                change: { builder in
                    builder = ImageBuilder(virtualSize: 5 << 30, kind: .differencing)
                    builder.addLocator()
                    builder.addBitmap(ofChunk: 0, sectors: [])
                    builder.addBlock(4097, state: 7)
                }))
        return rules
    }()

    // MARK: 20, the locator

    private static let locatorPosition = metadataOffset + UInt64(ImageBuilder.locatorOffset)

    private static func invalidLocator(
        _ field: String, _ value: UInt64, at offset: UInt64 = 0
    ) -> Outcome {
        .refused(
            .invalidField(
                .parentLocator, field: field, value: value, path: path,
                at: locatorPosition + offset))
    }

    /// A locator of one pair beside the linkage, whose texts may be anything.
    private static func locator(
        _ what: String, _ outcome: Outcome,
        _ change: @escaping @Sendable (inout ImageBuilder.Locator) -> Void
    ) -> RuleExample {
        child(
            20, what, outcome,
            change: { builder in
                var locator = ImageBuilder.Locator(linkage2: nil)
                change(&locator)
                builder.addLocator(locator)
            })
    }

    private static let locators: [RuleExample] = [
        child(
            20, "without a locator", .refused(.missing(.parentLocator, path: path)),
            change: { _ in }),
        locator(
            "with a locator of another type",
            .refused(.unsupported("a parent locator of type \(unknown)", path: path)),
            { $0.type = unknown }),
        locator("without pairs", invalidLocator("key-value count", 0), { $0.count = 0 }),
        locator(
            "with more pairs than bytes", invalidLocator("key-value count", 256),
            { $0.count = 256 }),
        locator("with too many pairs", invalidLocator("key-value count", 257), { $0.count = 257 }),
        child(
            20, "with a locator cut in its head", invalidLocator("length", 19),
            change: { builder in
                builder.addLocator()
                builder.metadataItems[5].length = 19
            }),
        locator(
            "without a linkage", invalidLocator("parent_linkage without a GUID, length", 0),
            { $0.entries.removeFirst() }),
        locator(
            "with a linkage that is no GUID",
            invalidLocator("parent_linkage without a GUID, length", 4),
            { $0.entries[0].value = "{no}" }),
        locator(
            "with a second linkage that is no GUID",
            invalidLocator("parent_linkage2 without a GUID, length", 2),
            { $0.entries.append(("parent_linkage2", "no")) }),
        locator(
            "without a path", invalidLocator("number of paths", 0), { $0.entries.removeLast() }),
        locator(
            "with a pair twice",
            invalidLocator("second entry for one key, at index", 2, at: 20 + 24),
            { $0.entries.append(("relative_path", "other.vhdx")) }),
        locator(
            "with a key in other case", .accepted, { $0.entries.append(("RELATIVE_PATH", "x")) }),
        locator("with an unknown key", .accepted, { $0.entries.append(("remark", "none")) }),
        locator(
            "with a zero in a value",
            invalidLocator("value that is no text, offset", 174, at: 20 + 12),
            { $0.entries[1].value = "a\0b" }),
    ]

    /// The second pair, of which a number is another: the offsets of key and value, the lengths.
    private static func pair(
        _ what: String, _ value: UInt32, at field: UInt64, length: Bool = false,
        _ outcome: Outcome
    ) -> RuleExample {
        child(
            20, what, outcome,
            change: { $0.addLocator(.init(linkage2: nil)) },
            damage: { file in
                let place = locatorPosition + 20 + 12 + field
                if length {
                    file.put(UInt16(truncatingIfNeeded: value), at: place)
                } else {
                    file.put(value, at: place)
                }
            })
    }

    private static func invalidPair(_ field: String, _ value: UInt64) -> Outcome {
        invalidLocator(field, value, at: 20 + 12)
    }

    private static let pairs: [RuleExample] = [
        pair("with a key of no bytes", 0, at: 8, length: true, invalidPair("key length", 0)),
        pair("with half a character", 25, at: 8, length: true, invalidPair("key length", 25)),
        pair(
            "with a key longer than the locator", 0xFFFE, at: 8, length: true,
            invalidPair("key offset", 148)),
        pair("with a value of no bytes", 0, at: 10, length: true, invalidPair("value length", 0)),
        pair("with a value behind the locator", 4096, at: 4, invalidPair("value offset", 4096)),
        pair(
            "with a value at the end of all numbers", .max, at: 4,
            invalidPair("value offset", UInt64(UInt32.max))),
        // A low surrogate, where a high one has to stand before it.
        child(
            20, "with a value that is no UTF-16", invalidPair("value that is no text, offset", 174),
            change: { $0.addLocator(.init(linkage2: nil)) },
            damage: { $0.put(0xDC00 as UInt16, at: locatorPosition + 174) }),
    ]
}
