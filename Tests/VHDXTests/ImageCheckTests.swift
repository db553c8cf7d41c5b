import Storage
import TestSupport
import Testing

@testable import VHDX

/// What a check finds, as lines: "error bat-state @3145744 =0x4".
func findings(in file: MemoryFile) throws -> [String] {
    let before = file.content
    let check = try ImageCheck(file)
    #expect(file.content == before, "the check wrote")
    let counted = check.findings.reduce(UInt64(check.findings.count)) { $0 + $1.more }
    let counts = Finding.Severity.allCases.map(check.count(of:))
    #expect(counts.reduce(0, +) == counted)
    return check.findings.map { finding in
        let place = finding.fileOffset.map { " @\($0)" } ?? ""
        let value = finding.value.map { " =0x" + String($0, radix: 16) } ?? ""
        let more = finding.more > 0 ? " +\(finding.more)" : ""
        return "\(finding.severity) \(finding.rule.rawValue)\(place)\(value)\(more)"
    }
}

/// Expects exactly these findings, and that the reader agrees.
func expectFindings(
    _ expected: [String], in file: MemoryFile,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let found = try findings(in: file)
    #expect(found == expected, sourceLocation: sourceLocation)
    let disagreement = disagreement(
        of: ImageCheck.findings(in: file), with: readingRefusal(of: file))
    #expect(disagreement == nil, sourceLocation: sourceLocation)
}

/// Every rule, by an image that breaks it and nothing else.
@Suite("ImageCheck: each rule")
struct ImageCheckTests {
    private static let unknown = "deadbeef-0000-4000-8000-000000000003"
    private static let logGUID = "0a0b0c0d-1111-4222-8333-444455556666"

