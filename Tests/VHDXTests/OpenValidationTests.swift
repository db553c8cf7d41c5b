import Storage
import TestSupport
import Testing

@testable import VHDX

/// Every rule that is checked when an image is opened, by the error that its violation gives.
@Suite("Validation on open: file, headers, regions")
struct OpenValidationTests {
    private func image(_ change: (inout ImageBuilder) -> Void = { _ in }) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        change(&builder)
        return builder.build()
    }

    @Test("The image without a fault is accepted")
    func valid() throws {
        #expect(refusal(of: image()) == nil)
        let info = try info(of: image())
        #expect(info.virtualSize == 8 << 20 && info.payloadBlockSize == 1 << 20)
        #expect(info.kind == .dynamic && !info.logIsDirty)
        #expect(info.virtualDiskID.description == ImageBuilder.diskID)
        #expect(info.logicalSectorSize == 512 && info.physicalSectorSize == 4096)
        #expect(info.blockStates.notPresent == 8)
        let fixed = ImageBuilder(virtualSize: 8 << 20, kind: .fixed).build()
        #expect(try VHDXTests.info(of: fixed).kind == .fixed)
    }

    // MARK: 1, the file

    @Test("A file that is too short, or starts otherwise, is not VHDX")
    func notVHDX() {
        for size in [0, 1, 7, 8, 519] as [UInt64] {
            let file = image()
            file.content.resize(to: size)
            #expect(refusal(of: file) == .notVHDX(path: path), "\(size) bytes")
        }
        let text = MemoryFile()
        text.put(Array(String(repeating: "no disk at all\n", count: 100_000).utf8), at: 0)
        #expect(refusal(of: text) == .notVHDX(path: path))
        for index in 0..<8 as Range<UInt64> {
            let file = image()
            file.damage(at: index)
            #expect(refusal(of: file) == .notVHDX(path: path), "byte \(index)")
        }
    }

    @Test("A file cut at any place is refused, and never with a trap")
    func cut() {
        for size in [520, 4096, 65536, 69632, 131_072, 196_608, 200_000, 262_144, 1 << 20]
            as [UInt64]
        {
            let file = image()
            file.content.resize(to: size)
            #expect(refusal(of: file) != nil, "\(size) bytes")
        }
        let file = image()
        file.content.resize(to: 65536)
        let missing = VHDXError.truncated(.header, path: path, at: 65536, fileSize: 65536)
        #expect(refusal(of: file) == .noValidCopy(.header, missing))
        let withoutTable = image()
        withoutTable.content.resize(to: (4 << 20) - 1)
        #expect(
            refusal(of: withoutTable)
                == .truncated(.regionTable, path: path, at: 3 << 20, fileSize: (4 << 20) - 1))
    }

    // MARK: 2, headers (the rest in ImageHeaderTests)

    @Test("A header of another version counts as none")
    func headerVersion() {
        let file = image()
        file.patchHeaders(2 as UInt16, at: 66, slots: [1])
        #expect(refusal(of: file) == nil)
        file.patchHeaders(0 as UInt16, at: 66, slots: [0])
        let invalid = VHDXError.invalidField(
            .header, field: "version", value: 0, path: path, at: 65536)
        #expect(refusal(of: file) == .noValidCopy(.header, invalid))
    }

    // MARK: 5, the place of the log

    @Test(
        "The log starts at a multiple of 1 MiB, past the headers",
        arguments: [0, 1, 0xF_FFFF, 0x10_1000, .max] as [UInt64])
    func logOffset(_ offset: UInt64) {
        let file = image()
        file.patchHeaders(offset, at: 72)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .header, field: "log offset", value: offset, path: path, at: 131_072))
    }

    @Test(
        "The log's length is a multiple of 1 MiB within reason",
        arguments: [1, 4096, 0x10_1000, 1 << 31, 0xFFF0_0000] as [UInt32])
    func logLength(_ length: UInt32) {
        let file = image { $0.fileSize = 8 << 30 }
        file.patchHeaders(length, at: 68)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .header, field: "log length", value: UInt64(length), path: path, at: 131_072))
    }

    @Test("The log lies in the file, whatever its offset adds up to")
    func logInFile() {
        for offset in [4 << 20, 1 << 40, 1 << 63, 0xFFFF_FFFF_FFF0_0000] as [UInt64] {
            let file = image()
            file.patchHeaders(offset, at: 72)
            #expect(
                refusal(of: file)
                    == .truncated(.log, path: path, at: offset, fileSize: 4 << 20), "\(offset)")
        }
    }

    @Test("The log overlaps no region", arguments: [2, 3] as [UInt64])
    func logOverlap(mebibyte: UInt64) {
        let file = image()
        file.patchHeaders(mebibyte << 20, at: 72)
        #expect(
            refusal(of: file) == .overlap(.regionTable, path: path, at: mebibyte << 20))
    }

    @Test("Only the log of the header that counts is looked at")
    func oldHeaderLog() {
        let file = image()
        file.patchHeaders(0 as UInt64, at: 72, slots: [0])
        #expect(refusal(of: file) == nil)
    }

    @Test("An image without a log can be read, and not be written")
    func noLog() throws {
        let file = image()
        file.patchHeaders(0 as UInt32, at: 68)
        #expect(readingRefusal(of: file) == nil)
        let before = file.content
        #expect {
            _ = try ImageWriter(file).geometry
        } throws: { error in
            if case .unsupported(_, path: path) = error as? VHDXError { true } else { false }
        }
        #expect(file.content == before)
    }

    // MARK: 9 to 12, regions

    @Test("A damaged copy of the region table yields to the other", arguments: [0, 1])
    func regionTableCopies(damaged: Int) throws {
        for place in [0, 4, 20, 60_000] as [UInt64] {
            let file = image { $0.addBlock(0, content: [5]) }
            file.damage(at: UInt64(damaged + 3) << 16 | place)
            #expect(refusal(of: file) == nil)
            #expect(try content(of: file, at: 0, count: 1) == [5])
        }
        let file = image()
        file.damage(at: UInt64(damaged + 3) << 16)
        file.damage(at: UInt64(4 - damaged) << 16)
        let wrong = VHDXError.wrongSignature(.regionTable, path: path, at: 196_608)
        #expect(refusal(of: file) == .noValidCopy(.regionTable, wrong))
    }

    @Test("A copy with a right checksum and a forbidden value yields too")
    func invalidRegionTableCopy() {
        let file = image()
        file.patchRegionTables(5 as UInt64, at: 32, copies: [0])
        #expect(refusal(of: file) == nil)
    }

    @Test("Two valid copies that differ leave no choice")
    func differingRegionTables() {
        let file = image()
        file.patchRegionTables(0 as UInt32, at: 16 + 28, copies: [1])
        #expect(refusal(of: file) == .ambiguous(.regionTable, path: path, at: 196_608))
    }

    private static let unknown = "deadbeef-0000-4000-8000-000000000001"

    @Test("An unknown region that is required keeps everyone out")
    func unknownRequiredRegion() {
        let file = image {
            $0.regions.append(
                .init(identifier: Self.unknown, offset: 4 << 20, length: 1 << 20, required: 1))
        }
        #expect(
            refusal(of: file)
                == .unsupported("required region \(Self.unknown)", path: path))
    }

    @Test("An unknown region that is not required is kept, and its space is taken")
    func unknownOptionalRegion() throws {
        let file = image {
            $0.regions.append(
                .init(identifier: Self.unknown, offset: 4 << 20, length: 1 << 20, required: 0))
        }
        file.put([1, 2, 3], at: 4 << 20)
        #expect(refusal(of: file) == nil)
        let writer = try ImageWriter(file)
        try writer.fill(9, count: 4096, at: 0)
        try writer.close()
        #expect(file.peek(at: 4 << 20, count: 3) == [1, 2, 3])
        #expect(file.peek(UInt64.self, at: 3 << 20) == 5 << 20 | 6)
        let overlapping = image {
            $0.regions.append(
                .init(identifier: Self.unknown, offset: 4 << 20, length: 1 << 20, required: 0))
            $0.addBlock(1, at: 4 << 20)
        }
        #expect(refusal(of: overlapping) == .overlap(.payloadBlock, path: path, at: 4 << 20))
    }

    @Test("QEMU does not mark the known regions as required, and is right")
    func optionalKnownRegions() {
        let file = image {
            for index in $0.regions.indices { $0.regions[index].required = 0 }
        }
        #expect(refusal(of: file) == nil)
        #expect(file.peek(UInt32.self, at: 196_608 + 16 + 28) == 0)
    }

    @Test("Regions may come in any order and lie anywhere")
    func regionOrder() throws {
        let file = image {
            $0.regions.reverse()
            $0.regions[0].offset = 9 << 20
            $0.regions[1].offset = 7 << 20
            $0.headers[0]?.logOffset = 11 << 20
            $0.headers[1]?.logOffset = 11 << 20
            $0.nextOffset = 1 << 20
            $0.addBlock(3, content: [7])
        }
        #expect(refusal(of: file) == nil)
        #expect(try content(of: file, at: 3 << 20, count: 1) == [7])
    }

    @Test("A region is listed once")
    func duplicateRegion() {
        let file = image {
            $0.regions.append($0.regions[0])
            $0.regions[2].offset = 5 << 20
        }
        #expect(refusal(of: file) == .overlap(.regionTable, path: path, at: 196_608 + 16 + 64))
    }

    @Test("A region lies in the file")
    func regionInFile() {
        for offset in [1 << 30, 1 << 62] as [UInt64] {
            let file = image()
            file.patchRegionTables(offset, at: 16 + 16)
            #expect(
                refusal(of: file)
                    == .truncated(.regionTable, path: path, at: offset, fileSize: 4 << 20))
        }
        let file = image()
        file.patchRegionTables(0xFFF0_0000 as UInt32, at: 16 + 32 + 24)
        #expect(
            refusal(of: file)
                == .truncated(.regionTable, path: path, at: 3 << 20, fileSize: 4 << 20))
    }

    @Test("Regions overlap neither each other nor the log")
    func regionOverlap() {
        let same = image()
        same.patchRegionTables((3 << 20) as UInt64, at: 16 + 16)
        #expect(refusal(of: same) == .overlap(.regionTable, path: path, at: 3 << 20))
        let partly = image { $0.fileSize = 64 << 20 }
        partly.patchRegionTables((4 << 20) as UInt32, at: 16 + 24)
        #expect(refusal(of: partly) == .overlap(.regionTable, path: path, at: 3 << 20))
        let log = image()
        log.patchRegionTables((1 << 20) as UInt64, at: 16 + 16)
        #expect(refusal(of: log) == .overlap(.regionTable, path: path, at: 1 << 20))
    }

    @Test("Both known regions must be there")
    func missingRegions() {
        let noBAT = image { $0.regions.removeLast() }
        #expect(refusal(of: noBAT) == .missing(.blockAllocationTable, path: path))
        let noMetadata = image { $0.regions.removeFirst() }
        #expect(refusal(of: noMetadata) == .missing(.metadataTable, path: path))
        let none = image { $0.regions = [] }
        #expect(refusal(of: none) != nil)
    }

    @Test("The table has room for every block")
    func shortBAT() {
        var builder = ImageBuilder(virtualSize: 256 << 30)
        #expect(builder.regions[1].length == 3 << 20)
        builder.regions[1].length = 2 << 20
        let file = builder.build()
        #expect(
            refusal(of: file)
                == .invalidField(
                    .blockAllocationTable, field: "region length", value: 2 << 20, path: path,
                    at: 3 << 20))
    }

    @Test("A region that claims almost 4 GiB costs no memory for it")
    func hugeRegions() throws {
        let file = image {
            $0.regions[0].offset = 1 << 40
            $0.regions[0].length = 0xFFF0_0000
            $0.regions[1].offset = 2 << 40
            $0.regions[1].length = 0xFFF0_0000
        }
        file.resetCounts()
        #expect(readingRefusal(of: file) == nil)
        #expect(file.counts.bytesRead < 1 << 20)
    }
}
