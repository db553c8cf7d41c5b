import TestSupport

@testable import VHDX

/// Rules 9 to 12: the region tables.
extension RuleExample {
    static let regions: [RuleExample] = tables + places + known + lengths

    private static func invalid(
        _ field: String, _ value: UInt64, entry index: UInt64 = 0
    ) -> Outcome {
        .refused(
            .noValidCopy(
                .regionTable,
                .invalidField(
                    .regionTable, field: field, value: value, path: path,
                    at: regionTableOffset + 16 + index * 32)))
    }

    private static let tables: [RuleExample] = [
        RuleExample(
            9, "the first table is damaged", .accepted, damage: { $0.damage(at: 192 << 10) }),
        RuleExample(
            9, "the second table is damaged", .accepted, damage: { $0.damage(at: 256 << 10) }),
        RuleExample(
            9, "the first table's checksum is wrong", .accepted,
            damage: { $0.damage(at: (192 << 10) + 60_000) }),
        RuleExample(
            9, "both tables are damaged",
            .refused(
                .noValidCopy(
                    .regionTable,
                    .wrongSignature(.regionTable, path: path, at: regionTableOffset))),
            damage: { file in
                for place: UInt64 in [192 << 10, 256 << 10] { file.damage(at: place) }
            }),
        RuleExample(
            9, "both tables are valid and differ",
            .refused(.ambiguous(.regionTable, path: path, at: regionTableOffset)),
            damage: { $0.patchRegionTables(0 as UInt32, at: 16 + 28, copies: [1]) }),
    ]

    // MARK: 10, one entry

    private static func region(
        _ what: String, offset: UInt64? = nil, length: UInt32? = nil, fileSize: UInt64? = nil,
        _ outcome: Outcome
    ) -> RuleExample {
        RuleExample(
            10, what, outcome, change: { $0.fileSize = fileSize },
            damage: { file in
                if let offset { file.patchRegionTables(offset, at: 32) }
                if let length { file.patchRegionTables(length, at: 40) }
            })
    }

    private static func overlap(at offset: UInt64) -> Outcome {
        .refused(.overlap(.regionTable, path: path, at: offset))
    }

    private static func beyondTheEnd(_ offset: UInt64) -> Outcome {
        .refused(.truncated(.regionTable, path: path, at: offset, fileSize: end))
    }

    private static func extra(_ identifier: String, required: UInt32) -> ImageBuilder.Region {
        ImageBuilder.Region(
            identifier: identifier, offset: end, length: 1 << 20, required: required)
    }

    private static let places: [RuleExample] = [
        RuleExample(
            10, "2048 entries",
            .refused(
                .noValidCopy(
                    .regionTable,
                    .invalidField(
                        .regionTable, field: "entry count", value: 2048, path: path,
                        at: regionTableOffset))),
            damage: { $0.patchRegionTables(2048 as UInt32, at: 8) }),
        RuleExample(
            10, "more entries than bytes",
            .refused(
                .noValidCopy(
                    .regionTable,
                    .invalidField(
                        .regionTable, field: "entry count", value: UInt64(UInt32.max), path: path,
                        at: regionTableOffset))),
            damage: { $0.patchRegionTables(UInt32.max, at: 8) }),
        RuleExample(
            10, "an entry twice", overlap(at: regionTableOffset + 16 + 64),
            change: { $0.regions.append(extra(ImageBuilder.batRegion, required: 1)) }),
        RuleExample(
            10, "an unknown region that is required",
            .refused(.unsupported("required region \(unknown)", path: path)),
            change: { $0.regions.append(extra(unknown, required: 1)) }),
        RuleExample(
            10, "an unknown region that is not required", .accepted,
            change: { $0.regions.append(extra(unknown, required: 0)) }),
        RuleExample(
            10, "known regions that are not required", .accepted,
            change: { builder in
                for index in [0, 1] { builder.regions[index].required = 0 }
            }),
        region("at the start of the file", offset: 0, invalid("file offset", 0)),
        region("in the header section", offset: 512 << 10, invalid("file offset", 512 << 10)),
        region("unaligned", offset: 9 << 18, invalid("file offset", 9 << 18)),
        region("of no bytes", length: 0, invalid("length", 0)),
        region("of half a mebibyte", length: 1 << 19, invalid("length", 1 << 19)),
        region("at the end of the file", offset: end, beyondTheEnd(end)),
        region("partly behind the end", offset: 3 << 20, length: 2 << 20, beyondTheEnd(3 << 20)),
        region("at 2^63", offset: 1 << 63, beyondTheEnd(1 << 63)),
        region(
            "where its end overflows", offset: 0xFFFF_FFFF_FFF0_0000,
            invalid("file offset", 0xFFFF_FFFF_FFF0_0000)),
        region("where another one is", offset: 3 << 20, overlap(at: 3 << 20)),
        region("into another one", length: 2 << 20, overlap(at: 3 << 20)),
        region("over the log", offset: 1 << 20, overlap(at: 1 << 20)),
        region("elsewhere", offset: 1 << 30, fileSize: 2 << 30, elsewhere),
    ]

    /// The metadata of that image stay where they were.
    private static let elsewhere = Outcome.refused(
        .wrongSignature(.metadataTable, path: path, at: 1 << 30))

    // MARK: 11 and 12

    private static func shortTable(_ length: UInt64) -> Outcome {
        .refused(
            .invalidField(
                .blockAllocationTable, field: "region length", value: length, path: path,
                at: tableOffset))
    }

    private static let known: [RuleExample] = [
        RuleExample(
            11, "no table of blocks", .refused(.missing(.blockAllocationTable, path: path)),
            change: { $0.regions.removeLast() }),
        RuleExample(
            11, "no metadata", .refused(.missing(.metadataTable, path: path)),
            change: { $0.regions.removeFirst() }),
        RuleExample(
            11, "no region", .refused(.missing(.metadataTable, path: path)),
            change: { $0.regions = [] }),
        RuleExample(11, "a table that is one entry too short", shortTable(1 << 20)) {
            // 131,073 entries, of which 1 MiB holds all but one.
            var builder = ImageBuilder(virtualSize: 131_042 << 20)
            builder.regions[1].length = 1 << 20
            return builder.build()
        },
        RuleExample(11, "a table that is just long enough", .accepted) {
            ImageBuilder(virtualSize: 131_041 << 20).build()
        },
        RuleExample(11, "the largest disk, and a table for the smallest", shortTable(1 << 20)) {
            var builder = ImageBuilder(virtualSize: 64 << 40)
            builder.regions[1].length = 1 << 20
            return builder.build()
        },
    ]

    private static let lengths: [RuleExample] = [
        RuleExample(
            12, "a table of 4 GiB - 1", invalid("length", UInt64(UInt32.max), entry: 1),
            change: { $0.regions[1].length = .max }),
        RuleExample(
            12, "a table of almost 4 GiB in a short file",
            .refused(.truncated(.regionTable, path: path, at: tableOffset, fileSize: end)),
            damage: { $0.patchRegionTables(0xFFF0_0000 as UInt32, at: 16 + 32 + 24) }),
        RuleExample(
            12, "regions of almost 4 GiB", .accepted,
            change: { builder in
                for index in [0, 1] {
                    builder.regions[index].offset = UInt64(index + 1) << 40
                    builder.regions[index].length = 0xFFF0_0000
                }
            }),
    ]
}
