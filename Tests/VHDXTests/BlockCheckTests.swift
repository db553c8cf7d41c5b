import Storage
import TestSupport
import Testing

@testable import VHDX

/// What a check says of the block allocation table, of blocks, and of the file's space.
@Suite("ImageCheck: blocks and space")
struct BlockCheckTests {
    private static let table: UInt64 = 3 << 20

    private func expect(
        _ expected: [String], virtualSize: UInt64 = 8 << 20, blockSize: UInt64 = 1 << 20,
        kind: ImageBuilder.Kind = .dynamic, sourceLocation: SourceLocation = #_sourceLocation,
        _ change: (inout ImageBuilder) -> Void
    ) throws {
        var builder = ImageBuilder(virtualSize: virtualSize, blockSize: blockSize, kind: kind)
        change(&builder)
        let file = builder.build()
        let found = try findings(in: file)
        #expect(found == expected, sourceLocation: sourceLocation)
        let disagreement = disagreement(
            of: ImageCheck.findings(in: file), with: readingRefusal(of: file))
        #expect(disagreement == nil, sourceLocation: sourceLocation)
    }

    @Test("Every entry is looked at, whatever the ones before say")
    func entries() throws {
        try expect(
            [
                "error bat-reserved @3145728 =0x8", "error bat-state @3145736 =0x4",
                "error bat-offset @3145744 =0x0", "error block-overlap @2097152",
                "error block-cut @8388608 =0x600000", "error block-overlap @4194304",
            ]
        ) {
            $0.rawBATEntries = [
                0: 8, 1: 4, 2: 6, 3: 2 << 20 | 6, 4: 8 << 20 | 6, 5: 4 << 20 | 6, 6: 4 << 20 | 6,
            ]
            $0.fileSize = 6 << 20
        }
        try expect(["error bat-bitmap-state @3178496 =0x6"], virtualSize: 5 << 30) {
            $0.rawBATEntries = [4096: 4 << 20 | 6]
            $0.fileSize = 5 << 20
        }
        try expect(["error bat-length @3145728 =0x200000"], virtualSize: 256 << 30) {
            $0.regions[1].length = 2 << 20
            $0.fileSize = 5 << 20
        }
    }

    @Test("The table is checked as far as it reaches")
    func cutTable() throws {
        try expect(
            [
                "error region-cut @3145728 =0x301000", "error bat-state @3149816 =0x5",
                "notice file-size @3149824 =0x301000",
            ], virtualSize: 1 << 30
        ) {
            $0.rawBATEntries = [511: 5, 512: 5]
            $0.fileSize = 3 << 20 | 4096
        }
    }

    @Test("A block is named by its number, a sector bitmap by that of its chunk")
    func messages() throws {
        var builder = ImageBuilder(virtualSize: 16 << 30)
        builder.rawBATEntries = [4097: 4, 8193: 7]
        let messages = try ImageCheck(builder.build()).findings.map(\.message)
        #expect(messages.count == 2)
        #expect(messages.first?.hasPrefix("payload block 4096: ") == true)
        #expect(messages.last?.hasPrefix("sector bitmap 1: ") == true)
    }

    @Test("Of each rule 16 findings are kept, the others are counted")
    func bounded() throws {
        var expected = (0..<16 as Range<UInt64>).map {
            "error bat-state @\(Self.table + $0 * 16) =0x4"
        }
        expected[15] += " +48"
        // The other half is odd, and of another rule.
        for index in 0..<16 as Range<UInt64> {
            expected.insert(
                "notice bat-unused-offset @\(Self.table + index * 16 + 8) =0x400002"
                    + (index == 15 ? " +48" : ""), at: Int(index) * 2 + 1)
        }
        try expect(expected, virtualSize: 128 << 20) {
            for index in 0..<128 as Range<UInt64> {
                $0.rawBATEntries[index] = index.isMultiple(of: 2) ? 4 : 4 << 20 | 2
            }
        }
    }