    private func image(
        virtualSize: UInt64 = 8 << 20, kind: ImageBuilder.Kind = .dynamic,
        _ change: (inout ImageBuilder) -> Void = { _ in },
        damage: (MemoryFile) -> Void = { _ in }
    ) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: virtualSize, kind: kind)
        change(&builder)
        let file = builder.build()
        damage(file)
        return file
    }

    @Test("There is nothing to say of an image that has nothing odd")
    func clean() throws {
        try expectFindings([], in: image())
        try expectFindings([], in: image { $0.addAllBlocks() })
        try expectFindings([], in: image(kind: .fixed) { $0.addAllBlocks() })
        let check = try ImageCheck(image())
        #expect(check.worst == nil && check.unchecked.isEmpty && check.path == path)
    }

    // MARK: Identifier and headers

    @Test("Another file is one finding, a VHDX file with another start is checked on")
    func identifier() throws {
        let text = MemoryFile()
        text.put(Array("no disk".utf8), at: 0)
        try expectFindings(["error file-identifier @0"], in: text)
        try expectFindings(["error file-identifier @0"], in: MemoryFile())
        let file = image(damage: { $0.damage(at: 0) })
        try expectFindings(["error file-identifier @0"], in: file)
        file.damage(at: 2 << 20)
        try expectFindings(
            ["error file-identifier @0", "error metadata-signature @2097152"], in: file)
    }

    @Test("A header copy that is damaged is covered by the other one")
    func headerCopies() throws {
        try expectFindings(
            ["warning header-signature @65536"], in: image(damage: { $0.damage(at: 65536) }))
        let version = image(damage: { $0.patchHeaders(2 as UInt16, at: 66, slots: [1]) })
        try expectFindings(["warning header-version @131072 =0x2"], in: version)
        let checksum = image()
        let stored = checksum.peek(UInt32.self, at: 65540)
        checksum.damage(at: 65536 + 16)
        try expectFindings(
            ["warning header-checksum @65536 =0x" + String(stored, radix: 16)], in: checksum)
        let both = image(damage: {
            $0.damage(at: 65536)
            $0.damage(at: 131_072)
        })
        try expectFindings(
            [
                "error header-signature @65536", "error header-signature @131072",
                "error header-current",
            ], in: both)
        #expect(try ImageCheck(both).unchecked == [.log])
    }

    @Test("A file that ends within the header section")
    func headersCut() throws {
        let file = image(damage: { $0.content.resize(to: 65536) })
        try expectFindings(
            [
                "error header-cut @65536 =0x10000", "error header-cut @131072 =0x10000",
                "error header-current", "error region-table-cut @196608 =0x10000",
                "error region-table-cut @262144 =0x10000", "error region-table-current",
            ], in: file)
        #expect(
            try ImageCheck(file).unchecked == [.log, .metadataTable, .blockAllocationTable])
    }

    @Test("What is odd about numbers and reserved bytes of headers")
    func oddHeaders() throws {
        let same = image(damage: { $0.patchHeaders(7 as UInt64, at: 8) })
        try expectFindings(["notice header-sequence @65536 =0x7"], in: same)
        same.patchHeaders(9 as UInt64, at: 16, slots: [1])
        try expectFindings(["error header-current @65536"], in: same)
        let last = image(damage: { $0.patchHeaders(UInt64.max - 3, at: 8, slots: [0]) })
        try expectFindings(["warning header-exhausted @65536 =0xfffffffffffffffc"], in: last)
        let reserved = image(damage: { $0.patchHeaders(5 as UInt8, at: 4095, slots: [0]) })
        try expectFindings(["notice header-reserved @69631 =0x5"], in: reserved)
    }

    // MARK: Log

    @Test("Where the log lies")
    func logPlace() throws {
        let offset = image(damage: {
            $0.patchHeaders(1 as UInt64, at: 72)
            $0.patchHeaders(4096 as UInt32, at: 68)
        })
        try expectFindings(
            ["error log-offset @131072 =0x1", "error log-length @131072 =0x1000"], in: offset)
        #expect(try ImageCheck(offset).unchecked == [.log])
        let cut = image(damage: { $0.patchHeaders((1 << 40) as UInt64, at: 72) })
        try expectFindings(["error log-cut @1099511627776 =0x400000"], in: cut)
        let far = image(
            { $0.fileSize = 257 << 40 }, damage: { $0.patchHeaders((256 << 40) as UInt64, at: 72) })
        try expectFindings(["error log-overlap @281474976710656"], in: far)
        let absent = image(
            { $0.fileSize = 4 << 20 }, damage: { $0.patchHeaders(0 as UInt32, at: 68) })
        try expectFindings(
            ["notice log-absent @1048576", "notice unused-space @1048576 =0x100000"], in: absent)
    }

    private func entry(
        at position: UInt64 = 0, flushed: UInt64 = 4 << 20,
        _ descriptors: [ImageBuilder.LogEntry.Descriptor] = []
    ) -> ImageBuilder.LogEntry {
        .init(
            at: position, sequenceNumber: 1, logGUID: Self.logGUID, flushedFileOffset: flushed,
            lastFileOffset: 4 << 20, descriptors)
    }

    @Test("What the log holds, and that a log of old entries is as it should be")
    func logContent() throws {
        try expectFindings(
            ["warning log-dirty @1048576 =0x1"], in: image { $0.useLog(Self.logGUID, [entry()]) })
        try expectFindings(
            ["error log-entries @1048576"], in: image { $0.useLog(Self.logGUID, []) })
        let stale = image { $0.logEntries = [entry()] }
        #expect(stale.peek(at: 1 << 20, count: 4) == Array("loge".utf8))
        try expectFindings([], in: stale)
        try expectFindings(
            ["error log-cut @134217728 =0x400000"],
            in: image { $0.useLog(Self.logGUID, [entry(flushed: 128 << 20)]) })
        let version = image(
            { $0.useLog(Self.logGUID, [entry()]) },
            damage: { $0.patchHeaders(1 as UInt16, at: 64) })
        try expectFindings(["error log-version @131072 =0x1"], in: version)
        let zeros = (0...LogOverlay.maximumZeroRangeCount).map { _ in
            ImageBuilder.LogEntry.Descriptor.zero(at: 2_000_000_000, count: 4096)
        }
        let limit = image {
            for slot in [0, 1] {
                $0.headers[slot]?.logOffset = 4 << 20
                $0.headers[slot]?.logLength = 8 << 20
            }
            var entry = entry(zeros.map { _ in .zero(at: 1 << 20, count: 4096) })
            entry.flushedFileOffset = 1 << 20
            $0.useLog(Self.logGUID, [entry])
        }
        try expectFindings(["warning log-dirty @4194304 =0x1", "error log-limit"], in: limit)
    }

    @Test("A check looks through the log as a reader does")
    func throughTheLog() throws {
        var page = [UInt8](0, 4096)
        page.replaceSubrange(0..<8, with: ImageBuilder.bytes(4 as UInt64))
        let file = image { $0.useLog(Self.logGUID, [entry([.data(at: 3 << 20, page)])]) }
        try expectFindings(
            ["warning log-dirty @1048576 =0x1", "error bat-state @3145728 =0x4"], in: file)
    }

    // MARK: Regions

    @Test("A region table copy that is damaged is covered by the other one")
    func regionTableCopies() throws {
        let signature = image(damage: { $0.damage(at: 196_608) })
        try expectFindings(["warning region-table-signature @196608"], in: signature)
        let checksum = image()
        let stored = checksum.peek(UInt32.self, at: 262_148)
        checksum.damage(at: 262_144 + 20)
        try expectFindings(
            ["warning region-table-checksum @262144 =0x" + String(stored, radix: 16)],
            in: checksum)
        let count = image(damage: { $0.patchRegionTables(2048 as UInt32, at: 8, copies: [1]) })
        try expectFindings(["warning region-table-count @262144 =0x800"], in: count)
        let reserved = image(damage: { $0.patchRegionTables(1 as UInt32, at: 12) })
        try expectFindings(["notice region-table-reserved @196620 =0x1"], in: reserved)
        let differing = image(damage: {
            $0.patchRegionTables(0 as UInt32, at: 16 + 28, copies: [1])
        })
        try expectFindings(["error region-table-current @196608"], in: differing)
        let neither = image(damage: {
            $0.damage(at: 196_608)
            $0.damage(at: 262_144)
        })
        try expectFindings(
            [
                "error region-table-signature @196608", "error region-table-signature @262144",
                "error region-table-current",
            ], in: neither)
    }

    @Test("Where no copy is valid, what is right of one is followed")
    func rightEntriesOfAWrongTable() throws {
        let file = image(
            { $0.metadataItems[1].content = ImageBuilder.bytes(0 as UInt64) },
            damage: { $0.patchRegionTables((3 << 20 | 5) as UInt64, at: 16 + 32 + 16) })
        try expectFindings(
            [
                "error region-offset @196656 =0x300005", "error region-offset @262192 =0x300005",
                "error region-table-current", "error virtual-size @2162696 =0x0",
                "error region-missing",
            ], in: file)
        #expect(try ImageCheck(file).unchecked == [.blockAllocationTable])
    }

    @Test("Each region by itself")
    func regions() throws {
        let length = image(damage: { $0.patchRegionTables(4096 as UInt32, at: 40, copies: [0]) })
        try expectFindings(["warning region-length @196624 =0x1000"], in: length)
        let unknown = ImageBuilder.Region(
            identifier: Self.unknown, offset: 4 << 20, length: 1 << 20, required: 0)
        try expectFindings(
            ["notice region-unknown @4194304 =0x100000"], in: image { $0.regions.append(unknown) })
        let required = image {
            $0.regions.append(unknown)
            $0.regions[2].required = 1
        }
        try expectFindings(["error region-unknown"], in: required)
        let optional = image {
            $0.regions[0].required = 0
            $0.regions[1].required = 0
        }
        try expectFindings(
            ["notice region-not-required @196624", "notice region-not-required @196656"],
            in: optional)
        let twice = image {
            $0.regions.append($0.regions[0])
            $0.regions[2].offset = 4 << 20
        }
        try expectFindings(["error region-duplicate @196688"], in: twice)
        let cut = image {
            $0.regions.append(unknown)
            $0.fileSize = 4 << 20
        }
        try expectFindings(
            ["error region-cut @4194304 =0x400000", "notice region-unknown @4194304 =0x100000"],
            in: cut)
        let overlap = image {
            $0.regions.append(unknown)
            $0.regions[2].offset = 3 << 20
        }
        try expectFindings(
            ["notice region-unknown @3145728 =0x100000", "error region-overlap @3145728"],
            in: overlap)
        let missing = image { $0.regions.removeFirst() }
        try expectFindings(["error region-missing"], in: missing)
        #expect(try ImageCheck(missing).unchecked == [.metadataTable, .blockAllocationTable])
    }

    // MARK: Metadata

    private static let table: UInt64 = 2 << 20

    @Test("The metadata table")
    func metadataTable() throws {
        let table = Self.table
        let item = ImageBuilder.MetadataItem(
            identifier: Self.unknown, offset: 70_000, flags: 0, content: [1])
        try expectFindings(
            ["error metadata-signature @2097152"], in: image(damage: { $0.damage(at: table) }))
        try expectFindings(
            ["error metadata-count @2097152 =0x800"],
            in: image(damage: { $0.put(2048 as UInt16, at: table + 10) }))
        try expectFindings(
            ["notice metadata-reserved @2097160 =0x3", "notice metadata-reserved @2097212 =0x4"],
            in: image(damage: {
                $0.put(3 as UInt8, at: table + 8)
                $0.put(4 as UInt8, at: table + 32 + 28)
            }))
        try expectFindings(
            ["notice item-unknown @2097344 =0x1"], in: image { $0.metadataItems.append(item) })
        for (flags, expected) in [
            (1, "notice item-unknown @2097344 =0x1"), (4, "error item-unknown"),
            (5, "error item-flags @2097344 =0x5"),
        ] as [(UInt32, String)] {
            let file = image {
                $0.metadataItems.append(item)
                $0.metadataItems[5].flags = flags
            }
            try expectFindings([expected], in: file)
        }
        let other = image { $0.metadataItems[0].flags = 6 }
        try expectFindings(["notice item-flags @2097184 =0x6"], in: other)
        let long = image(
            { $0.metadataItems.append(item) },
            damage: { $0.put(0x10_0001 as UInt32, at: table + 32 + 5 * 32 + 20) })
        try expectFindings(
            ["error item-length @2097344 =0x100001", "error item-offset @2097344 =0x11170"],
            in: long)
        let overlap = image {
            $0.metadataItems.append(item)
            $0.metadataItems[5].offset = 65575
        }
        try expectFindings(
            ["error item-overlap @2162727", "notice item-unknown @2097344 =0x1"], in: overlap)
        let twice = image {
            $0.metadataItems.append($0.metadataItems[0])
            $0.metadataItems[5].offset = 70_000
        }
        try expectFindings(["error item-duplicate @2097152"], in: twice)
        try expectFindings(
            ["error item-missing"], in: image { $0.metadataItems.removeLast() })
        let locator = image {
            $0.metadataItems.append(item)
            $0.metadataItems[5].identifier = ImageBuilder.parentLocator
        }
        try expectFindings(["notice parent-locator @2097344 =0x1"], in: locator)
    }

    @Test("A half-written image is one finding, and is checked on")
    func mark() throws {
        try expectFindings(["error unfinished-apply"], in: image { $0.addMark() })
        let more = image {
            $0.addMark()
            $0.rawBATEntries = [0: 4]
        }
        try expectFindings(["error unfinished-apply", "error bat-state @3145728 =0x4"], in: more)
        var mark = ImageBuilder.Mark()
        mark.version = 2
        let damaged = image { $0.addMark(mark) }
        try expectFindings(["error apply-mark @2170880 =0x2"], in: damaged)
    }

    @Test("Each item has its length and a value that is allowed, and all are looked at")
    func items() throws {
        let place = Self.table + 65536
        for (offset, value, expected) in [
            (0, 3 << 20, "error block-size @2162688 =0x300000"),
            (4, 4, "error file-parameter-flags @2162688 =0x4"),
            (16, 513, "error logical-sector-size @2162704 =0x201"),
            (20, 513, "error physical-sector-size @2162708 =0x201"),
            (8, 513, "error virtual-size @2162696 =0x201"),
        ] as [(UInt64, UInt32, String)] {
            let file = image(damage: { $0.put(value, at: place + offset) })
            try expectFindings([expected], in: file)
        }
        let length = image(damage: { $0.put(4 as UInt32, at: Self.table + 32 + 20) })
        try expectFindings(["error item-length @2162688 =0x4"], in: length)
        let all = image(damage: {
            $0.put(5 as UInt32, at: place)
            $0.put(5 as UInt32, at: place + 4)
            $0.put(0 as UInt64, at: place + 8)
            for offset in [16, 20] as [UInt64] { $0.put(5 as UInt32, at: place + offset) }
        })
        try expectFindings(
            [
                "error file-parameter-flags @2162688 =0x5", "error block-size @2162688 =0x5",
                "error logical-sector-size @2162704 =0x5", "error virtual-size @2162696 =0x0",
                "error physical-sector-size @2162708 =0x5",
            ], in: all)
        #expect(try ImageCheck(all).unchecked == [.blockAllocationTable])
    }
}
