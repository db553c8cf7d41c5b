import Foundation
import Resync
import Storage
import Testing

@Suite("Digest map: written and read")
struct DigestMapTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func header(_ virtualSize: UInt64, _ blockSize: Int) -> DigestMapHeader {
        DigestMapHeader(
            virtualSize: virtualSize, blockSize: blockSize, virtualDiskID: .zero,
            dataWriteGUID: .zero)
    }

    private func content(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.path(name))))
    }

    /// Writes the digests in calls that a generator cuts, and gives the root digest.
    private func write(
        _ digests: [BlockDigest], _ header: DigestMapHeader, to name: String,
        using generator: inout SplitMix64
    ) throws -> BlockDigest {
        let zeros = try ZeroDigests(virtualSize: header.virtualSize, blockSize: header.blockSize)
        var writer = try DigestMapWriter(of: directory.path(name), header: header)
        var index = 0
        while index < digests.count {
            var end = index
            while end < digests.count, digests[end] == zeros.digest(ofBlock: UInt64(end)) {
                end += 1
            }
            if end > index, Bool.random(using: &generator) {
                let count = Int.random(in: 0...(end - index), using: &generator)
                try writer.append(zeroBlocks: UInt64(count))
                index += count
            } else {
                try writer.append(digests[index])
                index += 1
            }
        }
        return try writer.finish(.replace)
    }

    /// Runs of zeros and of other digests that fill a disk.
    private func digests(
        _ header: DigestMapHeader, using generator: inout SplitMix64
    ) throws -> [BlockDigest] {
        let zeros = try ZeroDigests(virtualSize: header.virtualSize, blockSize: header.blockSize)
        var digests: [BlockDigest] = []
        while UInt64(digests.count) < zeros.blockCount {
            let longest = [1, 2, 100, 5000, 9000].randomElement(using: &generator) ?? 1
            let areZeros = Bool.random(using: &generator)
            for _ in 0..<Int.random(in: 1...longest, using: &generator)
            where UInt64(digests.count) < zeros.blockCount {
                digests.append(
                    areZeros ? zeros.digest(ofBlock: UInt64(digests.count)) : generator.digest())
            }
        }
        return digests
    }

    @Test("What was written is read, whatever the pieces, and checked by the reference")
    func roundTrip() throws {
        for seed in 0..<24 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            let blockSize = 4096 << Int.random(in: 0...6, using: &generator)
            let blocks = [0, 1, 5, 64, 4096, 4097, 20000][Int(seed % 7)]
            let partial = blocks == 0 ? 0 : Int.random(in: 0..<blockSize, using: &generator)
            let header = DigestMapHeader(
                virtualSize: UInt64(blocks * blockSize - partial), blockSize: blockSize,
                virtualDiskID: .random(using: &generator),
                dataWriteGUID: .random(using: &generator),
                fileState: seed % 2 == 0 ? nil : generator.digest())
            let digests = try digests(header, using: &generator)
            let root = try write(digests, header, to: "map", using: &generator)

            let bytes = try content("map")
            #expect(bytes.count.isMultiple(of: 8))
            let step = UInt64.random(in: 1...9000, using: &generator)
            #expect(try readWhole(ImmutableFile(bytes), upTo: step) == digests, "seed \(seed)")
            let file = try DiskFile(opening: directory.path("map"), for: .reading)
            let isMap = try DigestMap.isDigestMap(file)
            #expect(isMap)
            let reader = try DigestMapReader(reading: file)
            #expect(reader.header == header)
            #expect(reader.rootDigest == root)
            #expect(reader.blockCount == UInt64(blocks))
            if seed < 7 {
                #expect(try runReference(["map", directory.path("map")]) == "\(root)")
            }
        }
    }

    @Test("The bytes depend on the content, not on how it was cut into calls")
    func isCanonical() throws {
        var generator = SplitMix64(seed: 1)
        let header = header(20000 * 4096 - 5, 4096)
        let digests = try digests(header, using: &generator)
        _ = try write(digests, header, to: "first", using: &generator)
        _ = try write(digests, header, to: "second", using: &generator)
        #expect(try content("first") == content("second"))
    }

    @Test("The vector of docs/digest-map.md")
    func vector() throws {
        var context = try SHA256Context()
        let blocks = [1, 2].map { [UInt8](repeating: $0, count: 4096) }
        let id = try #require(GUID("00112233-4455-6677-8899-aabbccddeeff"))
        var writer = try DigestMapWriter(
            of: directory.path("map"),
            header: DigestMapHeader(
                virtualSize: 28673, blockSize: 4096, virtualDiskID: id, dataWriteGUID: .zero))
        for block in blocks { try writer.append(context.digest(of: block.rawSpan)) }
        try writer.append(zeroBlocks: 6)
        let root = try writer.finish(.refuse)
        #expect("\(root)" == "bf8dcad82e7170293d60091f63c2d5f82ab80e3d79a6b35f8e8f89fdd33bbe79")

        let documented = try documentedVector(in: "digest-map.md")
        #expect(documented.count == 248)
        #expect(try content("map") == documented)
    }

    @Test("64 TiB of zeros take 168 bytes, and no time to write or to read")
    func zeros() throws {
        var writer = try DigestMapWriter(of: directory.path("map"), header: header(64 << 40, 4096))
        try writer.append(zeroBlocks: 1 << 33)
        try writer.append(zeroBlocks: 1 << 33)
        let root = try writer.finish(.refuse)
        #expect("\(root)" == "76c1e3478871507ef7eb6bba50b72428dd8f25aafff98e99535a0001f7700964")
        let bytes = try content("map")
        #expect(bytes.count == 168)
        var reader = try DigestMapReader(reading: ImmutableFile(bytes))
        #expect(try reader.next(upTo: 5) == [.zeros(5)])
        #expect(try reader.nextRun(upTo: .max) == .zeros(1 << 34 - 5))
        #expect(try reader.nextRun(upTo: 1) == nil)
        #expect(try reader.next(upTo: 1) == [])
    }

    @Test("A window's runs cover exactly the window, and less only at the end")
    func windows() throws {
        var generator = SplitMix64(seed: 4)
        let digests = (0..<10).map { _ in generator.digest() }
        let map = try CraftedMap(
            virtualSize: 20 * 4096, records: [.zeros(3), .digests(digests), .zeros(7)])
        var reader = try DigestMapReader(reading: ImmutableFile(try map.bytes))
        #expect(try reader.next(upTo: 5) == [.zeros(3), .digests(Array(digests[..<2]))])
        #expect(try reader.next(upTo: 0) == [])
        #expect(try reader.next(upTo: 10) == [.digests(Array(digests[2...])), .zeros(2)])
        #expect(reader.givenCount == 15)
        #expect(try reader.next(upTo: 100) == [.zeros(5)])
    }

    @Test("A map that was not finished leaves no file, and the one before it stays")
    func unfinished() throws {
        try Data("before".utf8).write(to: URL(fileURLWithPath: directory.path("map")))
        func begin() throws {
            var writer = try DigestMapWriter(of: directory.path("map"), header: header(8192, 4096))
            try writer.append(zeroBlocks: 1)
            #expect(try directory.names.count == 2)
        }
        try begin()
        #expect(try directory.names == ["map"])
        #expect(try content("map") == Array("before".utf8))
    }

    @Test("A map replaces a file or refuses to, as asked")
    func existing() throws {
        try Data("before".utf8).write(to: URL(fileURLWithPath: directory.path("map")))
        let path = directory.path("map")
        #expect(throws: ResyncError.file(.alreadyExists(path: path))) {
            try DigestMapWriter(of: path, header: header(0, 4096)).finish(.refuse)
        }
        #expect(try directory.names == ["map"])
        #expect(try content("map") == Array("before".utf8))
        _ = try DigestMapWriter(of: path, header: header(0, 4096)).finish(.replace)
        #expect(try readWhole(ImmutableFile(content("map"))) == [])
    }

    @Test("A directory that does not exist is named with its reason")
    func noDirectory() throws {
        let path = directory.path("absent/map")
        do throws(ResyncError) {
            _ = try DigestMapWriter(of: path, header: header(0, 4096))
            Issue.record("a file in a directory that does not exist")
        } catch {
            guard case .file(.system(.create, _, _, ENOENT)) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
