import Resync
import Storage
import Testing

@Suite("Digest map: wrong files")
struct DigestMapDamageTests {
    /// A small map with a record of each kind, the last block partial.
    private static func smallMap() throws -> CraftedMap {
        var generator = SplitMix64(seed: 9)
        let digests = (0..<3).map { _ in generator.digest() }
        return try CraftedMap(
            virtualSize: 9 * 4096 - 1,
            records: [
                .digests([digests[0], digests[1]]), .zeros(4), .digests([digests[2]]), .zeros(2),
            ])
    }

    /// The same of version 2.
    private static func mapWithState() throws -> CraftedMap {
        var generator = SplitMix64(seed: 10)
        var map = try smallMap()
        map.version = 2
        map.fileState = generator.digest()
        return map
    }

    /// The error of reading to the end, or nil.
    private func failure(_ bytes: [UInt8]) throws -> ResyncError? {
        do {
            _ = try readWhole(ImmutableFile(bytes))
            return nil
        } catch let error as ResyncError {
            return error
        }
    }

    private func failure(_ change: (inout CraftedMap) throws -> Void) throws -> ResyncError? {
        var map = try Self.smallMap()
        try change(&map)
        return try failure(map.bytes)
    }

    private func damage(_ what: String, at offset: UInt64) -> ResyncError {
        .damagedDigestMap(path: "map", what: what, at: offset)
    }

    @Test("The crafted map is right")
    func isRight() throws {
        #expect(try failure { _ in } == nil)
    }

