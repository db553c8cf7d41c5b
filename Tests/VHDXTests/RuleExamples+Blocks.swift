import TestSupport

@testable import VHDX

/// Rules 16 to 18, 25, 27 and 28: the table of blocks.
extension RuleExample {
    static let blocks: [RuleExample] = states + offsets + overlaps + arithmetic + kept + meaningless

    private static func invalid(
        _ field: String, _ value: UInt64, entry index: UInt64 = 2
    ) -> Outcome {
        .refused(
            .invalidField(
                .blockAllocationTable, field: field, value: value, path: path,
                at: tableOffset + index * 8))
    }

    /// Block 2 with a raw entry, block 1 present at 4 MiB; the file ends at 8 MiB.
    private static func entry(
        _ number: Int, _ what: String, _ raw: UInt64, _ outcome: Outcome
    ) -> RuleExample {
        RuleExample(
            number, what, outcome,
            change: { builder in
                builder.addBlock(1, at: end, content: [UInt8](1, 512))
                builder.rawBATEntries[2] = raw
                builder.fileSize = 8 << 20
            })
    }

    private static let states: [RuleExample] = {
        var rules: [RuleExample] = []
        for state: UInt64 in [0, 1, 2, 3, 6] {
            let raw: UInt64 = 5 << 20 | 8 | state
            rules.append(
                entry(
                    16, "a reserved bit in state \(state)", raw, invalid("reserved bits", raw)))
        }
        for state: UInt64 in [4, 5, 7] {
            rules.append(
                entry(
                    16, "state \(state) without a parent", 5 << 20 | state,
                    invalid("state", state)))
        }
        for state: UInt64 in 1...7 {
            let outcome = invalid("sector bitmap state", state, entry: 4096)
            rules.append(
                RuleExample(16, "a bitmap in state \(state) without a parent", outcome) {
                    var builder = ImageBuilder(virtualSize: 5 << 30)
                    builder.rawBATEntries[4096] = 5 << 20 | state
                    builder.fileSize = 8 << 20
                    return builder.build()
                })
        }
        return rules
    }()

    private static let offsets: [RuleExample] = [
        entry(17, "present at offset 0", 6, invalid("file offset", 0)),
        entry(17, "present at 1 MiB, the log", logOffset | 6, overlap(at: logOffset)),
    ]

    // MARK: 18

    private static func overlap(at offset: UInt64) -> Outcome {
        .refused(.overlap(.payloadBlock, path: path, at: offset))
    }

    private static func beyondTheEnd(_ offset: UInt64) -> Outcome {
        .refused(.truncated(.payloadBlock, path: path, at: offset, fileSize: 8 << 20))
    }

    private static func large(
        _ what: String, _ outcome: Outcome,
        change: @escaping @Sendable (inout ImageBuilder) -> Void
    ) -> RuleExample {
        RuleExample(18, what, outcome) {
            var builder = ImageBuilder(virtualSize: 64 << 20, blockSize: 4 << 20)
            builder.fileSize = 64 << 20
            change(&builder)
            return builder.build()
        }
    }

    private static let overlaps: [RuleExample] = [
        entry(18, "a block behind the end", 8 << 20 | 6, beyondTheEnd(8 << 20)),
        entry(18, "a block over the metadata", metadataOffset | 6, overlap(at: metadataOffset)),
        entry(18, "a block over the table", tableOffset | 6, overlap(at: tableOffset)),
        entry(18, "a block where another is", end | 6, overlap(at: end)),
        large("a block that ends in another", overlap(at: 11 << 20)) { builder in
            builder.addBlock(0, at: 8 << 20)
            builder.addBlock(1, at: 11 << 20)
        },
        large("a block that ends in the table", overlap(at: 13 << 20)) { builder in
            builder.regions[1].offset = 16 << 20
            builder.addBlock(0, at: 13 << 20)
        },
        large("a block that ends in the log", overlap(at: 13 << 20)) { builder in
            for slot in [0, 1] { builder.headers[slot]?.logOffset = 16 << 20 }
            builder.addBlock(0, at: 13 << 20)
        },
        large("a block over an unknown region", overlap(at: 13 << 20)) { builder in
            builder.regions.append(
                .init(identifier: unknown, offset: 14 << 20, length: 1 << 20, required: 0))
            builder.addBlock(0, at: 13 << 20)
        },
        RuleExample(
            18, "a file cut in its last block",
            .refused(.truncated(.payloadBlock, path: path, at: end, fileSize: (5 << 20) - 1)),
            change: { builder in
                builder.addBlock(7)
                builder.fileSize = (5 << 20) - 1
            }),
        RuleExample(18, "a file cut in its last block, behind the disk's end", .accepted) {
            var builder = ImageBuilder(virtualSize: (7 << 20) + 512)
            builder.addBlock(7)
            builder.fileSize = (4 << 20) + 512
            return builder.build()
        },
        entry(18, "a block beside another", 5 << 20 | 6, .accepted),
    ]

    // MARK: 25

    private static let far: [UInt64] = [256 << 40, 1 << 62, 1 << 63, 0xFFFF_FFFF_FFF0_0000]

    private static let arithmetic: [RuleExample] = {
        var rules: [RuleExample] = []
        for offset in far {
            for state: UInt64 in [1, 3, 6] {
                rules.append(
                    entry(
                        25, "state \(state) at \(offset)", offset | state,
                        invalid("file offset", offset)))
            }
        }
        rules.append(
            RuleExample(25, "the largest block at the end of all numbers", largestBlock) {
                var builder = ImageBuilder(virtualSize: 1 << 30, blockSize: 256 << 20)
                builder.rawBATEntries[2] = 0xFFFF_FFFF_FFF0_0006
                return builder.build()
            })
        rules.append(
            RuleExample(25, "the last block of the largest disk behind the end", lastBlock) {
                var builder = ImageBuilder(virtualSize: 64 << 40, blockSize: 256 << 20)
                builder.rawBATEntries[builder.batIndex(ofBlock: (1 << 18) - 1)] = 1 << 40 | 6
                return builder.build()
            })
        return rules
    }()

    private static let largestBlock = invalid("file offset", 0xFFFF_FFFF_FFF0_0000)
    /// 2^18 blocks have a table of 3 MiB.
    private static let lastBlock = Outcome.refused(
        .truncated(.payloadBlock, path: path, at: 1 << 40, fileSize: 6 << 20))

    // MARK: 27 and 28

    private static let kept: [RuleExample] = {
        var rules: [RuleExample] = []
        for state: UInt64 in [1, 3] {
            let name = "state \(state)"
            rules.append(entry(27, "\(name) with a place", 5 << 20 | state, .accepted))
            rules.append(entry(27, "\(name) without a place", state, .accepted))
            rules.append(
                entry(27, "\(name) behind the end", 8 << 20 | state, beyondTheEnd(8 << 20)))
            rules.append(entry(27, "\(name) where a block is", end | state, overlap(at: end)))
            rules.append(
                entry(27, "\(name) over the log", logOffset | state, overlap(at: logOffset)))
        }
        return rules
    }()

    private static let meaningless: [RuleExample] = {
        var rules: [RuleExample] = []
        for state: UInt64 in [0, 2] {
            for mebibyte: UInt64 in [1, 4, 8, 1 << 43] {
                rules.append(
                    entry(
                        28, "state \(state) at \(mebibyte) MiB", mebibyte << 20 | state, .accepted))
            }
        }
        return rules
    }()
}
