import TestSupport

@testable import VHDX

/// Rules 1 to 5: the file and its headers.
extension RuleExample {
    static let headers: [RuleExample] = file + copies + numbers + placesOfTheLog

    private static let file: [RuleExample] = [
        RuleExample(1, "empty", .refused(.notVHDX(path: path))) { MemoryFile() },
        RuleExample(
            1, "shorter than the header section",
            .refused(.truncated(.log, path: path, at: logOffset, fileSize: (1 << 20) - 1)),
            damage: { $0.content.resize(to: (1 << 20) - 1) }),
        RuleExample(
            1, "only an identifier",
            .refused(
                .noValidCopy(
                    .header, .truncated(.header, path: path, at: headerOffset, fileSize: 65536))),
            damage: { $0.content.resize(to: 65536) }),
        RuleExample(
            1, "another signature", .refused(.notVHDX(path: path)),
            damage: { $0.damage(at: 7, bits: 1) }),
    ]

    private static let copies: [RuleExample] = [
        RuleExample(
            2, "no header starts with its signature",
            .refused(
                .noValidCopy(.header, .wrongSignature(.header, path: path, at: headerOffset))),
            damage: { file in
                for slot: UInt64 in [1, 2] { file.damage(at: slot << 16) }
            }),
        RuleExample(
            2, "no header has its checksum",
            .refused(
                .noValidCopy(
                    .header,
                    .wrongChecksum(
                        .header, path: path, at: headerOffset, stored: 0, computed: checksum))),
            damage: { file in
                for slot: UInt64 in [1, 2] { file.put(0 as UInt32, at: slot << 16 | 4) }
            }),
        RuleExample(
            2, "both headers have version 2",
            .refused(
                .noValidCopy(
                    .header,
                    .invalidField(
                        .header, field: "version", value: 2, path: path, at: headerOffset))),
            damage: { $0.patchHeaders(2 as UInt16, at: 66) }),
        RuleExample(
            2, "one header is damaged", .accepted, damage: { $0.damage(at: headerOffset + 9) }),
    ]

    /// The checksum of the first header of the builder's image.
    private static let checksum =
        ImageBuilder(virtualSize: 8 << 20).build().peek(UInt32.self, at: headerOffset + 4)

    private static let numbers: [RuleExample] = [
        RuleExample(
            3, "equal numbers, different headers",
            .refused(.ambiguous(.header, path: path, at: headerOffset)),
            change: { builder in
                for slot in [0, 1] { builder.headers[slot]?.sequenceNumber = 9 }
                builder.headers[1]?.dataWriteGUID = unknown
            }),
        RuleExample(
            3, "equal numbers, equal headers", .accepted,
            change: { builder in
                for slot in [0, 1] { builder.headers[slot]?.sequenceNumber = 9 }
            }),
        RuleExample(
            4, "the last sequence number", .readOnly(.sequenceNumberExhausted(path: path)),
            change: { $0.headers[1]?.sequenceNumber = .max }),
        RuleExample(
            4, "one before the last sequence number",
            .readOnly(.sequenceNumberExhausted(path: path)),
            change: { $0.headers[1]?.sequenceNumber = .max - 1 }),
    ]

    // MARK: The place of the log

    private static func log(
        _ what: String, offset: UInt64? = nil, length: UInt32? = nil, fileSize: UInt64? = nil,
        _ outcome: Outcome
    ) -> RuleExample {
        RuleExample(
            5, what, outcome, change: { $0.fileSize = fileSize },
            damage: { file in
                if let offset { file.patchHeaders(offset, at: 72) }
                if let length { file.patchHeaders(length, at: 68) }
            })
    }

    private static func invalidLog(_ field: String, _ value: UInt64) -> Outcome {
        .refused(.invalidField(.header, field: field, value: value, path: path, at: 131_072))
    }

    private static func logBeyondTheEnd(_ offset: UInt64, _ fileSize: UInt64) -> Outcome {
        .refused(.truncated(.log, path: path, at: offset, fileSize: fileSize))
    }

    private static let placesOfTheLog: [RuleExample] = [
        log("in the headers", offset: 0, invalidLog("log offset", 0)),
        log("in the region tables", offset: 192 << 10, invalidLog("log offset", 192 << 10)),
        log("unaligned", offset: 5 << 18, fileSize: 8 << 20, invalidLog("log offset", 5 << 18)),
        log("unaligned length", length: 4096, invalidLog("log length", 4096)),
        log("the greatest length", length: .max, invalidLog("log length", UInt64(UInt32.max))),
        log(
            "longer than the limit", offset: 1 << 30, length: 257 << 20, fileSize: 2 << 30,
            invalidLog("log length", 257 << 20)),
        log("at the end of the file", offset: end, logBeyondTheEnd(end, end)),
        log(
            "partly behind the end", offset: 3 << 20, length: 2 << 20, logBeyondTheEnd(3 << 20, end)
        ),
        log("past 2^63", offset: 1 << 63, logBeyondTheEnd(1 << 63, end)),
        log(
            "where its end overflows", offset: 0xFFFF_FFFF_FFF0_0000,
            logBeyondTheEnd(0xFFFF_FFFF_FFF0_0000, end)),
        log(
            "over the metadata", offset: metadataOffset,
            .refused(.overlap(.regionTable, path: path, at: metadataOffset))),
        log(
            "into the metadata", length: 2 << 20,
            .refused(.overlap(.regionTable, path: path, at: metadataOffset))),
        log(
            "over the table", offset: tableOffset,
            .refused(.overlap(.regionTable, path: path, at: tableOffset))),
        log("elsewhere", offset: end, fileSize: 5 << 20, .accepted),
    ]
}
