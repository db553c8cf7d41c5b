import Storage
import TestSupport
import Testing

@testable import VHDX

/// The mark as it stands in the file, and who refuses it.
@Suite("Apply mark: structure and refusals")
struct ApplyMarkTests {
    private static let position: UInt64 = 2 << 20 | 65536 + 8192

    private func image(
        _ mark: ImageBuilder.Mark = ImageBuilder.Mark(),
        _ change: (inout ImageBuilder) -> Void = { _ in }
    ) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        builder.addBlock(0, content: [UInt8](7, 4096))
        builder.addMark(mark)
        change(&builder)
        return builder.build()
    }

    private func mark(_ mark: ImageBuilder.Mark = ImageBuilder.Mark()) throws -> ApplyMark {
        ApplyMark(
            streamID: try #require(GUID(mark.streamID)),
            journalPath: String(decoding: mark.journalPath, as: UTF8.self))
    }

    @Test("A mark reads back as it was encoded, and stands on disk as the builder has it")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 1)
        for count in [0, 1, 14, 4095, 4096] {
            var built = ImageBuilder.Mark()
            built.streamID = "\(GUID.random(using: &generator))"
            built.journalPath = (0..<count).map { _ in
                UInt8.random(in: 32..<127, using: &generator)
            }
            let mark = try mark(built)
            #expect(try mark.encoded(for: path) == built.encoded)
            let bytes = built.encoded
            #expect(try ApplyMark(decoding: bytes.rawSpan, of: path, at: 0) == mark)
        }
        let foreign = ApplyMark(streamID: .zero, journalPath: "/Größe/日本.resync")
        let bytes = try foreign.encoded(for: path)
        #expect(try ApplyMark(decoding: bytes.rawSpan, of: path, at: 0) == foreign)
    }

    @Test("A path that is none cannot be marked with")
    func pathsThatAreNone() {
        for text in [String(repeating: "a", count: 4097), "/a\0b"] {
            let mark = ApplyMark(streamID: .zero, journalPath: text)
            #expect(
                throws: VHDXError.unsupported(
                    "a mark with a journal path of \(text.utf8.count) bytes, which is no path",
                    path: path)
            ) { try mark.encoded(for: path) }
        }
    }

    /// Expects that nothing opens the image, nor where marks are accepted.
    private func expectInvalid(
        _ field: String, _ value: UInt64, at offset: UInt64 = 0, in file: MemoryFile,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = VHDXError.invalidField(
            .applyMark, field: field, value: value, path: path, at: Self.position + offset)
        #expect(refusal(of: file) == error, sourceLocation: sourceLocation)
        #expect(throws: error, sourceLocation: sourceLocation) {
            _ = try ImageReader(file, acceptsMark: true).geometry
        }
        #expect(throws: error, sourceLocation: sourceLocation) {
            _ = try ImageWriter(file, acceptsMark: true).geometry
        }
    }

    @Test("A mark that cannot be read is refused also where marks are accepted")
    func forbiddenValues() {
        for version in [0, 2, .max] as [UInt32] {
            var mark = ImageBuilder.Mark()
            mark.version = version
            expectInvalid("version", UInt64(version), in: image(mark))
        }
        for count in [0, 13, 15, 4097, .max] as [UInt32] {
            var mark = ImageBuilder.Mark()
            mark.pathByteCount = count
            expectInvalid("path byte count", UInt64(count), at: 4, in: image(mark))
        }
        var long = ImageBuilder.Mark()
        long.journalPath = [UInt8](0x61, 4097)
        expectInvalid("path byte count", 4097, at: 4, in: image(long))
        for bytes in [[0], [0x61, 0], [0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]] {
            var mark = ImageBuilder.Mark()
            mark.journalPath = bytes
            expectInvalid(
                "journal path that is no text, bytes", UInt64(bytes.count), at: 24,
                in: image(mark))
        }
        for flags in [0, 2, 6, 12] as [UInt32] {
            var mark = ImageBuilder.Mark()
            mark.flags = flags
            expectInvalid("flags", UInt64(flags), in: image(mark))
        }
        for length in [1, 23] as [UInt32] {
            expectInvalid(
                "length", UInt64(length),
                in: image { $0.metadataItems[5].length = length })
        }
    }

    @Test("Each byte of the item that is damaged is refused, or is another mark")
    func damagedBytes() throws {
        let intact = try mark()
        for offset in 0..<UInt64(ImageBuilder.Mark().encoded.count) {
            let file = image()
            file.damage(at: Self.position + offset)
            switch refusal(of: file) {
            case .invalidField(.applyMark, _, _, _, _): break
            case .unfinishedApply(_, let mark): #expect(mark != intact, "byte \(offset)")
            case let other: Issue.record("byte \(offset): \(String(describing: other))")
            }
        }
    }

    @Test("A user's item of that name is no mark")
    func userItem() throws {
        var mark = ImageBuilder.Mark()
        mark.flags = 1
        let file = image(mark)
        #expect(refusal(of: file) == nil)
        #expect(try ImageReader(file).mark == nil)
    }

    @Test("Readers and writers refuse a half-written image, and know it where they accept it")
    func refused() throws {
        let mark = try mark()
        let file = image()
        let error = VHDXError.unfinishedApply(path: path, mark: mark)
        #expect(refusal(of: file) == error)
        #expect(
            "\(error)" == "\(path) is half-written: an apply from /a.vhdx.resync was interrupted")
        let reader = try ImageReader(file, acceptsMark: true)
        #expect(reader.mark == mark && reader.info.mark == mark)
        #expect(try reader.bytes(at: 0, count: 4096).consists(of: 7))
        let writer = try ImageWriter(file, acceptsMark: true)
        #expect(writer.mark == mark)
        try writer.close()
        #expect(refusal(of: file) == error, "closing does not unmark")
        #expect(try ImageDescription(file).info.mark == mark)
    }

    @Test("What came to no end is said by what is known of it")
    func descriptions() throws {
        let stream = try #require(GUID(ImageBuilder.streamID))
        #expect(
            ApplyMark(streamID: stream, journalPath: "").description
                == "an apply from delta stream \(stream) was interrupted")
        #expect(
            ApplyMark(streamID: .zero, journalPath: "").description
                == "a resynchronization in place was interrupted")
    }

    @Test("A damaged table of blocks does not hide that the image is half-written")
    func markComesFirst() throws {
        let file = image { $0.rawBATEntries[1] = 4 }
        #expect(refusal(of: file) == .unfinishedApply(path: path, mark: try mark()))
        let rules = try ImageCheck(file).findings.map(\.rule)
        #expect(rules == [.unfinishedApply, .tableState])
    }

    @Test("A mark that only the log holds is seen by all, and the log not replayed")
    func markInTheLog() throws {
        let base = ImageBuilder(virtualSize: 8 << 20).build()
        let file = MemoryFile(content: base.content)
        let mark = try mark()
        let writer = try ImageWriter(file)
        try writer.setMark(mark)
        // As if the pages had not been written yet.
        let crashed = MemoryFile(content: file.content)
        crashed.put(base.peek(at: 2 << 20, count: 1 << 20), at: 2 << 20)
        writer.abandon()
        #expect(refusal(of: crashed) == .unfinishedApply(path: path, mark: mark))
        let reader = try ImageReader(crashed, acceptsMark: true)
        #expect(reader.mark == mark && reader.info.logIsDirty)
        try ImageWriter(crashed, acceptsMark: true).close()
        #expect(refusal(of: crashed) == .unfinishedApply(path: path, mark: mark))
        #expect(try !ImageReader(crashed, acceptsMark: true).info.logIsDirty)
    }

    @Test("A half-written parent is refused by its name, however it was opened")
    func parent() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        builder.addMark()
        let name = "/memory/parent.vhdx"
        let parent = ImageParent(
            try ImageReader(builder.build(name: name), acceptsMark: true))
        var child = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        child.addLocator()
        let file = child.build()
        let error = VHDXError.unfinishedApply(path: name, mark: try mark())
        #expect(throws: error) { _ = try ImageReader(file, parent: parent).geometry }
        #expect(throws: error) {
            _ = try ImageWriter(file, parent: parent, acceptsMark: true).geometry
        }
    }

    @Test("In a chain of files the half-written parent is named, and a marked child is a child")
    func chain() throws {
        let folder = try TemporaryFolder()
        var parent = ImageBuilder(virtualSize: 8 << 20)
        var child = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        child.addLocator()
        child.addMark()
        for slot in [0, 1] {
            child.headers[slot]?.dataWriteGUID = "bbbbbbbb-0000-4ccc-8ddd-eeeeeeeeeeee"
        }
        let childPath = folder.file("child.vhdx")
        try parent.build().save(to: folder.file("parent.vhdx"))
        try child.build().save(to: childPath)
        #expect(
            try ImageReader(openingImageAt: folder.file("parent.vhdx")).visibleChild()
                == childPath)

        let other = try TemporaryFolder()
        parent.addMark()
        child.metadataItems.removeAll { $0.identifier == ImageBuilder.applyMark }
        try parent.build().save(to: other.file("parent.vhdx"))
        try child.build().save(to: other.file("child.vhdx"))
        let error = VHDXError.unfinishedApply(path: other.file("parent.vhdx"), mark: try mark())
        for accepts in [false, true] {
            #expect(throws: error) {
                _ = try ImageReader(
                    openingImageAt: other.file("child.vhdx"), acceptsMark: accepts
                ).geometry
            }
            #expect(throws: error) {
                _ = try ImageWriter(
                    openingImageAt: other.file("child.vhdx"), acceptsMark: accepts
                ).geometry
            }
        }
        let description = try ImageDescription(ofImageAt: other.file("child.vhdx"))
        #expect(description.parents == [.missing("\(error)")])
    }
}
