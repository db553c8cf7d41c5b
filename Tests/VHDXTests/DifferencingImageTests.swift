import Storage
import TestSupport
import Testing

@testable import VHDX

/// A disk of blocks of 1 MiB in three images, and what it reads as.
struct Chain {
    static let virtualSize: UInt64 = (4 << 30) + (8 << 20)
    /// The blocks that are looked at: at the start, and on both sides of the chunk's edge.
    static let blocks: [UInt64] = Array(0..<8) + Array(4094..<4104)

    let base: MemoryFile
    let middle: MemoryFile
    let top: MemoryFile
    /// The content of each block of ``blocks``.
    var content: [UInt64: [UInt8]] = [:]

    static let guids = [
        "aaaaaaaa-0000-4ccc-8ddd-eeeeeeeeeeee", "bbbbbbbb-0000-4ccc-8ddd-eeeeeeeeeeee",
        "cccccccc-0000-4ccc-8ddd-eeeeeeeeeeee",
    ]

    private static func builder(_ level: Int) -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: virtualSize, kind: level == 0 ? .dynamic : .differencing)
        for slot in builder.headers.indices { builder.headers[slot]?.dataWriteGUID = guids[level] }
        if level > 0 { builder.addLocator(ImageBuilder.Locator(linkage: "{\(guids[level - 1])}")) }
        return builder
    }

    /// Sectors that all differ, at a small cost for each.
    static func sectors(_ count: Int, using generator: inout SeededGenerator) -> [UInt8] {
        let value = UInt8.random(in: .min ... .max, using: &generator)
        var bytes = [UInt8](value, count * 512)
        bytes.withMutableRawSpan { span in
            for sector in 0..<count { span.store(generator.next(), at: sector * 512) }
        }
        return bytes
    }

    /// Random states, bitmaps and content.
    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for block in Self.blocks { content[block] = [UInt8](0, 1 << 20) }
        var files: [MemoryFile] = []
        for level in 0..<3 {
            var builder = Self.builder(level)
            var sectors: [UInt64: [Range<Int>]] = [:]
            for block in Self.blocks {
                let states: [UInt64] = level == 0 ? [0, 2, 6, 6] : [0, 0, 1, 2, 3, 6, 7, 7, 7]
                let state = states.randomElement(using: &generator) ?? 0
                let bytes = Self.sectors(2048, using: &generator)
                builder.addBlock(block, state: state, content: state > 5 ? bytes : [])
                switch state {
                case 0: break
                case 6: content[block] = bytes
                case 7:
                    let start = Int(block % 4096) * 2048
                    var position = 0
                    while position < 2048 {
                        let end = min(position + Int.random(in: 1...300, using: &generator), 2048)
                        if Bool.random(using: &generator) {
                            sectors[block / 4096, default: []].append(
                                start + position..<start + end)
                            content[block]?.replaceSubrange(
                                position * 512..<end * 512, with: bytes[position * 512..<end * 512])
                        }
                        position = end
                    }
                default: content[block] = [UInt8](0, 1 << 20)
                }
            }
            if level > 0 {
                for chunk in 0..<2 as Range<UInt64> {
                    builder.addBitmap(ofChunk: chunk, sectors: sectors[chunk] ?? [])
                }
            }
            files.append(builder.build(name: "/memory/\(level).vhdx"))
        }
        (base, middle, top) = (files[0], files[1], files[2])
    }

    func middleParent() throws(VHDXError) -> ImageParent<MemoryFile> {
        let base = ImageParent(try ImageReader(base))
        return ImageParent(try ImageReader(middle, parent: base))
    }

    func reader() throws(VHDXError) -> ImageReader<MemoryFile> {
        try ImageReader(top, parent: middleParent())
    }

    func writer() throws(VHDXError) -> ImageWriter<MemoryFile> {
        try ImageWriter(top, parent: middleParent())
    }
}

