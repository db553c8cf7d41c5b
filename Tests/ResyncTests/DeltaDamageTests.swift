import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: wrong files")
struct DeltaDamageTests {
    /// What reading a stream to its end comes to.
    enum Outcome: Equatable {
        case whole([DeltaEntry])
        case unfinished([DeltaEntry])
        case error(ResyncError)
    }

    /// A small stream with records of each kind, the last block of 8 bytes.
    static func smallStream() throws -> CraftedDelta {
        var context = try SHA256Context()
        var generator = SeededGenerator(seed: 1)
        let last: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        return try CraftedDelta(
            virtualSize: 8 * 4096 + 8, streamID: .random(using: &generator),
            records: [
                .run(0, blocks: 2, of: 7), .zeros(3..<5), .run(5, blocks: 1, of: 9), .zeros(7..<8),
                .data(8, digests: [context.digest(of: last.rawSpan)], payload: last),
            ])
    }

    private static func digest(ofBlockOf byte: UInt8) throws -> BlockDigest {
        var context = try SHA256Context()
        let block = [UInt8](repeating: byte, count: 4096)
        return context.digest(of: block.rawSpan)
    }

    private static let smallEntries: [DeltaEntry] = [
        .data(first: 0, content: [UInt8](repeating: 7, count: 8192)), .zeros(3..<5),
        .data(first: 5, content: [UInt8](repeating: 9, count: 4096)), .zeros(7..<8),
        .data(first: 8, content: [1, 2, 3, 4, 5, 6, 7, 8]),
    ]

    private func outcome(_ bytes: [UInt8]) throws -> Outcome {
        do {
            var reader = try DeltaReader(reading: ImmutableFile(bytes, name: "delta"))
            let isWhole = reader.trailer != nil
            let entries = try reader.entries()
            return isWhole ? .whole(entries) : .unfinished(entries)
        } catch let error as ResyncError {
            return .error(error)
        }
    }

    private func outcome(_ change: (inout CraftedDelta) throws -> Void) throws -> Outcome {
        var delta = try Self.smallStream()
        try change(&delta)
        return try outcome(delta.bytes)
    }

    private func damage(_ what: String, at offset: Int) -> Outcome {
        .error(.damagedDelta(path: "delta", what: what, at: UInt64(offset)))
    }

    @Test("The crafted stream is right")
    func isRight() throws {
        #expect(try outcome { _ in } == .whole(Self.smallEntries))
        #expect(try outcome { $0.hasTrailer = false } == .unfinished(Self.smallEntries))
    }