    @Test("The crafted map of version 2 is right, and needs its state")
    func versions() throws {
        var map = try Self.mapWithState()
        #expect(try failure(map.bytes) == nil)
        let reader = try DigestMapReader(reading: ImmutableFile(map.bytes))
        #expect(reader.header.fileState == map.fileState && reader.header.version == 2)
        map.version = 1
        #expect(try failure(map.bytes) == damage("wrong checksum of the header", at: 68))
        map.fileState = nil
        #expect(try failure(map.bytes) == nil)
        map.version = 2
        #expect(try failure(map.bytes) == damage("wrong checksum of the header", at: 100))
        var reserved = try Self.mapWithState()
        reserved.reserved = 1
        #expect(
            try failure(reserved.bytes) == damage("a reserved field that is not 0", at: 96))
    }

    @Test("Each bit of each byte counts", arguments: [1, 2])
    func eachBit(version: Int) throws {
        let bytes = try version == 1 ? Self.smallMap().bytes : Self.mapWithState().bytes
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << UInt8(bit)
                let error = try failure(damaged)
                switch (index, error) {
                case (0..<16, .notADigestMap(path: "map")): break
                case (16..<20, .unsupportedDigestMap(path: "map", _)): break
                case (20..., .damagedDigestMap(path: "map", _, _)): break
                default: Issue.record("byte \(index), bit \(bit): \(String(describing: error))")
                }
            }
        }
    }

    @Test("Truncated at each length, or with bytes behind it, it is not read")
    func eachLength() throws {
        try checkEachLength(of: Self.smallMap().bytes)
        try checkEachLength(of: Self.mapWithState().bytes)
    }

    private func checkEachLength(of bytes: [UInt8]) throws {
        for count in bytes.indices {
            let error = try failure(Array(bytes[..<count]))
            switch (count, error) {
            case (..<16, .notADigestMap(path: "map")): break
            case (16..., .damagedDigestMap(path: "map", _, _)): break
            default: Issue.record("\(count) bytes: \(String(describing: error))")
            }
        }
        for count in 1...200 {
            let error = try failure(bytes + [UInt8](repeating: 0, count: count))
            guard case .damagedDigestMap = error else {
                Issue.record("\(count) bytes more: \(String(describing: error))")
                continue
            }
        }
        #expect(try failure(bytes + bytes) != nil)
    }

    @Test("A version from the future is refused before anything behind it is looked at")
    func futureVersion() throws {
        let magic = try Array(Self.smallMap().bytes[..<16])
        for version in [0, 3, .max] as [UInt32] {
            let expected = ResyncError.unsupportedDigestMap(
                path: "map", version: UInt64(version))
            #expect(try failure { $0.version = version } == expected)
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: version >> ($0 * 8)) }
            #expect(try failure(magic + bytes) == expected)
        }
    }

    @Test("Another file is not a map")
    func otherFiles() throws {
        let files: [[UInt8]] = [
            [], [0], Array("vhdxfile".utf8), [UInt8](repeating: 0, count: 4096),
            Array("vhdresyncmap\n\u{1A}\n and more text than the header".utf8),
        ]
        for bytes in files {
            #expect(try failure(bytes) == .notADigestMap(path: "map"))
            let isMap = try DigestMap.isDigestMap(ImmutableFile(bytes))
            #expect(!isMap)
        }
        #expect(try DigestMap.isDigestMap(ImmutableFile(Self.smallMap().bytes)))
    }

    @Test("Each value of the header that is not allowed")
    func headerValues() throws {
        for size in [0, 1, 2048, 4095, 4097, 12288, 33_554_432, .max] as [UInt32] {
            #expect(try failure { $0.blockSize = size } == damage("block size \(size)", at: 20))
        }
        for size in [1 << 63, .max] as [UInt64] {
            #expect(try failure { $0.virtualSize = size } == damage("virtual size \(size)", at: 24))
        }
        #expect(
            try failure { $0.reserved = 1 } == damage("a reserved field that is not 0", at: 64))
    }

    // Records start at bytes 72, 152, 168 and 216 of the small map, its trailer at 232.
    @Test("Counts that lie")
    func counts() throws {
        for count in [0, 8, 1 << 40, .max] as [UInt64] {
            #expect(
                try failure { $0.records[1].count = count }
                    == damage("a record of \(count) blocks", at: 160))
        }
        for count in [0, 4097, 1 << 32, .max] as [UInt64] {
            #expect(
                try failure { $0.records[0].count = count }
                    == damage("a record of \(count) digests", at: 72))
        }
        let tooLong = damage("a record that reaches past the end of the file", at: 72)
        #expect(try failure { $0.records[0].count = 4096 } == tooLong)
        let tooShort = damage("wrong checksum of a record", at: 72)
        #expect(try failure { $0.records[0].count = 1 } == tooShort)
        for count in [0, 8, 10, .max] as [UInt64] {
            #expect(
                try failure { $0.blockCount = count }
                    == damage("\(count) blocks, where the disk has 9", at: 240))
        }
        #expect(
            try failure { $0.virtualSize += 4096 }
                == damage("9 blocks, where the disk has 10", at: 240))
    }

    @Test("More digests than blocks, in one record and in several")
    func tooManyDigests() throws {
        var generator = SplitMix64(seed: 5)
        let digests = (0..<10).map { _ in generator.digest() }
        #expect(
            try failure { $0.records = [.digests(digests)] }
                == damage("a record of 10 blocks", at: 80))
        #expect(
            try failure { $0.records.append(.digests(digests)) }
                == damage("a record after the last block", at: 232))
        #expect(
            try failure { $0.records.append(.zeros(1)) }
                == damage("a record after the last block", at: 232))
        #expect(
            try failure { $0.records.removeLast() }
                == damage("no record where one must be", at: 216))
    }

    @Test("Kinds that there are not, and a trailer in the middle or none at the end")
    func kinds() throws {
        for kind in [0, 3, 4, .max] as [UInt32] {
            #expect(
                try failure { $0.records[1].kind = kind }
                    == damage("a record of unknown kind", at: 152))
        }
        for kind in [0, 1, 2, 4] as [UInt32] {
            #expect(try failure { $0.trailerKind = kind } == damage("no trailer", at: 232))
        }
    }

    @Test("A root digest that is not that of the digests")
    func wrongRoot() throws {
        var generator = SplitMix64(seed: 6)
        let expected = damage("a root digest that is not that of its digests", at: 248)
        #expect(try failure { $0.root = generator.digest() } == expected)
        #expect(try failure { $0.records[2].digests[0] = generator.digest() } == expected)
        #expect(try failure { $0.records.swapAt(1, 2) } == expected)
        #expect(try failure { $0.virtualSize -= 1 } == expected)
    }

    @Test("A record whose checksum was made to hold is found by the SHA-256 of the file")
    func wrongFileDigest() throws {
        var changed = try Self.smallMap()
        changed.dataWriteGUID = .random()
        let bytes = try Array(changed.bytes.dropLast(32)) + Self.smallMap().bytes.suffix(32)
        #expect(try failure(bytes) == damage("wrong SHA-256 of the file", at: 280))
    }

    @Test("No digest of the last record is given out before the whole file is known to be right")
    func nothingUnproven() throws {
        var map = try Self.smallMap()
        map.records.removeLast(3)
        map.records.append(.zeros(7))
        var reader = try DigestMapReader(reading: ImmutableFile(try map.bytes))
        #expect(try reader.next(upTo: 2).count == 1)
        let error = damage("a root digest that is not that of its digests", at: 184)
        for _ in 0..<3 {
            #expect(throws: error) { try reader.nextRun(upTo: 1) }
            #expect(throws: error) { try reader.next(upTo: 1) }
        }
        #expect(reader.givenCount == 2)
    }

    @Test("A read that fails is that error, from then on")
    func readFailures() throws {
        let bytes = try Self.smallMap().bytes
        for place in bytes.indices {
            let file = ImmutableFile(bytes, failsAt: UInt64(place))
            #expect(throws: ResyncError.file(ImmutableFile.failure), "at \(place)") {
                try readWhole(file)
            }
        }
    }

    @Test("2,000 mutations, with checksums broken or made to hold, end in an error or in the truth")
    func mutations() throws {
        var refused = 0
        for seed in 0..<2000 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            var map = try Self.smallMap()
            if seed % 2 == 0 { map.mutate(using: &generator) }
            var bytes = try map.bytes
            if seed % 4 != 0 { mutate(&bytes, using: &generator) }
            // What readWhole expects of a map that is read to its end are preconditions.
            if try failure(bytes) != nil { refused += 1 }
        }
        #expect(refused > 1500)
    }

    private func mutate(_ bytes: inout [UInt8], using generator: inout SplitMix64) {
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: bytes.removeLast(bytes.count - index)
            case 3: bytes.insert(contentsOf: bytes[index...], at: index)
            default: bytes.removeSubrange(index..<min(index + 8, bytes.count))
            }
        }
    }
}

extension CraftedMap {
    /// Changes values behind checksums that are then computed anew.
    fileprivate mutating func mutate(using generator: inout SplitMix64) {
        let values: [UInt64] = [0, 1, 2, 7, 9, 4095, 4096, 4097, 1 << 31, 1 << 32, 1 << 63, .max]
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let value = values.randomElement(using: &generator) ?? 0
            let record = Int.random(in: 0..<4, using: &generator)
            switch Int.random(in: 0..<9, using: &generator) {
            case 0: virtualSize = value
            case 1: blockSize = UInt32(truncatingIfNeeded: value)
            case 2: blockCount = value
            case 3: root = generator.digest()
            case 4: dataWriteGUID = .random(using: &generator)
            case 5: records[record].kind = UInt32(truncatingIfNeeded: value)
            case 6: records[record].count = value
            case 7: records[record].digests.append(generator.digest())
            default: records.swapAt(record, Int.random(in: 0..<4, using: &generator))
            }
        }
    }
}
