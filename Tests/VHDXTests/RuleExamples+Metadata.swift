import Storage
import TestSupport

@testable import VHDX

/// Rules 13 to 15: the metadata.
extension RuleExample {
    static let metadata: [RuleExample] = metadataTable + items + values

    private typealias Item = ImageBuilder.MetadataItem

    private static func invalidEntry(_ field: String, _ value: UInt64, entry: Int = 5) -> Outcome {
        .refused(
            .invalidField(
                .metadataTable, field: field, value: value, path: path,
                at: metadataOffset + 32 + UInt64(entry) * 32))
    }

    private static func invalidTable(_ field: String, _ value: UInt64) -> Outcome {
        .refused(
            .invalidField(
                .metadataTable, field: field, value: value, path: path, at: metadataOffset))
    }

    private static func unknownItem(
        at offset: UInt32 = 70_000, flags: UInt32 = 0, _ content: [UInt8] = [1, 2]
    ) -> Item {
        Item(identifier: unknown, offset: offset, flags: flags, content: content)
    }

    private static func adding(
        _ number: Int, _ what: String, _ item: Item, _ outcome: Outcome
    ) -> RuleExample {
        RuleExample(number, what, outcome, change: { $0.metadataItems.append(item) })
    }

    private static let metadataTable: [RuleExample] = [
        RuleExample(
            13, "another signature",
            .refused(.wrongSignature(.metadataTable, path: path, at: metadataOffset)),
            damage: { $0.damage(at: metadataOffset + 7) }),
        RuleExample(
            13, "2048 items", invalidTable("entry count", 2048),
            damage: { $0.put(2048 as UInt16, at: metadataOffset + 10) }),
        RuleExample(
            13, "1025 items of a user", invalidTable("user entry count", 1025),
            change: { builder in
                builder.metadataItems += (0..<1025).map { index in
                    Item(
                        identifier: "00000000-0000-4000-8000-00000000"
                            + String(index + 0x1000, radix: 16),
                        offset: 0, flags: 1, content: [])
                }
            }),
        adding(
            13, "an item in the table", unknownItem(at: 65_535), invalidEntry("item offset", 65_535)
        ),
        adding(
            13, "an item that leaves the region", unknownItem(at: (1 << 20) - 1),
            invalidEntry("item offset", (1 << 20) - 1)),
        RuleExample(
            13, "an item at the end of all numbers", invalidEntry("item offset", 0xFFFF_FFFF),
            change: { $0.metadataItems.append(unknownItem()) },
            damage: { $0.put(UInt32.max, at: metadataOffset + 32 + 5 * 32 + 16) }),
        adding(
            13, "an item over another one", unknownItem(at: 65_575),
            .refused(.overlap(.metadataItem, path: path, at: metadataOffset + 65_575))),
        RuleExample(
            13, "an item of more than 1 MiB", invalidEntry("item length", (1 << 20) + 1),
            change: { builder in
                builder.metadataItems.append(unknownItem())
                builder.metadataItems[5].length = (1 << 20) + 1
            }),
        RuleExample(
            13, "a place for no bytes", invalidEntry("item offset", 70_000),
            change: { $0.metadataItems.append(unknownItem([])) }),
        RuleExample(
            13, "a block size of four bytes",
            .refused(
                .invalidField(
                    .fileParameters, field: "length", value: 4, path: path,
                    at: metadataOffset + 65_536)),
            change: { $0.metadataItems[0].length = 4 }),
        RuleExample(
            13, "an item twice", .refused(.overlap(.metadataTable, path: path, at: metadataOffset)),
            change: { builder in
                builder.metadataItems.append(builder.metadataItems[1])
                builder.metadataItems[5].offset = 70_000
            }),
        adding(
            13, "a user's item that is required", unknownItem(flags: 5),
            invalidEntry("item flags", 5)),
    ]

    private static let structures: [Structure] = [
        .fileParameters, .virtualDiskSize, .logicalSectorSize, .physicalSectorSize, .virtualDiskID,
    ]

    private static let items: [RuleExample] = {
        var rules: [RuleExample] = []
        for (index, structure) in structures.enumerated() {
            rules.append(
                RuleExample(
                    14, "no \(structure.rawValue)", .refused(.missing(structure, path: path)),
                    change: { $0.metadataItems.remove(at: index) }))
        }
        rules.append(
            adding(
                14, "an unknown item that is required", unknownItem(flags: 4),
                .refused(.unsupported("required metadata item \(unknown)", path: path))))
        rules.append(adding(14, "an unknown item that is not required", unknownItem(), .accepted))
        rules.append(
            adding(
                14, "a creation that never ended",
                Item(identifier: ImageBuilder.incompleteFile, offset: 0, flags: 4, content: []),
                .refused(.unsupported("its creation was never completed", path: path))))
        let mark = ApplyMark(
            streamID: GUID(ImageBuilder.streamID) ?? .zero, journalPath: "/a.vhdx.resync")
        rules.append(
            RuleExample(
                14, "a mark that the image is half-written",
                .refused(.unfinishedApply(path: path, mark: mark)), change: { $0.addMark() }))
        return rules
    }()

    // MARK: 15

    private static func value(
        _ what: String, _ value: UInt64, bytes: [UInt8], at offset: UInt64,
        of structure: Structure, field: String = "size"
    ) -> RuleExample {
        // The flags are the second half of the file parameters.
        let item = offset == 65_540 ? 65_536 : offset
        let error = VHDXError.invalidField(
            structure, field: field, value: value, path: path, at: metadataOffset + item)
        return RuleExample(
            15, "\(what) \(value)", .refused(error),
            damage: { $0.put(bytes, at: metadataOffset + offset) })
    }

    private static func value(
        _ what: String, _ number: UInt32, at offset: UInt64, of structure: Structure,
        field: String = "size"
    ) -> RuleExample {
        value(
            what, UInt64(number), bytes: ImageBuilder.bytes(number), at: offset, of: structure,
            field: field)
    }

    private static let values: [RuleExample] = {
        var rules: [RuleExample] = []
        for size: UInt32 in [0, 1 << 19, 3 << 20, 1 << 29, .max] {
            rules.append(
                value("block size", size, at: 65_536, of: .fileParameters, field: "block size"))
        }
        for flags: UInt32 in [4, 1 << 31] {
            rules.append(value("flags", flags, at: 65_540, of: .fileParameters, field: "flags"))
        }
        for size: UInt32 in [0, 1, 1024, 8192, .max] {
            rules.append(value("logical sectors of", size, at: 65_552, of: .logicalSectorSize))
            rules.append(value("physical sectors of", size, at: 65_556, of: .physicalSectorSize))
        }
        for size: UInt64 in [0, 1, 511, (64 << 40) + 512, 1 << 63, .max] {
            rules.append(
                value(
                    "a disk of", size, bytes: ImageBuilder.bytes(size), at: 65_544,
                    of: .virtualDiskSize))
        }
        return rules
    }()
}