    @Test("Each bit of each byte of a finished stream counts")
    func eachBit() throws {
        let bytes = try Self.smallStream().bytes
        let trailer = bytes.count - 144
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << UInt8(bit)
                switch (index, try outcome(damaged)) {
                case (0..<16, .error(.notADelta(path: "delta"))): break
                case (16..<20, .error(.unsupportedDelta(path: "delta", _))): break
                case (20..<trailer, .error(.damagedDelta(path: "delta", _, _))): break
                // A trailer that is damaged is none.
                case (trailer..<trailer + 112, .unfinished(Self.smallEntries)): break
                case (trailer + 112..<bytes.count, .error(.damagedDelta(path: "delta", _, _))):
                    break
                case (_, let outcome): Issue.record("byte \(index), bit \(bit): \(outcome)")
                }
            }
        }
    }

    @Test("An unfinished stream ends before the record of which a bit is wrong")
    func eachBitUnfinished() throws {
        var delta = try Self.smallStream()
        delta.hasTrailer = false
        let bytes = try delta.bytes
        for index in 200..<bytes.count {
            let count = delta.ends.count { $0 <= index } - 1
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << UInt8(bit)
                let expected = Outcome.unfinished(Array(Self.smallEntries[..<count]))
                let isExpected = try outcome(damaged) == expected
                #expect(isExpected, "byte \(index), bit \(bit)")
            }
        }
    }

    @Test("Cut at each length, a stream has its whole records")
    func eachLength() throws {
        let delta = try Self.smallStream()
        let bytes = try delta.bytes
        for count in 0..<bytes.count {
            switch try outcome(Array(bytes[..<count])) {
            case .error(.notADelta(path: "delta")) where count < 16: break
            case damage("\(count) of the header's 200 bytes", at: count) where 16..<200 ~= count:
                break
            case .unfinished(let entries) where count >= 200:
                let whole = delta.ends.count { $0 <= count } - 1
                #expect(entries == Array(Self.smallEntries[..<whole]), "\(count) bytes")
            case let outcome: Issue.record("\(count) bytes: \(outcome)")
            }
        }
    }

    @Test("With bytes behind its trailer a stream is an unfinished one, and never a finished one")
    func trailingBytes() throws {
        let bytes = try Self.smallStream().bytes
        for count in 1...300 {
            let more = bytes + [UInt8](repeating: UInt8(count % 2 * 3), count: count)
            #expect(try outcome(more) == .unfinished(Self.smallEntries), "\(count) bytes")
        }
        let end = bytes.count - 144
        let message = "a record of kind 3"
        #expect(try outcome(bytes + bytes) == damage(message, at: end))
        #expect(try outcome(bytes + bytes.suffix(144)) == damage(message, at: end))
    }

    @Test("A version from the future is refused before anything behind it is looked at")
    func futureVersion() throws {
        for version in [0, 2, .max] as [UInt32] {
            let expected = ResyncError.unsupportedDelta(path: "delta", version: UInt64(version))
            #expect(try outcome { $0.version = version } == .error(expected))
            var delta = try Self.smallStream()
            delta.version = version
            #expect(try outcome(Array(delta.bytes[..<20])) == .error(expected))
        }
    }

    @Test("Another file is not a delta")
    func otherFiles() throws {
        let files: [[UInt8]] = [
            [], [0], Array("vhdxfile".utf8), [UInt8](repeating: 0, count: 4096),
            Array("vhdresyncmap\r\n\u{1A}\n and a map".utf8),
            Array("vhdresyncdlt\n\u{1A}\n and more text than the header".utf8),
        ]
        for bytes in files {
            #expect(try outcome(bytes) == .error(.notADelta(path: "delta")))
            #expect(try !DeltaStream.isDelta(ImmutableFile(bytes)))
        }
        #expect(try DeltaStream.isDelta(ImmutableFile(Self.smallStream().bytes)))
    }

    @Test("Each value of the header that is not allowed")
    func headerValues() throws {
        for size in [0, 1, 2048, 4095, 4097, 12288, 33_554_432, .max] as [UInt32] {
            #expect(try outcome { $0.blockSize = size } == damage("block size \(size)", at: 20))
        }
        for size in [1 << 63, .max] as [UInt64] {
            #expect(try outcome { $0.virtualSize = size } == damage("virtual size \(size)", at: 24))
        }
        for flags in [2, 3, 1 << 31, .max] as [UInt32] {
            #expect(try outcome { $0.flags = flags } == damage("flags \(flags)", at: 192))
        }
    }

    @Test("Kinds of records that there are not")
    func kinds() throws {
        let ends = try Self.smallStream().ends
        for kind in [0, 3, 4, .max] as [UInt32] {
            #expect(
                try outcome { $0.records[1].kind = kind }
                    == damage("a record of kind \(kind)", at: ends[1]))
        }
    }

    @Test("Counts and lengths that lie, none of which decides on memory")
    func lengths() throws {
        let ends = try Self.smallStream().ends
        for count in [0, 257, 65536, 1 << 31, 0xFFFF_FFFF] as [UInt64] {
            #expect(
                try outcome { $0.records[0].blockCount = count }
                    == damage("a record of \(count) blocks, expected 1 to 256", at: 216))
        }
        for length in [0, 8193, 1 << 20, 0xFFFF_FFFF] as [UInt64] {
            #expect(
                try outcome { $0.records[0].payloadLength = length }
                    == damage("a payload of \(length) bytes, expected 1 to 8192", at: 220))
        }
        let rest = try Self.smallStream().bytes.count - 144 - 200
        #expect(
            try outcome { $0.records[0].payloadLength = 8192 }
                == damage("a record of \(24 + 64 + 8192) bytes where there are \(rest)", at: 200))
        // In the short last block fewer bytes fit than in another.
        let payload = [UInt8](repeating: 0, count: 9)
        #expect(
            try outcome { $0.records[4] = .data(8, digests: [.zero], payload: payload) }
                == damage("a payload of 9 bytes, expected 1 to 8", at: ends[4] + 20))
        #expect(
            try outcome { $0.records[1].count = 0 }
                == damage("a record of 0 blocks", at: ends[1] + 16))
    }

    @Test("Blocks out of order, twice, or outside the disk")
    func order() throws {
        let ends = try Self.smallStream().ends
        for (first, index) in [(0, 1), (1, 1), (4, 2), (0, 4), (7, 4)] as [(UInt64, Int)] {
            let expected = [0, 2, 5, 0, 8][index]
            #expect(
                try outcome { $0.records[index].first = first }
                    == damage("block \(first), expected at least \(expected)", at: ends[index] + 8))
        }
        let repeated = damage("block 0, expected at least 2", at: ends[1] + 8)
        #expect(try outcome { $0.records.insert($0.records[0], at: 1) } == repeated)
        #expect(
            try outcome { $0.records.swapAt(1, 3) }
                == damage("block 5, expected at least 8", at: ends[2] + 8))
        for count in [7, 1 << 40, .max] as [UInt64] {
            #expect(
                try outcome { $0.records[1].count = count }
                    == damage(
                        "\(count) blocks from block 3 on, where the disk has 9", at: ends[1] + 8))
        }
        for first in [9, 1 << 51, .max] as [UInt64] {
            #expect(
                try outcome { $0.records[4].first = first }
                    == damage(
                        "1 blocks from block \(first) on, where the disk has 9", at: ends[4] + 8))
        }
    }

    @Test("What is wrong in a finished stream ends an unfinished one")
    func unfinished() throws {
        let changes: [(inout CraftedDelta) -> Void] = [
            { $0.records[2].kind = 3 }, { $0.records[2].first = 4 }, { $0.records[2].first = .max },
            { $0.records[2].blockCount = 0 }, { $0.records[2].blockCount = 300 },
            { $0.records[2].payloadLength = 0 }, { $0.records[2].payloadLength = 0xFFFF_FFFF },
            { $0.records[2].payloadLength += 1 }, { $0.records[2].payloadLength -= 1 },
        ]
        for (index, change) in changes.enumerated() {
            let result = try outcome { delta in
                change(&delta)
                delta.hasTrailer = false
            }
            #expect(result == .unfinished(Array(Self.smallEntries[..<2])), "change \(index)")
        }
    }

    @Test("Payloads that are no LZ4 block of their content, and content with another digest")
    func payloads() throws {
        let block = CraftedDelta.lz4Block(of: 9, count: 4096)
        let offset = try Self.smallStream().ends[2] + 24 + 32
        var shifted = block
        shifted[2] = 2
        for payload in [
            CraftedDelta.lz4Block(of: 9, count: 4097), CraftedDelta.lz4Block(of: 9, count: 4095),
            CraftedDelta.lz4Block(of: 9, count: 1 << 19), Array(block.dropLast()), block + [0],
            shifted, [0], [0xFF], [UInt8](repeating: 255, count: 4095),
        ] {
            let message =
                "a payload of \(payload.count) bytes that is no LZ4 block of 4096 bytes"
            let result = try outcome { delta in
                delta.records[2] = .data(5, digests: [.zero], payload: payload)
            }
            #expect(result == damage(message, at: offset))
        }

        let nine = try Self.digest(ofBlockOf: 9)
        let seven = try Self.digest(ofBlockOf: 7)
        #expect(
            try outcome { $0.records[2] = .data(5, digests: [seven], payload: block) }
                == damage("digest \(seven) of block 5, computed \(nine)", at: offset - 32))
        #expect(
            try outcome { delta in
                let payload = CraftedDelta.lz4Block(of: 7, count: 8192)
                delta.records[0] = .data(0, digests: [seven, nine], payload: payload)
            } == damage("digest \(nine) of block 1, computed \(seven)", at: 256))
    }

    @Test("Trailers that lie, and trailers of other streams")
    func trailers() throws {
        let end = try Self.smallStream().bytes.count - 144
        let names = [("records", 5), ("data blocks", 4), ("zero blocks", 3)]
        for (index, (name, count)) in names.enumerated() {
            for wrong in [0, UInt64(count) + 1, .max] {
                #expect(
                    try outcome { $0.counts[index] = wrong }
                        == damage(
                            "a count of \(wrong) \(name), where there are \(count)",
                            at: end + 8 + 8 * index))
            }
        }
        let unwanted = damage(
            "a root digest, of which the header says that there is none", at: end + 48)
        #expect(try outcome { $0.flags = 0 } == unwanted)
        let zeros = [UInt8](repeating: 0, count: 64)
        #expect(
            try outcome { delta in
                delta.flags = 0
                delta.roots = zeros
            } == .whole(Self.smallEntries))
        #expect(try outcome { $0.roots = zeros } == .whole(Self.smallEntries))
        // No trailer of this stream: what ends here was cut.
        let unfinished = Outcome.unfinished(Self.smallEntries)
        #expect(try outcome { $0.trailerID = .random() } == unfinished)
        for kind in [0, 1, 2, 4, .max] as [UInt32] {
            #expect(try outcome { $0.trailerKind = kind } == unfinished, "kind \(kind)")
        }
    }

    @Test("What was changed, its checksums put right, is found by the SHA-256 of the stream")
    func wrongStreamDigest() throws {
        let bytes = try Self.smallStream().bytes
        let changes: [(inout CraftedDelta) throws -> Void] = [
            { $0.states[3] ^= 1 }, { $0.roots[3] ^= 1 }, { $0.records[1] = .zeros(2..<4) },
            { $0.records[2] = try .run(5, blocks: 1, of: 8) },
        ]
        for (index, change) in changes.enumerated() {
            var delta = try Self.smallStream()
            try change(&delta)
            let mixed = try Array(delta.bytes.dropLast(32)) + bytes.suffix(32)
            guard case .error(.damagedDelta("delta", let what, at: let offset)) = try outcome(mixed)
            else {
                Issue.record("change \(index)")
                continue
            }
            #expect(what.hasPrefix("SHA-256") && Int(offset) == bytes.count - 32)
        }
    }

    @Test("An error stays, until reading starts again")
    func sticky() throws {
        var delta = try Self.smallStream()
        delta.records[1].first = 1
        var reader = try DeltaReader(reading: ImmutableFile(delta.bytes, name: "delta"))
        let error = ResyncError.damagedDelta(
            path: "delta", what: "block 1, expected at least 2", at: UInt64(delta.ends[1]) + 8)
        for _ in 0..<2 {
            #expect(try reader.next() != nil)
            for _ in 0..<2 { #expect(throws: error) { try reader.next() } }
            try reader.rewind()
        }
    }

    @Test("A stream without its trailer is refused where a whole one is needed")
    func incomplete() throws {
        var delta = try Self.smallStream()
        delta.hasTrailer = false
        let reader = try DeltaReader(reading: ImmutableFile(delta.bytes, name: "delta"))
        #expect(throws: ResyncError.incompleteDelta(path: "delta")) { try reader.requiredTrailer() }
    }

    @Test("A read that fails is that error, and never the end of an unfinished stream")
    func readFailures() throws {
        var delta = try Self.smallStream()
        for hasTrailer in [true, false] {
            delta.hasTrailer = hasTrailer
            let bytes = try delta.bytes
            for place in bytes.indices {
                let file = ImmutableFile(bytes, failsAt: UInt64(place), name: "delta")
                #expect(throws: ResyncError.file(ImmutableFile.failure), "at \(place)") {
                    var reader = try DeltaReader(reading: file)
                    return try reader.entries()
                }
            }
        }
    }
}