@Suite("Differencing images")
struct DifferencingImageTests {
    @Test("A chain reads, sector by sector, from the topmost image that has it")
    func reading() throws {
        for seed in 0..<4 as Range<UInt64> {
            let chain = Chain(seed: seed)
            let reader = try chain.reader()
            for (block, content) in chain.content {
                let bytes = try reader.bytes(at: block << 20, count: 1 << 20)
                #expect(bytes.isSame(as: content), "seed \(seed), block \(block)")
            }
            var generator = SeededGenerator(seed: seed)
            let edge = (chain.content[4095] ?? []) + (chain.content[4096] ?? [])
            for _ in 0..<30 {
                let start = Int.random(in: 0..<2 << 20, using: &generator)
                let count = Int.random(in: 0...(2 << 20) - start, using: &generator)
                let bytes = try reader.bytes(at: 4095 << 20 + UInt64(start), count: count)
                #expect(bytes.isSame(as: Array(edge[start..<start + count])), "\(start)+\(count)")
            }
        }
    }

    @Test("No data stands before the next data, through the chain")
    func nextData() throws {
        for seed in 20..<24 as Range<UInt64> {
            let reader = try Chain(seed: seed).reader()
            let size = reader.geometry.virtualSize
            var position: UInt64 = 0
            while position < size {
                let next = try reader.nextData(from: position)
                #expect(next >= position && next <= size)
                let passed = try reader.contents(in: position..<next).filter { !$0.isZero }
                #expect(passed.isEmpty, "seed \(seed): \(position)..<\(next)")
                position = next + 1 << 20
            }
        }
    }

    @Test("What is said to be zero reads as zeros, through the chain")
    func extents() throws {
        for seed in 10..<14 as Range<UInt64> {
            let reader = try Chain(seed: seed).reader()
            let ranges = try reader.contents(in: 0..<8 << 20)
            #expect(ranges.first?.range.lowerBound == 0 && ranges.last?.range.upperBound == 8 << 20)
            for (first, second) in zip(ranges, ranges.dropFirst()) {
                #expect(first.range.upperBound == second.range.lowerBound)
            }
            for range in ranges where range.isZero {
                let bytes = try reader.bytes(
                    at: range.range.lowerBound, count: Int(range.range.byteCount))
                #expect(bytes.consists(of: 0), "seed \(seed): \(range)")
            }
        }
    }

