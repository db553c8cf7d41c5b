import TestSupport

@testable import VHDX

/// Rules 6 to 8: what stands in the log.
extension RuleExample {
    static let logs: [RuleExample] = marks + sizes + targets + entries

    private typealias Entry = ImageBuilder.LogEntry
    private static let guid = "0a0b0c0d-1111-4222-8333-444455556666"
    private static let page = [UInt8](0, 4096)
    private static let noValidEntry = Outcome.refused(
        .noValidLogEntry(path: path, at: logOffset))

    private static func invalidHeader(_ field: String, _ value: UInt64) -> Outcome {
        .refused(.invalidField(.header, field: field, value: value, path: path, at: 131_072))
    }

    private static func dirty(
        _ number: Int, _ what: String, _ outcome: Outcome, _ entries: [Entry],
        damage: @escaping @Sendable (MemoryFile) -> Void = { _ in }
    ) -> RuleExample {
        RuleExample(
            number, what, outcome, change: { $0.useLog(guid, entries) }, damage: damage)
    }

    /// An entry that changes the first page of the table, to what it holds.
    private static func entry(
        at position: UInt64 = 0, _ sequenceNumber: UInt64 = 7, tail: UInt32? = nil,
        flushed: UInt64 = end, last: UInt64 = end,
        changing descriptors: [Entry.Descriptor] = [.data(at: tableOffset, page)]
    ) -> Entry {
        Entry(
            at: position, sequenceNumber: sequenceNumber, tail: tail, logGUID: guid,
            flushedFileOffset: flushed, lastFileOffset: last, descriptors)
    }

    private static let marks: [RuleExample] = [
        dirty(6, "a log to replay", .accepted, [entry()]),
        dirty(6, "no entry", noValidEntry, []),
        dirty(
            6, "a torn entry only", noValidEntry, [entry()],
            damage: { $0.damage(at: logOffset + 4096 + 100) }),
        RuleExample(
            6, "entries of another session only", noValidEntry,
            change: { builder in
                builder.useLog(guid, [entry()])
                builder.logEntries[0].logGUID = unknown
            }),
        dirty(
            6, "a tail that is no entry of the sequence", noValidEntry, [entry(tail: 65536)]),
        dirty(
            6, "another version of the log", invalidHeader("log version", 1), [entry()],
            damage: { $0.patchHeaders(1 as UInt16, at: 64) }),
        RuleExample(
            6, "another version, of an empty log", .accepted,
            damage: { $0.patchHeaders(1 as UInt16, at: 64) }),
        dirty(
            6, "a log without a length", invalidHeader("log length", 0), [entry()],
            damage: { $0.patchHeaders(0 as UInt32, at: 68) }),
        RuleExample(
            6, "an empty log without a length",
            .readOnly(.unsupported("an image without a log, for writing", path: path)),
            damage: { $0.patchHeaders(0 as UInt32, at: 68) }),
    ]

    private static let sizes: [RuleExample] = [
        dirty(
            7, "shorter than when the entry was written",
            .refused(.truncated(.log, path: path, at: end + 1, fileSize: end)),
            [entry(flushed: end + 1)]),
        dirty(
            7, "shorter by all that there can be",
            .refused(.truncated(.log, path: path, at: .max, fileSize: end)),
            [entry(flushed: .max)]),
        dirty(7, "as Windows 8 wrote it", .accepted, [entry(flushed: 0)]),
        dirty(7, "to be extended", .accepted, [entry(last: 6 << 20)]),
    ]

    // MARK: 8, what an entry may change

    private static func target(_ what: String, _ descriptor: Entry.Descriptor) -> RuleExample {
        dirty(8, "an entry that changes \(what)", noValidEntry, [entry(changing: [descriptor])])
    }

    private static let targets: [RuleExample] = [
        target("the identifier", .data(at: 0, page)),
        target("the first header", .data(at: 64 << 10, page)),
        target("the second header", .data(at: 128 << 10, page)),
        target("the space behind the headers", .data(at: (192 << 10) - 4096, page)),
        target("all of the header section", .zero(at: 0, count: 1 << 20)),
        target("the log", .data(at: logOffset, page)),
        target("the last sector of the log", .data(at: (2 << 20) - 4096, page)),
        target("the log among other things", .zero(at: 512 << 10, count: 1 << 20)),
        target("what lies behind the end", .data(at: end, page)),
        target("what lies at 2^62", .data(at: 1 << 62, page)),
        target("what lies at 2^63", .data(at: 1 << 63, page)),
        target("what lies at the end of all numbers", .data(at: 0xFFFF_FFFF_FFFF_F000, page)),
        target("2^63 bytes", .zero(at: tableOffset, count: 1 << 63)),
        target("a range whose end overflows", .zero(at: 1 << 63, count: 1 << 63)),
        dirty(
            8, "an entry that changes what lies past 256 TiB, in a file that is longer",
            noValidEntry, [entry(changing: [.data(at: 300 << 40, page)])],
            damage: { $0.content.resize(to: 512 << 40) }),
        target("half a page", .data(at: tableOffset + 512, page)),
        target("zeros from half a page on", .zero(at: tableOffset + 512, count: 4096)),
        target("half a page of zeros", .zero(at: tableOffset, count: 512)),
    ]

    private static func field(_ what: String, _ value: UInt32, at field: Int) -> RuleExample {
        dirty(
            8, what, noValidEntry, [entry()],
            damage: { $0.patch(value, at: field, in: logOffset, count: 8192) })
    }

    private static let entries: [RuleExample] = [
        field("an entry of no bytes", 0, at: 8),
        field("an entry that is shorter than its descriptors", 4096, at: 8),
        field("an entry as long as the log", 1 << 20, at: 8),
        field("an entry that goes round more than once", (1 << 20) + 8192, at: 8),
        field("an entry of almost 4 GiB", 0xFFFF_F000, at: 8),
        field("an unaligned entry", 8193, at: 8),
        field("an unaligned tail", 1, at: 12),
        field("a tail behind the log", 1 << 20, at: 12),
        field("more descriptors than sectors", 2, at: 24),
        field("more descriptors than numbers", .max, at: 24),
        dirty(8, "sequence number 0", noValidEntry, [entry(0)]),
        dirty(8, "a file of 2^62 bytes", noValidEntry, [entry(last: 1 << 62)]),
        RuleExample(
            8, "data of another entry", noValidEntry,
            change: { builder in
                builder.useLog(guid, [entry()])
                builder.logEntries[0].dataSequenceNumber = 8
            }),
        RuleExample(
            8, "entries that fill the circle", noValidEntry,
            change: { builder in
                let entries = (0..<256 as Range<UInt64>).map { index in
                    entry(at: index * 4096, index + 1, tail: 512, changing: [])
                }
                builder.useLog(guid, entries)
            }),
    ]
}
