import Storage
import TestSupport
import Testing

@testable import VHDX

/// Images whose log must be replayed: read with the log in memory, and opened for writing.
@Suite("Log replay")
struct LogReplayTests {
    private typealias Entry = ImageBuilder.LogEntry
    private static let guid = "0a0b0c0d-1111-4222-8333-444455556666"
    private static let otherGUID = "0a0b0c0d-1111-4222-8333-444455557777"
    private static let bat: UInt64 = 3 << 20

    /// A page of the BAT with payload blocks at places given in MiB.
    private func page(_ places: [UInt64: UInt64]) -> [UInt8] {
        var page = [UInt8](0, 4096)
        for (block, place) in places {
            let entry = ImageBuilder.bytes(place << 20 | 6)
            page.replaceSubrange(Int(block) * 8..<Int(block) * 8 + 8, with: entry)
        }
        return page
    }

    private func entry(
        at position: UInt64, _ sequenceNumber: UInt64, tail: UInt32? = nil, guid: String = guid,
        flushed: UInt64 = 4 << 20, last: UInt64 = 16 << 20,
        _ descriptors: [ImageBuilder.LogEntry.Descriptor]
    ) -> ImageBuilder.LogEntry {
        Entry(
            at: position, sequenceNumber: sequenceNumber, tail: tail, logGUID: guid,
            flushedFileOffset: flushed, lastFileOffset: last, descriptors)
    }

