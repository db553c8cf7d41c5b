import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("ImageWriter")
struct ImageWriterTests {
    private static let table: UInt64 = 3 << 20

    private func builder() -> ImageBuilder { ImageBuilder(virtualSize: 16 << 20) }

    private func entry(_ block: UInt64, of file: MemoryFile) -> UInt64 {
        file.peek(UInt64.self, at: Self.table + block * 8)
    }

    /// Both headers, the one that counts first.
    private func headers(of file: MemoryFile) throws -> [ImageHeader] {
        let positions: [UInt64] = [65536, 131_072]
        return try positions.map { position in
            let bytes = file.peek(at: position, count: 4096)
            return try ImageHeader(decoding: bytes.rawSpan, of: path, at: position)
        }.sorted { $0.sequenceNumber > $1.sequenceNumber }
    }

    // MARK: What changes nothing

    @Test("Opening, reading and closing changes no byte and flushes nothing")
    func unchanged() throws {
        var image = builder()
        image.addBlock(3, content: [1])
        let file = image.build()
        let before = file.content
        file.resetCounts()
        let reader = try ImageReader(file)
        _ = try reader.bytes(at: 0, count: 16 << 20)
        _ = try reader.contents(in: 0..<16 << 20)
        #expect(try reader.headerIsUnchanged())
        let writer = try ImageWriter(file)
        _ = try writer.bytes(at: 0, count: 16 << 20)
        try writer.commit()
        try writer.commitIfBatchIsFull()
        try writer.close()
        try ImageWriter(file).abandon()
        #expect(file.content == before)
        #expect(file.counts.changes == 0 && file.counts.flushes == 0)
    }

    @Test("Zeros where zeros are change nothing")
    func zerosOverZeros() throws {
        var image = builder()
        image.addBlock(1, state: 1)
        image.addBlock(2, state: 2, at: 0)
        image.addBlock(3, state: 3)
        image.fileSize = 16 << 20
        let file = image.build()
        let before = file.content
        file.resetCounts()
        let writer = try ImageWriter(file)
        try writer.writeZeros(0..<16 << 20)
        try writer.writeZeros(512..<(3 << 20) + 512)
        try writer.close()
        #expect(file.content == before)
        #expect(file.counts.changes == 0 && file.counts.flushes == 0)
    }

    // MARK: Headers

    @Test("A session gives the file two new GUIDs, once, in both headers")
    func guids() throws {
        let file = builder().build()
        let old = try headers(of: file)[0]
        let writer = try ImageWriter(file)
        try writer.fill(1, count: 512, at: 0)
        let begun = try headers(of: file)
        #expect(begun[0].fileWriteGUID != old.fileWriteGUID)
        #expect(begun[0].dataWriteGUID != old.dataWriteGUID)
        #expect(begun[0].fileWriteGUID != begun[0].dataWriteGUID)
        try writer.commit()
        try writer.fill(2, count: 512, at: 1 << 20)
        try writer.commit()
        let committed = try headers(of: file)
        #expect(committed[0].logGUID != .zero && committed[1].logGUID == committed[0].logGUID)
        try writer.close()
        for header in try headers(of: file) {
            #expect(header.fileWriteGUID == begun[0].fileWriteGUID)
            #expect(header.dataWriteGUID == begun[0].dataWriteGUID)
            #expect(header.logGUID == .zero, "a closed image has nothing to replay")
        }
        #expect(try headers(of: file)[0].sequenceNumber == old.sequenceNumber + 6)
    }

    @Test("The new GUIDs are durable before anything else changes")
    func guidsFirst() throws {
        var image = builder()
        image.addBlock(0, content: [UInt8](1, 4096))
        let base = image.build()
        let old = try headers(of: base)[0]
        let file = PowerCutFile(content: base.content)
        let writer = try ImageWriter(file)
        try writer.fill(2, count: 4096, at: 0)
        try writer.writeZeros(1 << 20..<2 << 20)
        try writer.close()
        file.forEachCrashState(seed: 1) { state in
            guard state.file.content.differs(from: base.content, outside: 65536..<196_608) else {
                return
            }
            for slot in [65536, 131_072] as [UInt64] {
                let bytes = state.file.peek(at: slot, count: 4096)
                // A slot that is being replaced for the last time may be torn; the other is good.
                let header = try? ImageHeader(decoding: bytes.rawSpan, of: path, at: slot)
                guard let header else { continue }
                #expect(header.fileWriteGUID != old.fileWriteGUID, "\(state.description)")
                #expect(header.dataWriteGUID != old.dataWriteGUID, "\(state.description)")
            }
        }
    }

