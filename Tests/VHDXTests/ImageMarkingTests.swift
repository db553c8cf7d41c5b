import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

/// Setting and removing the mark.
@Suite("Marking an image")
struct ImageMarkingTests {
    private static let metadata: UInt64 = 2 << 20
    private static let streamID = GUID(ImageBuilder.streamID) ?? .zero
    private static let mark = ApplyMark(streamID: streamID, journalPath: "/a.vhdx.resync")
    private static let chosen = GUID("99999999-0000-4000-8000-000000000001") ?? .zero

    private func metadata(of file: MemoryFile) -> [UInt8] {
        file.peek(at: Self.metadata, count: 1 << 20)
    }

    private func expectMarked(
        _ file: MemoryFile, with mark: ApplyMark = mark,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            refusal(of: file) == .unfinishedApply(path: path, mark: mark),
            sourceLocation: sourceLocation)
    }

    private func image(
        kind: ImageBuilder.Kind = .dynamic, _ change: (inout ImageBuilder) -> Void = { _ in }
    ) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 8 << 20, kind: kind)
        if kind == .fixed { builder.addAllBlocks() }
        if kind == .differencing { builder.addLocator() }
        builder.addBlock(2, content: [UInt8](2, 1 << 20))
        change(&builder)
        return builder.build()
    }

    @Test(
        "A mark stays until it is removed, and the image is then as it was",
        arguments: [.dynamic, .fixed, .differencing] as [ImageBuilder.Kind])
    func setAndRemove(kind: ImageBuilder.Kind) throws {
        let file = image(kind: kind)
        let before = metadata(of: file)
        let parent = kind == .differencing ? try RuleExample.parent() : nil
        let first = try ImageWriter(file, parent: parent)
        #expect(first.mark == nil)
        let virtualDiskID = first.virtualDiskID
        #expect("\(virtualDiskID)" == ImageBuilder.diskID)
        first.chooseDataWriteGUID(Self.chosen)
        try first.setMark(Self.mark)
        #expect(first.mark == Self.mark && first.dataWriteGUID == Self.chosen)
        try first.close()
        expectMarked(file)
        #expect(try ImageCheck(file).findings.map(\.rule).contains(.unfinishedApply))

        let second = try ImageWriter(file, parent: parent, acceptsMark: true)
        #expect(second.mark == Self.mark && second.dataWriteGUID == Self.chosen)
        try second.fill(9, count: 4096, at: 5 << 20)
        try second.removeMark()
        #expect(second.mark == nil)
        try second.close()
        #expect(metadata(of: file) == before)
        let reader = try ImageReader(file, parent: parent)
        #expect(reader.mark == nil && reader.dataWriteGUID != Self.chosen)
        #expect(try reader.bytes(at: 5 << 20, count: 4096).consists(of: 9))
        #expect(try reader.bytes(at: 2 << 20, count: 1 << 20).consists(of: 2))
    }

    @Test("The DataWriteGuid is the chosen one from the first change on, and random otherwise")
    func chosenGUID() throws {
        for isMarked in [false, true] {
            let file = image()
            let original = try ImageReader(file).dataWriteGUID
            let writer = try ImageWriter(file)
            writer.chooseDataWriteGUID(Self.chosen)
            #expect(writer.dataWriteGUID == original)
            if isMarked { try writer.setMark(Self.mark) }
            try writer.fill(1, count: 512, at: 0)
            #expect(writer.dataWriteGUID == Self.chosen)
            if isMarked { try writer.removeMark() }
            try writer.close()
            #expect(try ImageReader(file).dataWriteGUID == Self.chosen)
        }
        let file = image()
        let writer = try ImageWriter(file)
        writer.chooseDataWriteGUID(Self.chosen)
        try writer.close()
        #expect(try ImageReader(file).dataWriteGUID != Self.chosen, "nothing was changed")
    }

    @Test("It is too late to choose after a change")
    func choosingTooLate() async {
        await #expect(processExitsWith: .failure) {
            let writer = try ImageWriter(ImageBuilder(virtualSize: 8 << 20).build())
            try writer.fill(1, count: 512, at: 0)
            writer.chooseDataWriteGUID(.zero)
        }
    }

    @Test("Removing no mark changes nothing")
    func removingNone() throws {
        let file = image()
        let before = file.content
        let writer = try ImageWriter(file)
        try writer.removeMark()
        try writer.close()
        #expect(file.content == before)
    }

    @Test("A mark takes the place of another, longer or shorter")
    func replacing() throws {
        let file = image()
        let before = metadata(of: file)
        let writer = try ImageWriter(file)
        for count in [4096, 0, 4000, 4072] {
            let mark = ApplyMark(
                streamID: count == 0 ? .zero : Self.streamID,
                journalPath: String(repeating: "j", count: count))
            try writer.setMark(mark)
            #expect(try ImageReader(file, acceptsMark: true).mark == mark)
            #expect(file.peek(UInt16.self, at: Self.metadata + 10) == 6)
            #expect(try ImageCheck(file).findings.filter { $0.rule != .logDirty }.count == 1)
        }
        try writer.removeMark()
        try writer.close()
        #expect(metadata(of: file) == before)
    }

    @Test("The mark stands in its place, and not in the log alone, when setting it returns")
    func inPlace() throws {
        let file = image()
        let writer = try ImageWriter(file)
        try writer.setMark(Self.mark)
        let id = file.peek(at: Self.metadata + 32 + 5 * 32, count: 16)
        #expect(GUID(decoding: id.rawSpan, at: 0) == ApplyMark.itemID)
        let item = file.peek(at: Self.metadata + 65536 + 4096, count: 24 + 14)
        #expect(try ApplyMark(decoding: item.rawSpan, of: path, at: 0) == Self.mark)
        writer.abandon()
        expectMarked(file)
    }

    @Test("What else the region holds stays, to the bit: unknown items, entries, reserved bytes")
    func otherItems() throws {
        let unknown = "deadbeef-0000-4000-8000-000000000003"
        let file = image { builder in
            // Where the mark would go, and around the next place.
            builder.metadataItems.append(
                .init(identifier: unknown, offset: 69632, flags: 0, content: [UInt8](5, 4000)))
            builder.metadataItems.append(
                .init(
                    identifier: unknown, offset: 77824 + 100, flags: 1,
                    content: [UInt8](6, 3000)))
            builder.addMark()
            builder.metadataItems.append(
                .init(
                    identifier: ImageBuilder.applyMark, offset: 90000, flags: 1,
                    content: [UInt8](8, 30)))
        }
        // Reserved bytes of the entry behind the mark's, and what stands between items.
        file.put(0xABCD as UInt32, at: Self.metadata + 32 + 8 * 32 + 28)
        file.put([UInt8](0xEE, 64), at: Self.metadata + 100_000)
        let before = metadata(of: file)
        let writer = try ImageWriter(file, acceptsMark: true)
        try writer.setMark(ApplyMark(streamID: .zero, journalPath: ""))
        #expect(try ImageReader(file, acceptsMark: true).mark?.streamID == .zero)
        try writer.removeMark()
        try writer.close()

        var expected = before
        let slots = 32 + 7 * 32
        expected.replaceSubrange(slots..<slots + 32, with: before[slots + 32..<slots + 64])
        expected.replaceSubrange(slots + 32..<slots + 64, with: [UInt8](0, 32))
        expected[10] = 8
        let item = 65536 + 8192
        expected.replaceSubrange(item..<item + 38, with: [UInt8](0, 38))
        #expect(metadata(of: file) == expected)
        #expect(refusal(of: file) == nil)
    }

    @Test("A mark finds the only gap, though it is not aligned")
    func onlyGap() throws {
        let unknown = "deadbeef-0000-4000-8000-000000000003"
        let file = image { builder in
            let start: UInt32 = 65536 + 40 + 13
            builder.metadataItems.append(
                .init(
                    identifier: unknown, offset: start + 80, flags: 0,
                    content: [UInt8](5, (1 << 20) - Int(start) - 80)))
        }
        let before = metadata(of: file)
        let writer = try ImageWriter(file)
        try writer.setMark(Self.mark)
        #expect(file.peek(UInt32.self, at: Self.metadata + 32 + 6 * 32 + 16) == 65536 + 40)
        try writer.removeMark()
        try writer.close()
        #expect(metadata(of: file) == before)
    }

    @Test("Without room for a mark the file stays as it is")
    func noRoom() throws {
        let unknown = "deadbeef-0000-4000-8000-000000000003"
        let fullRegion = image {
            $0.metadataItems.append(
                .init(
                    identifier: unknown, offset: 65536 + 60, flags: 0,
                    content: [UInt8](5, (1 << 20) - 65536 - 60)))
        }
        let fullTable = image { builder in
            builder.metadataItems += (5..<2047).map { index in
                .init(
                    identifier: "00000000-0000-4000-8000-00000000"
                        + String(index + 0x1000, radix: 16),
                    offset: 0, flags: 0, content: [])
            }
        }
        for (file, what) in [(fullRegion, "region"), (fullTable, "table")] {
            let before = file.content
            let writer = try ImageWriter(file)
            #expect(
                throws: VHDXError.unsupported(
                    "its metadata \(what) has no room for a mark", path: path)
            ) { try writer.setMark(Self.mark) }
            #expect(writer.mark == nil)
            writer.abandon()
            #expect(file.content == before)
        }
    }

    @Test("Partially present blocks keep what they need across the mark")
    func partialBlocks() throws {
        let file = image(kind: .differencing)
        let parent = try RuleExample.parent()
        let writer = try ImageWriter(file, parent: parent)
        try writer.fill(3, count: 512, at: 4 << 20)
        try writer.setMark(Self.mark)
        try writer.fill(4, count: 512, at: (4 << 20) + 1024)
        try writer.removeMark()
        try writer.fill(5, count: (1 << 20) - 2048, at: (4 << 20) + 2048)
        try writer.close()
        let reader = try ImageReader(file, parent: parent)
        let sectors = try reader.bytes(at: 4 << 20, count: 5 * 512)
        for (sector, value) in ([3, 9, 4, 9, 5] as [UInt8]).enumerated() {
            #expect(Array(sectors[sector * 512..<sector * 512 + 512]).consists(of: value))
        }
    }

    @Test("A damaged copy of the region table is whole after marking too")
    func repairs() throws {
        let file = image()
        file.damage(at: (192 << 10) + 20)
        let writer = try ImageWriter(file)
        try writer.setMark(Self.mark)
        try writer.close()
        let tables = RegionTable.positions.map { file.peek(at: $0, count: RegionTable.byteCount) }
        #expect(tables[0] == tables[1])
    }

    @Test("After an error in the midst of marking, the session marks no more, and the log says it")
    func brokenSession() throws {
        let memory = image()
        // The second write is that of the first page: the first is the log entry's.
        let file = FailingFile(memory)
        let writer = try ImageWriter(file)
        try writer.fill(1, count: 512, at: 0)
        try writer.commit()
        file.follow(.init(failing: 1, of: [.write], errno: EIO, partialByteCount: 100))
        #expect(throws: VHDXError.self) { try writer.setMark(Self.mark) }
        file.follow(nil)
        #expect(writer.mark == nil)
        #expect(throws: VHDXError.self) { try writer.setMark(Self.mark) }
        #expect(throws: VHDXError.self) { try writer.commit() }
        writer.abandon()
        expectMarked(memory)
    }
}