    private func image(
        _ entries: [ImageBuilder.LogEntry], logLength: UInt32 = 1 << 20,
        _ change: (inout ImageBuilder) -> Void = { _ in }
    ) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        builder.useLog(Self.guid, entries)
        if logLength != 1 << 20 {
            for slot in builder.headers.indices {
                builder.headers[slot]?.logOffset = 32 << 20
                builder.headers[slot]?.logLength = logLength
            }
        }
        builder.fileSize = 16 << 20
        change(&builder)
        let file = builder.build()
        // What blocks at 4, 5, ... 15 MiB read as.
        for place in 4..<16 as Range<UInt64> { file.put(UInt8(place), at: place << 20) }
        return file
    }

    /// The first byte of each payload block, by a reader and after replay on disk, which must agree.
    private func blocks(of file: MemoryFile) throws -> [UInt8] {
        let before = file.content
        let reader = try ImageReader(file)
        let inMemory = try (0..<8).map { try reader.bytes(at: UInt64($0) << 20, count: 1)[0] }
        #expect(reader.info.logIsDirty)
        #expect(file.content == before, "a reader changes no byte")
        let old = reader.info

        let writer = try ImageWriter(file)
        let onDisk = try (0..<8).map { try writer.bytes(at: UInt64($0) << 20, count: 1)[0] }
        try writer.close()
        #expect(inMemory == onDisk)
        let replayed = try ImageReader(file).info
        #expect(!replayed.logIsDirty)
        #expect(replayed.dataWriteGUID == old.dataWriteGUID, "content did not change")
        #expect(replayed.fileWriteGUID != old.fileWriteGUID, "the file did")
        #expect(replayed.headerSequenceNumber == old.headerSequenceNumber + 4)
        #expect(try (0..<8).map { try content(of: file, at: $0 << 20, count: 1)[0] } == onDisk)
        return onDisk
    }

    @Test("An entry's page replaces what stands in the file")
    func onePage() throws {
        let file = image([entry(at: 0, 7, [.data(at: Self.bat, page([0: 4, 5: 6]))])])
        #expect(try blocks(of: file) == [4, 0, 0, 0, 0, 6, 0, 0])
    }

    @Test("All bytes of a page come back from descriptor and data sector")
    func wholePage() throws {
        var generator = SeededGenerator(seed: 21)
        let bytes = generator.bytes(count: 4096)
        // Behind the last entry of the table nothing is looked at.
        let file = image([entry(at: 0, 7, [.data(at: Self.bat + 8192, bytes)])])
        try ImageWriter(file).close()
        #expect(file.peek(at: Self.bat + 8192, count: 4096) == bytes)
    }

    @Test("An empty log is nothing to replay, whatever stands in it")
    func cleanLog() throws {
        let file = image([entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))])])
        file.patchHeaders(0 as UInt64, at: 48)
        file.patchHeaders(0 as UInt64, at: 56)
        #expect(try content(of: file, at: 0, count: 1) == [0])
        #expect(try !info(of: file).logIsDirty)
        let before = file.content
        try ImageWriter(file).close()
        #expect(file.content == before)
    }

    @Test("A log without a valid entry is not cleared but refused")
    func noEntry() {
        let refused = VHDXError.noValidLogEntry(path: path, at: 1 << 20)
        #expect(refusal(of: image([])) == refused)
        let stale = image([entry(at: 0, 7, guid: Self.otherGUID, [])])
        #expect(refusal(of: stale) == refused)
    }

    @Test("A log of a later version, or without bytes, is refused when it must be replayed")
    func header() {
        let file = image([entry(at: 0, 7, [])])
        file.patchHeaders(1 as UInt16, at: 64)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .header, field: "log version", value: 1, path: path, at: 131_072))
        let noBytes = image([entry(at: 0, 7, [])])
        noBytes.patchHeaders(0 as UInt32, at: 68)
        #expect(
            refusal(of: noBytes)
                == .invalidField(.header, field: "log length", value: 0, path: path, at: 131_072))
        let clean = image([])
        clean.patchHeaders(0 as UInt64, at: 48)
        clean.patchHeaders(0 as UInt64, at: 56)
        clean.patchHeaders(1 as UInt16, at: 64)
        #expect(refusal(of: clean) == nil, "the version of an empty log does not matter")
    }

    @Test("The newest of several sequences counts, wherever it lies")
    func newestSequence() throws {
        let first = entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))])
        let second = entry(at: 8192, 9, [.data(at: Self.bat, page([1: 5]))])
        let third = entry(at: 65536, 8, [.data(at: Self.bat, page([2: 6]))])
        #expect(try blocks(of: image([first, second, third])) == [0, 5, 0, 0, 0, 0, 0, 0])
    }

    @Test("A sequence is replayed in order, and its later pages win")
    func sequence() throws {
        let entries = [
            entry(at: 0, 7, tail: 0, [.data(at: Self.bat, page([0: 4]))]),
            entry(at: 8192, 8, tail: 0, [.data(at: Self.bat, page([0: 4, 1: 5]))]),
            entry(at: 16384, 9, tail: 0, [.data(at: Self.bat, page([0: 4, 1: 6]))]),
        ]
        #expect(try blocks(of: image(entries)) == [4, 6, 0, 0, 0, 0, 0, 0])
    }

    @Test("Entries before the tail are not replayed again")
    func tailNotFirst() throws {
        // The old entry would put block 7 in; its space may be another's since.
        let old = [.data(at: Self.bat + 4096, [UInt8](0xBB, 4096))] as [Entry.Descriptor]
        let entries = [
            entry(at: 0, 7, tail: 0, old),
            entry(at: 8192, 8, tail: 8192, [.data(at: Self.bat, page([0: 4]))]),
            entry(at: 16384, 9, tail: 8192, [.zero(at: Self.bat + 8192, count: 4096)]),
        ]
        let file = image(entries)
        #expect(try blocks(of: file) == [4, 0, 0, 0, 0, 0, 0, 0])
        #expect(file.peek(at: Self.bat + 4096, count: 4096) == [UInt8](0, 4096))
    }

    @Test("A sequence that does not hold its own tail does not count")
    func tailOutside() throws {
        let valid = entry(at: 65536, 5, [.data(at: Self.bat, page([3: 7]))])
        let invalid = entry(at: 0, 9, tail: 131_072, [.data(at: Self.bat, page([0: 4]))])
        #expect(try blocks(of: image([valid, invalid])) == [0, 0, 0, 7, 0, 0, 0, 0])
        #expect(
            refusal(of: image([invalid])) == .noValidLogEntry(path: path, at: 1 << 20))
        let inside = entry(at: 0, 9, tail: 4096, [.data(at: Self.bat, page([0: 4]))])
        #expect(
            refusal(of: image([inside])) == .noValidLogEntry(path: path, at: 1 << 20),
            "the middle of an entry is no start of one")
    }

    @Test("A gap in the numbers ends a sequence")
    func gap() throws {
        let entries = [
            entry(at: 0, 5, tail: 0, [.data(at: Self.bat, page([0: 4]))]),
            entry(at: 8192, 99, tail: 0, [.data(at: Self.bat, page([1: 5]))]),
        ]
        // 99 names as tail an entry of which it is no successor.
        #expect(try blocks(of: image(entries)) == [4, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("Entries that a torn write or an old session left are passed over")
    func staleAndTorn() throws {
        let entries = [
            entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))]),
            entry(at: 8192, 8, guid: Self.otherGUID, [.data(at: Self.bat, page([1: 5]))]),
            entry(at: 65536, 9, [.data(at: Self.bat, page([2: 6]))]),
        ]
        let file = image(entries)
        file.damage(at: (1 << 20) + 65536 + 4096 + 100)
        #expect(try blocks(of: file) == [4, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("No damaged byte of an entry goes unnoticed")
    func damagedEntry() throws {
        let old = entry(at: 65536, 6, [.data(at: Self.bat, page([3: 7]))])
        let new = entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))])
        let file = image([old, new])
        let places = Array(0..<128) + Array(stride(from: 128, to: 8192, by: 97)) + [4096, 8191]
        for index in places {
            let damaged = MemoryFile(content: file.content)
            damaged.damage(at: (1 << 20) + UInt64(index), bits: 1)
            let reader = try ImageReader(damaged)
            #expect(try reader.bytes(at: 0, count: 1) == [0], "byte \(index)")
            #expect(try reader.bytes(at: 3 << 20, count: 1) == [7], "byte \(index)")
        }
    }

    @Test("An entry may cross the end of the ring, at any sector of it")
    func wrapping() throws {
        // Header, then three data sectors: the end of the log comes after 1, 2, 3.
        for sectors in 1...4 as ClosedRange<UInt64> {
            let wrapped = entry(
                at: (1 << 20) - sectors * 4096, 7,
                [
                    .data(at: Self.bat, page([0: 4, 1: 5])),
                    .data(at: Self.bat + 4096, [UInt8](1, 4096)),
                    .data(at: Self.bat + 8192, [UInt8](2, 4096)),
                ])
            let file = image([wrapped])
            #expect(try blocks(of: file) == [4, 5, 0, 0, 0, 0, 0, 0])
            #expect(file.peek(at: Self.bat + 4096, count: 1) == [1])
            #expect(file.peek(at: Self.bat + 8192 + 4095, count: 1) == [2])
        }
    }

    @Test("A sequence may cross the end of the ring, with its tail far back")
    func wrappedSequence() throws {
        // Windows moves the tail rarely: here 108 of 128 places are in use, from place 100 on.
        let entries = (0..<108).map { index in
            let position = UInt64((100 + index) % 128) * 8192
            return entry(
                at: position, 1000 + UInt64(index), tail: 100 * 8192,
                [.data(at: Self.bat, page([0: 4, 1: UInt64(5 + index % 8)]))])
        }
        #expect(try blocks(of: image(entries)) == [4, UInt8(5 + 107 % 8), 0, 0, 0, 0, 0, 0])
    }

    @Test("An entry has up to 126 descriptors in its first sector, and more in others")
    func manyDescriptors() throws {
        for count in [125, 126, 127, 128, 240] {
            var descriptors: [Entry.Descriptor] = (0..<count).map { index in
                .data(at: Self.bat + 4096 + UInt64(index) * 4096, [UInt8](UInt8(index % 251), 4096))
            }
            descriptors.append(.data(at: Self.bat, page([0: 4])))
            let file = image([entry(at: 4096, 7, descriptors)])
            #expect(try blocks(of: file)[0] == 4, "\(count)")
            for index in 0..<count {
                let offset = Self.bat + 4096 + UInt64(index) * 4096
                #expect(file.peek(at: offset, count: 4096) == [UInt8](UInt8(index % 251), 4096))
            }
        }
    }

    // MARK: Zero descriptors

    @Test("A zero descriptor clears a range, and order counts against pages")
    func zeroDescriptors() throws {
        func image(_ descriptors: [Entry.Descriptor]) -> MemoryFile {
            self.image([entry(at: 0, 7, descriptors)]) { $0.addBlock(2, at: 9 << 20) }
        }
        let zero = Entry.Descriptor.zero(at: Self.bat, count: 65536)
        let data = Entry.Descriptor.data(at: Self.bat, page([0: 4]))
        #expect(try blocks(of: image([zero])) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(try blocks(of: image([zero, data])) == [4, 0, 0, 0, 0, 0, 0, 0])
        #expect(try blocks(of: image([data, zero])) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(
            try blocks(of: image([.zero(at: Self.bat + 4096, count: 4096)]))
                == [0, 0, 9, 0, 0, 0, 0, 0])
        #expect(
            try blocks(of: image([.zero(at: Self.bat, count: 0)])) == [0, 0, 9, 0, 0, 0, 0, 0],
            "no bytes are no change")
    }

    // MARK: The size of the file

    @Test("Replay makes the file as long as the newest entry says")
    func growth() throws {
        let data = [.data(at: Self.bat, page([0: 30]))] as [Entry.Descriptor]
        let file = image([entry(at: 0, 7, last: 36 << 20, data)])
        #expect(try info(of: file).fileSize == 36 << 20)
        #expect(try blocks(of: file) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(file.content.byteCount == 36 << 20)
        let small = image([entry(at: 0, 7, last: 4 << 20, [])])
        _ = try blocks(of: small)
        #expect(small.content.byteCount == 16 << 20, "it never shrinks")
    }

    @Test("A file that is shorter than it was when the entry was written lost something")
    func flushedFileOffset() {
        let file = image([entry(at: 0, 7, flushed: 17 << 20, last: 17 << 20, [])])
        #expect(
            refusal(of: file)
                == .truncated(.log, path: path, at: 17 << 20, fileSize: 16 << 20))
        let windows8 = image([entry(at: 0, 7, flushed: 0, [])])
        #expect(refusal(of: windows8) == nil)
    }

    // MARK: Hostile logs

    @Test("An entry that changes headers, the log, or what lies nowhere is invalid")
    func forbiddenTargets() {
        let page = [UInt8](0xAA, 4096)
        let cases: [Entry.Descriptor] = [
            .data(at: 0, page), .data(at: 65536, page), .data(at: 131_072, page),
            .data(at: (192 << 10) - 4096, page), .zero(at: 65536, count: 4096),
            .zero(at: 0, count: 1 << 30), .data(at: 1 << 20, page),
            .data(at: (2 << 20) - 4096, page), .zero(at: 768 << 10, count: 1 << 20),
            .data(at: 16 << 20, page), .data(at: 1 << 62, page),
            .data(at: 0xFFFF_FFFF_FFFF_F000, page), .zero(at: 8192 << 20, count: .max - 4095),
            .zero(at: 4096 << 20, count: 1 << 50), .data(at: Self.bat + 512, page),
            .zero(at: Self.bat + 512, count: 4096), .zero(at: Self.bat, count: 512),
        ]
        for descriptor in cases {
            #expect(
                refusal(of: image([entry(at: 0, 7, [descriptor])]))
                    == .noValidLogEntry(path: path, at: 1 << 20), "\(descriptor)")
        }
    }

    @Test("Fields of an entry header that cannot be are noticed before they do harm")
    func forbiddenFields() {
        // Field, and values that no valid entry of two sectors has.
        let cases: [(Int, [UInt32])] = [
            (8, [0, 4095, 4096, 8191, 12288, 1 << 20, .max]), (12, [1, 1 << 20, .max]),
            (24, [0, 2, 127, 1 << 31, .max]),
        ]
        for (field, values) in cases {
            for value in values {
                let file = image([entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))])])
                file.patch(value, at: field, in: 1 << 20, count: 8192)
                #expect(
                    refusal(of: file) == .noValidLogEntry(path: path, at: 1 << 20),
                    "\(value) at \(field)")
            }
        }
        let zero = image([entry(at: 0, 0, [])])
        #expect(refusal(of: zero) == .noValidLogEntry(path: path, at: 1 << 20))
        var other = entry(at: 0, 7, [.data(at: Self.bat, page([0: 4]))])
        other.dataSequenceNumber = 8
        #expect(refusal(of: image([other])) == .noValidLogEntry(path: path, at: 1 << 20))
        let far = image([entry(at: 0, 7, last: 1 << 62, [])])
        #expect(refusal(of: far) == .noValidLogEntry(path: path, at: 1 << 20))
    }

    @Test("A log full of entries that lead nowhere is read a bounded number of times")
    func slowLog() {
        // Every sector starts an entry that claims half of the log; none is complete.
        let file = image([])
        for sector in 0..<256 as Range<UInt64> {
            let stub = entry(at: sector * 4096, sector + 1, [])
            file.put(stub.encoded, at: (1 << 20) + sector * 4096)
            file.put((128 * 4096) as UInt32, at: (1 << 20) + sector * 4096 + 8)
        }
        file.resetCounts()
        #expect(readingRefusal(of: file) == .noValidLogEntry(path: path, at: 1 << 20))
        #expect(file.counts.reads < 10_000)
        // Every sector is an entry, and all together go round in a circle.
        let circle = image([])
        for sector in 0..<256 as Range<UInt64> {
            let stub = entry(at: sector * 4096, sector + 1, tail: 0, [])
            circle.put(stub.encoded, at: (1 << 20) + sector * 4096)
        }
        circle.resetCounts()
        _ = readingRefusal(of: circle)
        #expect(circle.counts.reads < 10_000)
    }

    @Test("A log that makes no image of the file is not replayed")
    func replayMakesNoImage() {
        let file = image([entry(at: 0, 7, [.data(at: Self.bat, [UInt8](0xFF, 4096))])])
        #expect(
            refusal(of: file)
                == .invalidField(
                    .blockAllocationTable, field: "reserved bits", value: .max, path: path,
                    at: Self.bat))
    }

    @Test("Region tables and metadata are read through the log too")
    func replayOfEverything() throws {
        let clean = ImageBuilder(virtualSize: 8 << 20).build()
        func pages(_ start: UInt64, _ count: Int) -> [Entry.Descriptor] {
            (0..<count).map { index in
                let offset = start + UInt64(index) * 4096
                return .data(at: offset, clean.peek(at: offset, count: 4096))
            }
        }
        let descriptors =
            pages(192 << 10, 32) + pages(2 << 20, 17) + [.data(at: Self.bat, page([0: 4]))]
        let file = image([entry(at: 0, 7, descriptors)])
        file.put([UInt8](0xEE, 128 << 10), at: 192 << 10)
        file.put([UInt8](0xEE, 70_000), at: 2 << 20)
        #expect(try blocks(of: file)[0] == 4)
    }

    // MARK: Crashes

    @Test("Replay that a power cut ends at any point is replayed again")
    func powerCuts() throws {
        let entries = [
            entry(at: 0, 7, tail: 0, last: 20 << 20, [.zero(at: Self.bat, count: 8192)]),
            entry(
                at: 4096, 8, tail: 0, last: 20 << 20,
                [
                    .data(at: Self.bat, page([0: 4, 1: 5])),
                    .data(at: Self.bat + 4096, [UInt8](1, 4096)),
                ]),
        ]
        let base = image(entries) { $0.addBlock(2, at: 9 << 20) }
        let file = PowerCutFile(content: base.content)
        _ = try ImageWriter(file).geometry
        file.mark("replayed")
        var dirty: Set<Bool> = []
        try file.forEachCrashState(of: "log replay", seed: 31) { state in
            #expect(try errorFound(in: state.file) == nil, "\(state.description)")
            let reader = try ImageReader(state.file)
            let bytes = try (0..<4).map { try reader.bytes(at: UInt64($0) << 20, count: 1)[0] }
            #expect(bytes == [4, 5, 0, 0], "\(state.description)")
            if state.marks == ["replayed"] { #expect(!reader.info.logIsDirty) }
            dirty.insert(reader.info.logIsDirty)
        }
        #expect(dirty == [true, false])
    }

    @Test("Replay in which any call fails leaves an image that reads the same")
    func failures() throws {
        let entries = [
            entry(at: 0, 7, last: 20 << 20, [.data(at: Self.bat, page([0: 4, 1: 5]))])
        ]
        let base = image(entries).content
        let counting = FailingFile(MemoryFile(content: base))
        _ = try ImageWriter(counting).geometry
        #expect(counting.callCount > 5)
        print("failing calls: log replay: \(counting.callCount)")
        for index in 0..<counting.callCount {
            let memory = MemoryFile(content: base)
            let plan = FailingFile.Plan(failing: index, errno: 5, partialByteCount: 1000)
            #expect(throws: VHDXError.self, "call \(index)") {
                _ = try ImageWriter(FailingFile(memory, plan: plan)).geometry
            }
            let bytes = try content(of: memory, at: 0, count: 1)
            #expect(bytes == [4], "call \(index)")
            #expect(try content(of: memory, at: 1 << 20, count: 1) == [5], "call \(index)")
        }
    }
}