    // MARK: Blocks

    @Test("New blocks go behind what is there, in the order in which they are written")
    func allocation() throws {
        let file = builder().build()
        let writer = try ImageWriter(file)
        for block in [5, 2, 9] as [UInt64] { try writer.fill(7, count: 4096, at: block << 20) }
        #expect(entry(5, of: file) == 0, "the table changes with the commit")
        #expect(try writer.bytes(at: 5 << 20, count: 1) == [7], "but reads come from the block")
        try writer.commit()
        #expect(entry(5, of: file) == 4 << 20 | 6)
        #expect(entry(2, of: file) == 5 << 20 | 6)
        #expect(entry(9, of: file) == 6 << 20 | 6)
        try writer.close()
        #expect(file.content.byteCount == 7 << 20)
        #expect(
            try content(of: file, at: 9 << 20, count: 1 << 20) == [UInt8](7, 4096)
                + [UInt8](0, (1 << 20) - 4096))
        #expect(try info(of: file).blockStates.fullyPresent == 3)
    }

    @Test("Free space between structures is used first")
    func gaps() throws {
        var image = builder()
        image.addBlock(0, at: 5 << 20)
        image.addBlock(1, at: 7 << 20)
        let file = image.build()
        let writer = try ImageWriter(file)
        for block in 2..<6 as Range<UInt64> { try writer.fill(7, count: 512, at: block << 20) }
        try writer.close()
        #expect((2..<6).map { entry($0, of: file) >> 20 } == [4, 6, 8, 9])
    }

    @Test("A gap that is too short for a block is left")
    func shortGaps() throws {
        var image = ImageBuilder(virtualSize: 64 << 20, blockSize: 4 << 20)
        image.addBlock(0, at: 7 << 20)
        image.addBlock(1, at: 16 << 20)
        let file = image.build()
        let writer = try ImageWriter(file)
        for block in 2..<5 as Range<UInt64> { try writer.fill(7, count: 512, at: block << 22) }
        try writer.close()
        #expect((2..<5).map { entry($0, of: file) >> 20 } == [11, 20, 24])
        #expect(refusal(of: file) == nil)
    }

    @Test("A block that is there is overwritten in place")
    func overwriting() throws {
        var image = builder()
        image.addBlock(2, content: [UInt8](1, 1 << 20))
        let file = image.build()
        let writer = try ImageWriter(file)
        try writer.fill(9, count: 1000, at: (2 << 20) + 500)
        try writer.close()
        #expect(entry(2, of: file) == 4 << 20 | 6)
        let expected = [UInt8](1, 500) + [UInt8](9, 1000) + [UInt8](1, 100)
        #expect(try content(of: file, at: 2 << 20, count: 1600) == expected)
        #expect(file.peek(at: 1 << 20, count: 1 << 20).consists(of: 0), "the log was not needed")
    }

    @Test("A write that crosses blocks changes all of them")
    func crossing() throws {
        let file = builder().build()
        let writer = try ImageWriter(file)
        var generator = SeededGenerator(seed: 5)
        let bytes = generator.bytes(count: (2 << 20) + 1024)
        try writer.write(bytes.rawSpan, at: (1 << 20) - 512)
        try writer.close()
        #expect(try content(of: file, at: (1 << 20) - 512, count: bytes.count) == bytes)
        #expect(try info(of: file).blockStates.fullyPresent == 4)
    }

    @Test("A whole block of zeros gives its space back; a part becomes a hole")
    func freeing() throws {
        var image = builder()
        for block in 0..<4 as Range<UInt64> { image.addBlock(block, content: [UInt8](5, 1 << 20)) }
        let file = image.build()
        let writer = try ImageWriter(file)
        try writer.writeZeros(1 << 20..<3 << 20)
        try writer.writeZeros((3 << 20) + 4096..<(3 << 20) + 8192)
        #expect(try writer.bytes(at: 1 << 20, count: 2 << 20).consists(of: 0))
        try writer.close()
        #expect((0..<4).map { entry($0, of: file) } == [4 << 20 | 6, 2, 2, 7 << 20 | 6])
        #expect(try content(of: file, at: 1 << 20, count: 2 << 20).consists(of: 0))
        #expect(try content(of: file, at: 3 << 20, count: 4096).consists(of: 5))
        #expect(try content(of: file, at: (3 << 20) + 4096, count: 4096).consists(of: 0))
        #expect(try file.nextData(from: 5 << 20, limit: 7 << 20) == nil, "space is given back")
    }

    @Test("Space that was freed holds no trace of its old content when it is used again")
    func reuse() throws {
        var image = builder()
        for block in 0..<4 as Range<UInt64> { image.addBlock(block, content: [UInt8](5, 1 << 20)) }
        let file = image.build()
        let writer = try ImageWriter(file)
        try writer.writeZeros(1 << 20..<2 << 20)
        try writer.fill(7, count: 512, at: 8 << 20)
        #expect(
            try writer.bytes(at: 8 << 20, count: 1 << 20).suffix(1 << 20 - 512)
                .allSatisfy { $0 == 0 })
        try writer.commit()
        #expect(entry(8, of: file) == 8 << 20 | 6, "before the commit the space is not free")
        try writer.fill(8, count: 512, at: 9 << 20)
        try writer.close()
        #expect(entry(9, of: file) == 5 << 20 | 6, "after it, it is")
        for (block, value) in [(8, 7), (9, 8)] as [(UInt64, UInt8)] {
            let bytes = try content(of: file, at: block << 20, count: 1 << 20)
            #expect(Array(bytes.prefix(512)).consists(of: value))
            #expect(Array(bytes.dropFirst(512)).consists(of: 0), "block \(block)")
        }
    }

    @Test("The space that an unmapped block kept is its own again, without the old content")
    func retainedSpace() throws {
        for state in [1, 3] as [UInt64] {
            var image = builder()
            image.addBlock(2, state: state, content: [UInt8](5, 1 << 20))
            image.fileSize = 5 << 20
            let file = image.build()
            let writer = try ImageWriter(file)
            try writer.fill(7, count: 512, at: 2 << 20)
            try writer.close()
            #expect(entry(2, of: file) == 4 << 20 | 6)
            let bytes = try content(of: file, at: 2 << 20, count: 1 << 20)
            #expect(Array(bytes.dropFirst(512)).consists(of: 0))
            #expect(file.content.byteCount == 5 << 20)
        }
    }

    @Test("A block that is made and unmade in one session leaves nothing")
    func madeAndUnmade() throws {
        let file = builder().build()
        let writer = try ImageWriter(file)
        try writer.fill(7, count: 1 << 20, at: 2 << 20)
        try writer.writeZeros(2 << 20..<3 << 20)
        try writer.fill(8, count: 512, at: 2 << 20)
        try writer.writeZeros(2 << 20..<3 << 20)
        try writer.close()
        #expect(entry(2, of: file) == 2)
        #expect(file.content.byteCount == 4 << 20, "the file is no longer than before")
        #expect(refusal(of: file) == nil)
    }

    @Test("Blocks of a fixed image keep their space and state")
    func fixed() throws {
        var image = ImageBuilder(virtualSize: 4 << 20, kind: .fixed)
        for block in 0..<4 as Range<UInt64> { image.addBlock(block, content: [UInt8](5, 1 << 20)) }
        let file = image.build()
        let writer = try ImageWriter(file)
        try writer.writeZeros(0..<3 << 20)
        try writer.close()
        #expect((0..<4).map { entry($0, of: file) } == (4..<8).map { $0 << 20 | 6 })
        #expect(try content(of: file, at: 0, count: 3 << 20).consists(of: 0))
        #expect(try content(of: file, at: 3 << 20, count: 1 << 20).consists(of: 5))
    }

    @Test("The last block of an odd disk is zeroed whole by its visible part")
    func lastBlock() throws {
        var image = ImageBuilder(virtualSize: (3 << 20) + 512, blockSize: 2 << 20)
        image.addBlock(1, content: [UInt8](5, 2 << 20))
        let file = image.build()
        let writer = try ImageWriter(file)
        try writer.writeZeros(2 << 20..<(3 << 20) + 512)
        try writer.close()
        #expect(entry(1, of: file) == 2)
    }

    @Test("A damaged copy of the region table is whole again after the first commit")
    func repair() throws {
        for copy in 0..<2 as Range<UInt64> {
            let file = builder().build()
            let good = file.peek(at: 192 << 10, count: 65536)
            file.put([UInt8](0xEE, 65536), at: (copy + 3) << 16)
            let writer = try ImageWriter(file)
            try writer.fill(1, count: 512, at: 0)
            try writer.close()
            #expect(file.peek(at: (copy + 3) << 16, count: 65536) == good)
        }
    }

    @Test("A session costs a fixed number of flushes, and two for each batch")
    func flushes() throws {
        func flushes(batches: Int, blocks: Int) throws -> Int {
            let file = ImageBuilder(virtualSize: 256 << 20).build()
            let writer = try ImageWriter(file)
            for batch in 0..<batches {
                for block in 0..<blocks {
                    try writer.fill(1, count: 512, at: UInt64(batch * blocks + block) << 20)
                }
                try writer.commit()
            }
            try writer.close()
            return file.counts.flushes
        }
        let one = try flushes(batches: 1, blocks: 1)
        #expect(one <= 11)
        #expect(try flushes(batches: 1, blocks: 64) == one, "not by block")
        #expect(try flushes(batches: 4, blocks: 1) == one + 3 * 2)
    }

    // MARK: Random sessions

    @Test("Random sessions leave what they leave in an array", arguments: 0..<6 as Range<UInt64>)
    func model(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let size = (12 << 20) + 1536
        let blockSize: UInt64 = Bool.random(using: &generator) ? 1 << 20 : 4 << 20
        let file = ImageBuilder(virtualSize: UInt64(size), blockSize: blockSize).build()
        var model = [UInt8](0, size)
        for _ in 0..<4 {
            let writer = try ImageWriter(file)
            for _ in 0..<12 {
                let start = Int.random(in: 0..<size / 512, using: &generator) * 512
                let longest = Bool.random(using: &generator) ? 3 << 20 : 8192
                let count = Int.random(
                    in: 1...max(1, min(longest, size - start)), using: &generator)
                let range = start..<start + count
                let value = UInt8.random(in: 1...255, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0, 1:
                    try writer.fill(value, count: count, at: UInt64(start))
                    model.replaceSubrange(range, with: [UInt8](value, count))
                case 2, 3:
                    let wide = start / (1 << 20) << 20..<min(size, (start / (1 << 20) + 3) << 20)
                    let zeros = Bool.random(using: &generator) ? wide : range
                    try writer.writeZeros(UInt64(zeros.lowerBound)..<UInt64(zeros.upperBound))
                    model.replaceSubrange(zeros, with: [UInt8](0, zeros.count))
                default:
                    try writer.commit()
                }
            }
            #expect(try writer.bytes(at: 0, count: size).isSame(as: model), "seed \(seed)")
            try writer.close()
            let bytes = try content(of: file, at: 0, count: size)
            #expect(bytes.isSame(as: model), "seed \(seed)")
        }
    }
}

extension SparseBytes {
    /// Whether anything differs but in a range.
    fileprivate func differs(from other: SparseBytes, outside range: Range<UInt64>) -> Bool {
        var (first, second) = (self, other)
        first.clear(range)
        second.clear(range)
        return first != second
    }
}
