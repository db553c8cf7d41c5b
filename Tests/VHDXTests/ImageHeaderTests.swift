import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("Image header")
struct ImageHeaderTests {
    private func randomHeader(_ generator: inout SeededGenerator) -> ImageHeader {
        ImageHeader(
            sequenceNumber: generator.next(), fileWriteGUID: .random(using: &generator),
            dataWriteGUID: .random(using: &generator), logGUID: .random(using: &generator),
            logVersion: UInt16(truncatingIfNeeded: generator.next()),
            logLength: UInt32(truncatingIfNeeded: generator.next()), logOffset: generator.next())
    }

    private func encoded(_ header: ImageHeader) -> [UInt8] {
        // Old bytes must not shine through.
        var bytes = [UInt8](0xEE, ImageHeader.byteCount)
        bytes.withMutableRawSpan { header.encode(into: &$0) }
        return bytes
    }

    @Test("A header leads through its bytes to itself")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<50 {
            let header = randomHeader(&generator)
            let bytes = encoded(header)
            let decoded = try ImageHeader(decoding: bytes.rawSpan, of: path, at: 65536)
            #expect(decoded == header, "seed 1")
        }
    }

    @Test("The bytes are those of an encoder that shares no code")
    func oracle() throws {
        var stored = ImageBuilder.Header(sequenceNumber: 0x1122_3344_5566_7788)
        stored.logGUID = "01234567-89ab-4cde-8f01-23456789abcd"
        stored.logVersion = 0x3344
        stored.logLength = 5 << 20
        stored.logOffset = 7 << 20
        let header = ImageHeader(
            sequenceNumber: 0x1122_3344_5566_7788,
            fileWriteGUID: try #require(GUID(stored.fileWriteGUID)),
            dataWriteGUID: try #require(GUID(stored.dataWriteGUID)),
            logGUID: try #require(GUID(stored.logGUID)), logVersion: 0x3344, logLength: 5 << 20,
            logOffset: 7 << 20)
        #expect(encoded(header) == ImageBuilder.encode(stored))
    }

    @Test("The first bytes are those of a header that Windows wrote")
    func windowsBytes() {
        let header = ImageHeader(
            sequenceNumber: 14,
            fileWriteGUID: GUID("8e90ea6d-b636-1c49-b7d4-35109e600c0c") ?? .zero,
            dataWriteGUID: .zero, logGUID: .zero, logVersion: 0, logLength: 1 << 20,
            logOffset: 1 << 20)
        let bytes = encoded(header)
        #expect(Array(bytes[0..<4]) == [0x68, 0x65, 0x61, 0x64])
        #expect(
            Array(bytes[8..<32]) == [
                0x0E, 0, 0, 0, 0, 0, 0, 0, 0x6D, 0xEA, 0x90, 0x8E, 0x36, 0xB6, 0x49, 0x1C, 0xB7,
                0xD4, 0x35, 0x10, 0x9E, 0x60, 0x0C, 0x0C,
            ])
    }

    @Test("Each damaged byte is noticed")
    func damage() {
        var generator = SeededGenerator(seed: 2)
        let bytes = encoded(randomHeader(&generator))
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &generator)
            do {
                _ = try ImageHeader(decoding: damaged.rawSpan, of: path, at: 65536)
                Issue.record("byte \(index), seed 2")
            } catch {
                switch error {
                case .wrongSignature(.header, path: path, at: 65536): #expect(index < 4)
                case .wrongChecksum(.header, path: path, at: 65536, stored: _, computed: _):
                    #expect(index >= 4)
                default: Issue.record("byte \(index): \(error)")
                }
            }
        }
    }

    @Test("Only version 1 is known", arguments: [0, 2, 0x100, 0xFFFF] as [UInt16])
    func version(_ version: UInt16) {
        var stored = ImageBuilder.Header(sequenceNumber: 1)
        stored.version = version
        let bytes = ImageBuilder.encode(stored)
        #expect(
            throws: VHDXError.invalidField(
                .header, field: "version", value: UInt64(version), path: path, at: 131_072)
        ) {
            try ImageHeader(decoding: bytes.rawSpan, of: path, at: 131_072)
        }
    }

    @Test("Bytes of another number are a mistake of the caller")
    func wrongSize() async {
        await #expect(processExitsWith: .failure) {
            let bytes = [UInt8](0, 4095)
            _ = try ImageHeader(decoding: bytes.rawSpan, of: path, at: 0)
        }
    }

    // MARK: Which copy counts

    private func image(_ first: UInt64?, _ second: UInt64?) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 1 << 20)
        builder.headers = [first, second].enumerated().map { slot, number in
            number.map { number in
                var header = ImageBuilder.Header(sequenceNumber: number)
                header.dataWriteGUID = "00000000-0000-4000-8000-00000000000\(slot + 1)"
                return header
            }
        }
        return builder.build()
    }

    @Test(
        "The valid copy with the larger number counts",
        arguments: [
            (7, 8, 2), (8, 7, 1), (nil, 0, 2), (0, nil, 1), (.max, 0, 1), (0, .max, 2),
            (1 << 63, (1 << 63) - 1, 1),
        ] as [(UInt64?, UInt64?, Int)])
    func current(first: UInt64?, second: UInt64?, expected: Int) throws {
        let file = image(first, second)
        let guid = try info(of: file).dataWriteGUID
        #expect(guid.description.hasSuffix("\(expected)"))
        #expect(try info(of: file).headerSequenceNumber == (expected == 1 ? first : second))
    }

    @Test("A damaged newer copy yields to the older one", arguments: [0, 1])
    func damagedCopy(slot: Int) throws {
        let file = image(slot == 0 ? 9 : 8, slot == 0 ? 8 : 9)
        file.damage(at: UInt64(slot + 1) << 16 | 2000)
        #expect(try info(of: file).headerSequenceNumber == 8)
        file.damage(at: UInt64(2 - slot) << 16 | 2000)
        let error = try #require(refusal(of: file))
        guard case .noValidCopy(.header, let first) = error,
            case .wrongChecksum(.header, path: path, at: 65536, stored: _, computed: _) = first
        else {
            Issue.record(error)
            return
        }
    }

    @Test("Equal numbers are right where the copies are equal, as disk2vhd writes them")
    func equalNumbers() throws {
        var builder = ImageBuilder(virtualSize: 1 << 20)
        builder.headers = [.init(sequenceNumber: 1), .init(sequenceNumber: 1)]
        #expect(refusal(of: builder.build()) == nil)
        #expect(refusal(of: image(1, 1)) == .ambiguous(.header, path: path, at: 65536))
    }

    @Test("A replacement writes the other slot, then this one, each flushed")
    func replacement() throws {
        let file = image(7, 8)
        var header = try CurrentHeader.read(from: file)
        let old = header.header
        file.resetCounts()
        try header.replace(in: file) { $0.fileWriteGUID = .zero }
        #expect(file.counts.writes == 2 && file.counts.flushes == 2)
        #expect(file.counts.bytesWritten == 8192, "a header is written whole")
        #expect(file.peek(UInt64.self, at: 65536 + 8) == 9)
        #expect(file.peek(UInt64.self, at: 131_072 + 8) == 10)
        #expect(try CurrentHeader.read(from: file) == header)
        var expected = old
        expected.fileWriteGUID = .zero
        expected.sequenceNumber = 10
        #expect(header.header == expected)
    }

    @Test("A power cut leaves the old header or the new one")
    func replacementPowerCut() throws {
        let file = PowerCutFile(content: image(7, 8).content)
        var header = try CurrentHeader.read(from: file)
        let old = header.header
        let new = GUID.random()
        try header.replace(in: file) { $0.dataWriteGUID = new }
        file.mark("done")
        var seen: Set<GUID> = []
        try file.forEachCrashState(of: "header", seed: 4) { state in
            #expect(try errorFound(in: state.file) == nil, "\(state.description)")
            let found = try CurrentHeader.read(from: state.file).header.dataWriteGUID
            #expect(found == old.dataWriteGUID || found == new, "\(state.description)")
            if state.marks == ["done"] { #expect(found == new) }
            seen.insert(found)
        }
        #expect(seen.count == 2)
    }

    @Test("A number at its end cannot be written past")
    func exhausted() throws {
        for number in [.max, .max - 1] as [UInt64] {
            let file = image(number, nil)
            var header = try CurrentHeader.read(from: file)
            #expect(throws: VHDXError.sequenceNumberExhausted(path: path)) {
                try header.replace(in: file) { $0.logGUID = .zero }
            }
            #expect(readingRefusal(of: file) == nil)
            let before = file.content
            let writer = try ImageWriter(file)
            #expect(throws: VHDXError.sequenceNumberExhausted(path: path)) {
                try writer.fill(1, count: 512, at: 0)
            }
            writer.abandon()
            #expect(file.content == before)
        }
    }
}