    @Test(
        "What is written reads back, at once and by the next reader; the parents stay as they are")
    func writing() throws {
        for seed in 20..<26 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var chain = Chain(seed: seed)
            let (base, middle) = (chain.base.content, chain.middle.content)
            let writer = try chain.writer()
            for step in 0..<60 {
                let block = Chain.blocks.randomElement(using: &generator) ?? 0
                let isWhole = Int.random(in: 0..<5, using: &generator) == 0
                let start = isWhole ? 0 : Int.random(in: 0..<2048, using: &generator)
                let end = isWhole ? 2048 : Int.random(in: start...2048, using: &generator)
                let range = start * 512..<end * 512
                let place = block << 20 + UInt64(range.lowerBound)
                if Int.random(in: 0..<3, using: &generator) == 0 {
                    try writer.writeZeros(place..<place + UInt64(range.count))
                    chain.content[block]?.replaceSubrange(range, with: [UInt8](0, range.count))
                } else {
                    let bytes = Chain.sectors(range.count / 512, using: &generator)
                    try writer.write(bytes.rawSpan, at: place)
                    chain.content[block]?.replaceSubrange(range, with: bytes)
                }
                if step % 20 == 19 { try writer.commit() }
            }
            for (block, content) in chain.content {
                let bytes = try writer.bytes(at: block << 20, count: 1 << 20)
                #expect(bytes.isSame(as: content), "seed \(seed), block \(block), while open")
            }
            try writer.close()
            let check = try ImageCheck(chain.top)
            #expect(check.count(of: .error) + check.count(of: .warning) == 0, "seed \(seed)")
            let reader = try chain.reader()
            #expect(!reader.info.logIsDirty)
            for (block, content) in chain.content {
                let bytes = try reader.bytes(at: block << 20, count: 1 << 20)
                #expect(bytes.isSame(as: content), "seed \(seed), block \(block)")
            }
            #expect(chain.base.content == base && chain.middle.content == middle)
        }
    }

    @Test("A block whose sectors are all written is fully present, one with some partially")
    func states() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        builder.addLocator()
        let file = builder.build()
        let parent = ImageParent(try ImageReader(ImageBuilder(virtualSize: 4 << 20).build()))
        let writer = try ImageWriter(file, parent: parent)
        try writer.fill(1, count: 1 << 20, at: 0)
        try writer.fill(2, count: 512 << 10, at: 1 << 20)
        try writer.fill(3, count: 512 << 10, at: (1 << 20) + (512 << 10))
        try writer.fill(4, count: 512, at: 2 << 20)
        try writer.writeZeros(3 << 20..<4 << 20)
        try writer.close()
        let entries = (0..<5).map { file.peek(UInt64.self, at: 3 << 20 + $0 * 8) & 7 }
        #expect(entries == [6, 6, 7, 2, 0])
        let states = try ImageReader(file, parent: parent).info.blockStates
        #expect(states.fullyPresent == 2 && states.partiallyPresent == 1 && states.zero == 1)
    }

    @Test("A parent that is shorter reads as zeros beyond its end")
    func shorterParent() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        builder.addLocator()
        var parent = ImageBuilder(virtualSize: (2 << 20) + 512)
        for block in 0..<3 as Range<UInt64> { parent.addBlock(block, content: [UInt8](9, 1 << 20)) }
        let reader = try ImageReader(
            builder.build(), parent: ImageParent(try ImageReader(parent.build())))
        let bytes = try reader.bytes(at: 0, count: 8 << 20)
        #expect(Array(bytes[..<((2 << 20) + 512)]).consists(of: 9))
        #expect(Array(bytes[((2 << 20) + 512)...]).consists(of: 0))
        #expect(try reader.contents(in: 4 << 20..<8 << 20).allSatisfy(\.isZero))
    }

    @Test("The entry of a sector bitmap, which stands behind those of its chunk, is no data")
    func nextDataBehindABlock() throws {
        var builder = ImageBuilder(virtualSize: 9 << 30, kind: .differencing)
        builder.addLocator()
        for block in [1, 8193] as [UInt64] {
            builder.addBlock(block, state: 7, content: [UInt8](1, 1 << 20))
            builder.addBitmap(ofChunk: block / 4096, sectors: [2048..<4096])
        }
        let parent = ImageBuilder(virtualSize: 9 << 30).build()
        let reader = try ImageReader(
            builder.build(), parent: ImageParent(try ImageReader(parent)))
        let found = try ([0, 1, 2, 8193, 8194] as [UInt64]).map { block in
            try reader.nextData(from: block << 20) >> 20
        }
        #expect(found == [1, 1, 8193, 8193, 9216])
    }

    @Test("Entries behind the last block, which are for none, are not counted")
    func unusedEntries() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        builder.addLocator()
        for index in 3..<20 as Range<UInt64> { builder.rawBATEntries[index] = 2 }
        let parent = ImageParent(try ImageReader(ImageBuilder(virtualSize: 8 << 20).build()))
        let states = try ImageReader(builder.build(), parent: parent).info.blockStates
        #expect(states.zero == 5 && states.notPresent == 3)
    }

    @Test("A parent is known by either linkage, and never by a GUID of zeros")
    func linkage() throws {
        let other = "12345678-0000-4000-8000-000000000000"
        func refusal(_ locator: ImageBuilder.Locator, parentGUID: String) throws -> VHDXError? {
            var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
            builder.addLocator(locator)
            var parent = ImageBuilder(virtualSize: 8 << 20)
            for slot in [0, 1] { parent.headers[slot]?.dataWriteGUID = parentGUID }
            let box = ImageParent(try ImageReader(parent.build(name: "/memory/parent.vhdx")))
            do throws(VHDXError) {
                _ = try ImageReader(builder.build(), parent: box).geometry
                return nil
            } catch {
                return error
            }
        }
        typealias Locator = ImageBuilder.Locator
        let zero = ImageBuilder.zeroGUID
        #expect(try refusal(Locator(linkage: "{\(other)}"), parentGUID: other) == nil)
        #expect(try refusal(Locator(linkage: other.uppercased()), parentGUID: other) == nil)
        #expect(try refusal(Locator(linkage2: "{\(other)}"), parentGUID: other) == nil)
        let wrong = try refusal(Locator(linkage: "{\(zero)}"), parentGUID: zero)
        #expect(
            wrong
                == .parentMismatch(
                    path: path, parent: "/memory/parent.vhdx", expected: .zero, found: .zero))
        #expect(try refusal(Locator(), parentGUID: other) != nil)
    }
}