    @Test("Places that mean nothing, and places that are kept")
    func oddOffsets() throws {
        try expect(
            [
                "notice bat-unused-offset @3145728 =0x7f00000",
                "notice bat-unused-offset @3145736 =0x100002",
                "notice bat-retained-offset @3145744 =0x400001",
                "notice bat-retained-offset @3145752 =0x500003",
            ]
        ) {
            $0.rawBATEntries = [
                0: 127 << 20, 1: 1 << 20 | 2, 2: 4 << 20 | 1, 3: 5 << 20 | 3, 4: 1, 5: 2, 6: 3,
            ]
            $0.fileSize = 6 << 20
        }
    }

    @Test("Entries behind that of the last block")
    func stray() throws {
        try expect(["notice bat-stray @3145800 =0x2"]) {
            $0.rawBATEntries = [9: 6, 131_071: 1]
        }
    }

    @Test("Blocks in another order than the disk's, and a gap between them")
    func order() throws {
        try expect(
            ["notice block-order =0x2", "notice unused-space @6291456 =0x100000"]
        ) {
            $0.addBlock(0, at: 7 << 20)
            $0.addBlock(2, at: 5 << 20)
            $0.addBlock(3, at: 8 << 20)
            $0.addBlock(7, at: 4 << 20)
        }
    }

    @Test("Unused space between and behind")
    func space() throws {
        try expect(
            [
                "notice unused-space @5242880 =0x300000",
                "notice unused-space @10485760 =0x5600000",
            ]
        ) {
            $0.addBlock(0, at: 4 << 20)
            $0.addBlock(1, at: 8 << 20)
            $0.addBlock(2, at: 9 << 20)
            $0.fileSize = 96 << 20
        }
    }

    @Test("A file that ends within a mebibyte, with and without cutting a block")
    func fileSize() throws {
        try expect(
            ["notice file-size @4194816 =0x400200", "notice unused-space @4194304 =0x200"]
        ) {
            $0.fileSize = 4 << 20 | 512
        }
        try expect(
            [
                "notice short-last-block @4194304 =0x1ffe00",
                "warning file-size @4194816 =0x400200",
            ], virtualSize: 512, blockSize: 2 << 20
        ) {
            $0.addBlock(0)
            $0.fileSize = 4 << 20 | 512
        }
        try expect(
            ["notice short-last-block @4194304 =0x100000"], virtualSize: 512, blockSize: 2 << 20
        ) {
            $0.addBlock(0)
            $0.fileSize = 5 << 20
        }
    }

    @Test("A fixed image that has not all its blocks")
    func fixed() throws {
        try expect(["notice fixed-unallocated =0x6"], kind: .fixed) {
            $0.addBlock(0)
            $0.addBlock(1)
            $0.rawBATEntries[2] = 2
        }
    }

    @Test("A table of a disk of 64 TiB in which every entry is wrong costs no memory")
    func everyEntryWrong() throws {
        let builder = ImageBuilder(virtualSize: 64 << 40, blockSize: 256 << 20)
        let entryCount: UInt64 = (64 << 40) / (256 << 20) / 16 * 17 - 1
        let file = WrongTable(
            base: builder.build(), table: Self.table..<Self.table + entryCount * 8)
        let check = try ImageCheck(file)
        #expect(check.findings.count == 16)
        #expect(check.findings.allSatisfy { $0.rule == .tableReserved })
        #expect(check.count(of: .error) == entryCount)
        #expect(check.findings[15].more == entryCount - 16)
    }
}

/// An image whose table has all bits set in each entry.
private struct WrongTable: RandomAccessFile {
    let base: MemoryFile
    let table: Range<UInt64>

    var name: String { base.name }

    func byteCount() throws(FileError) -> UInt64 { try base.byteCount() }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        try base.read(into: &buffer, at: offset)
        let range = (offset..<offset + UInt64(buffer.byteCount)).clamped(to: table)
        for place in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
            buffer.store(UInt64.max, at: Int(place - offset))
        }
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {}
    func deallocate(_ range: Range<UInt64>) throws(FileError) {}
    func writeZeros(_ range: Range<UInt64>) throws(FileError) {}
    func reserve(_ range: Range<UInt64>) throws(FileError) {}
    func setByteCount(_ byteCount: UInt64) throws(FileError) {}
    func flush() throws(FileError) {}

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        offset < limit ? offset..<limit : nil
    }
}
