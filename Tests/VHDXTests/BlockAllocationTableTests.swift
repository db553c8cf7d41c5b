import Storage
import TestSupport
import Testing

@testable import VHDX

/// Rules 16 to 18 and 25 to 28: the table; and what blocks read as.
@Suite("Block allocation table")
struct BlockAllocationTableTests {
    private static let table: UInt64 = 3 << 20

    private func image(
        virtualSize: UInt64 = 8 << 20, _ change: (inout ImageBuilder) -> Void
    ) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: virtualSize)
        change(&builder)
        return builder.build()
    }

    private func invalid(_ field: String, _ value: UInt64, entry index: UInt64 = 2) -> VHDXError {
        .invalidField(
            .blockAllocationTable, field: field, value: value, path: path,
            at: Self.table + index * 8)
    }

    // MARK: What is refused

    @Test("Reserved bits are zero, in every state")
    func reservedBits() {
        for bit in 3..<20 {
            for state in [0, 1, 2, 3] as [UInt64] {
                let entry = 1 << UInt64(bit) | state
                let file = image { $0.rawBATEntries[2] = entry }
                #expect(refusal(of: file) == invalid("reserved bits", entry), "bit \(bit)")
            }
        }
        let present = image { $0.addBlock(2) }
        let entry = present.peek(UInt64.self, at: Self.table + 16) | 8
        present.put(entry, at: Self.table + 16)
        #expect(refusal(of: present) == invalid("reserved bits", entry))
    }

    @Test("States 4 and 5 do not exist, and 7 needs a parent", arguments: [4, 5, 7] as [UInt64])
    func states(_ state: UInt64) {
        let file = image { $0.addBlock(2, state: state) }
        #expect(refusal(of: file) == invalid("state", state))
    }

    @Test("There are no sector bitmaps without a parent", arguments: 1..<8 as Range<UInt64>)
    func sectorBitmaps(_ state: UInt64) {
        let file = image(virtualSize: 5 << 30) {
            $0.rawBATEntries[4096] = 16 << 20 | state
            $0.fileSize = 32 << 20
        }
        #expect(refusal(of: file) == invalid("sector bitmap state", state, entry: 4096))
    }

    @Test("Between zero blocks the entry of a sector bitmap is looked at too")
    func sectorBitmapBetweenZeroBlocks() {
        let file = image(virtualSize: 5 << 30) {
            for index in 4000..<4200 as Range<UInt64> { $0.rawBATEntries[index] = 2 }
        }
        #expect(refusal(of: file) == invalid("sector bitmap state", 2, entry: 4096))
    }

    @Test("A present block has a place past the headers")
    func placeInHeaders() {
        let file = image { $0.rawBATEntries[2] = 6 }
        #expect(refusal(of: file) == invalid("file offset", 0))
    }

    @Test("No place is too far to be counted with")
    func farPlaces() {
        for offset in [256 << 40, 1 << 62, 1 << 63, 0xFFFF_FFFF_FFF0_0000] as [UInt64] {
            for state in [1, 3, 6] as [UInt64] {
                let file = image { $0.rawBATEntries[2] = offset | state }
                #expect(refusal(of: file) == invalid("file offset", offset), "\(offset)")
            }
        }
    }

    @Test("A block lies in the file", arguments: [1, 3, 6] as [UInt64])
    func beyondEnd(state: UInt64) {
        let file = image {
            $0.rawBATEntries[2] = 4 << 20 | state
            $0.fileSize = (5 << 20) - 1
        }
        let truncated = VHDXError.truncated(
            .payloadBlock, path: path, at: 4 << 20, fileSize: (5 << 20) - 1)
        #expect(refusal(of: file) == truncated)
        file.content.resize(to: 5 << 20)
        #expect(refusal(of: file) == nil)
    }

    @Test("A block overlaps neither log nor region", arguments: [1, 2, 3] as [UInt64])
    func overlapsRegion(mebibyte: UInt64) {
        for state in [1, 3, 6] as [UInt64] {
            let file = image { $0.rawBATEntries[2] = mebibyte << 20 | state }
            #expect(
                refusal(of: file) == .overlap(.payloadBlock, path: path, at: mebibyte << 20))
        }
    }

    @Test("A block that ends in a region overlaps it")
    func endsInRegion() {
        var builder = ImageBuilder(virtualSize: 64 << 20, blockSize: 8 << 20)
        builder.regions[1].offset = 20 << 20
        builder.addBlock(0, at: 13 << 20)
        #expect(refusal(of: builder.build()) == .overlap(.payloadBlock, path: path, at: 13 << 20))
    }

    @Test("No two blocks share a byte")
    func sharedPlaces() {
        for states in [(6, 6), (6, 3), (1, 6), (3, 3)] as [(UInt64, UInt64)] {
            let file = image {
                $0.rawBATEntries[1] = 5 << 20 | states.0
                $0.rawBATEntries[6] = 5 << 20 | states.1
                $0.fileSize = 16 << 20
            }
            #expect(refusal(of: file) == .overlap(.payloadBlock, path: path, at: 5 << 20))
        }
        var builder = ImageBuilder(virtualSize: 64 << 20, blockSize: 4 << 20)
        builder.addBlock(0, at: 8 << 20)
        builder.addBlock(1, at: 11 << 20)
        #expect(refusal(of: builder.build()) == .overlap(.payloadBlock, path: path, at: 11 << 20))
    }

    @Test("A place means nothing in the states that have none", arguments: [0, 2] as [UInt64])
    func meaninglessPlaces(state: UInt64) throws {
        for offset in [1 << 20, 4 << 20, 1 << 62, 0xFFFF_FFFF_FFF0_0000] as [UInt64] {
            let file = image {
                $0.rawBATEntries[2] = offset | state
                $0.addBlock(0, at: 4 << 20, content: [7])
            }
            #expect(refusal(of: file) == nil)
            #expect(try content(of: file, at: 2 << 20, count: 8) == [UInt8](0, 8))
            // A writer that gives the block a place writes no trace of the old one.
            let writer = try ImageWriter(file)
            try writer.fill(3, count: 512, at: 2 << 20)
            try writer.close()
            #expect(file.peek(UInt64.self, at: Self.table + 16) == 5 << 20 | 6)
        }
    }

    @Test("Entries behind the last block are not looked at")
    func slack() {
        let file = image { builder in
            for index in 8..<512 as Range<UInt64> { builder.rawBATEntries[index] = .max }
        }
        #expect(refusal(of: file) == nil)
    }

    // MARK: What blocks read as

    @Test("Every state but present reads as zeros, also where a place is kept")
    func zeroStates() throws {
        let file = image { builder in
            for state in [0, 1, 2, 3] as [UInt64] {
                builder.addBlock(state, state: state, content: [UInt8](0xAA, 4096))
            }
            builder.addBlock(4, content: [UInt8](0x55, 1 << 20))
        }
        file.content.resize(to: 16 << 20)
        #expect(refusal(of: file) == nil)
        #expect(try content(of: file, at: 0, count: 4 << 20).consists(of: 0))
        #expect(try content(of: file, at: 4 << 20, count: 1 << 20).consists(of: 0x55))
        var states = ImageInfo.BlockStates()
        states.notPresent = 4
        states.undefined = 1
        states.zero = 1
        states.unmapped = 1
        states.fullyPresent = 1
        #expect(try info(of: file).blockStates == states)
    }

    @Test("A read crosses blocks that lie in any order")
    func crossing() throws {
        var generator = SeededGenerator(seed: 11)
        let disk = generator.bytes(count: 8 << 20)
        let file = image { builder in
            for block in [3, 0, 7, 5, 1, 6] as [UInt64] {
                let start = Int(block) << 20
                builder.addBlock(block, content: Array(disk[start..<(start + 1 << 20)]))
            }
        }
        var expected = disk
        for block in [2, 4] {
            expected.replaceSubrange(block << 20..<(block + 1) << 20, with: [UInt8](0, 1 << 20))
        }
        let reader = try ImageReader(file)
        #expect(try reader.bytes(at: 0, count: 8 << 20).isSame(as: expected))
        for _ in 0..<50 {
            let start = Int.random(in: 0..<8 << 20, using: &generator)
            let count = Int.random(in: 0...min(3 << 20, (8 << 20) - start), using: &generator)
            let bytes = try reader.bytes(at: UInt64(start), count: count)
            let wanted = Array(expected[start..<(start + count)])
            #expect(bytes.isSame(as: wanted), "seed 11, \(start)+\(count)")
        }
    }

    @Test(
        "The entry of a block past the first chunk is found, by block and sector size",
        arguments: [
            (1 << 20, 512), (2 << 20, 512), (32 << 20, 512), (256 << 20, 512), (1 << 20, 4096),
            (256 << 20, 4096),
        ] as [(UInt64, UInt64)])
    func interleave(blockSize: UInt64, sectorSize: UInt64) throws {
        let virtualSize: UInt64 = 200 << 30
        var builder = ImageBuilder(
            virtualSize: virtualSize, blockSize: blockSize, logicalSectorSize: sectorSize)
        let ratio = builder.chunkRatio
        let blocks = [0, ratio - 1, ratio, ratio + 1, 2 * ratio, virtualSize / blockSize - 1]
            .filter { $0 < virtualSize / blockSize }
        for (index, block) in Set(blocks).sorted().enumerated() {
            builder.addBlock(block, content: [UInt8(index + 1), 0xAB])
        }
        let file = builder.build()
        let reader = try ImageReader(file)
        for (index, block) in Set(blocks).sorted().enumerated() {
            let bytes = try reader.bytes(at: block * blockSize, count: 3)
            #expect(bytes == [UInt8(index + 1), 0xAB, 0], "block \(block)")
            let next = (block + 1) * blockSize
            guard next < virtualSize, !blocks.contains(block + 1) else { continue }
            #expect(try reader.bytes(at: next, count: 2) == [0, 0])
        }
        #expect(reader.info.blockStates.fullyPresent == UInt64(Set(blocks).count))
    }

    @Test("The last block of the largest disk is found")
    func largestDisk() throws {
        // Blocks of 256 MiB: a quarter of a million entries, which a debug build walks quickly.
        var builder = ImageBuilder(virtualSize: 64 << 40, blockSize: 256 << 20)
        let last: UInt64 = (64 << 40) / (256 << 20) - 1
        builder.addBlock(last, content: [1, 2, 3])
        let file = builder.build()
        #expect(try content(of: file, at: last * (256 << 20), count: 4) == [1, 2, 3, 0])
        let writer = try ImageWriter(file)
        try writer.fill(9, count: 512, at: (64 << 40) - 512)
        try writer.close()
        let end = try content(of: file, at: (64 << 40) - 513, count: 513)
        #expect(end == [0] + [UInt8](9, 512))
    }

    @Test("The last block may be cut by the end of the disk and of the file")
    func lastPartialBlock() throws {
        var builder = ImageBuilder(virtualSize: (5 << 20) + 1536, blockSize: 2 << 20)
        builder.addBlock(2, content: [UInt8](7, (1 << 20) + 1536) + [UInt8](0xEE, 512))
        let end = builder.nextOffset - (2 << 20) + (1 << 20) + 1536
        for size in [end + 512, end] {
            let file = builder.build()
            file.content.resize(to: size)
            #expect(refusal(of: file) == nil)
            let bytes = try content(of: file, at: 4 << 20, count: (1 << 20) + 1536)
            #expect(bytes.consists(of: 7))
        }
        let file = builder.build()
        file.content.resize(to: end - 1)
        #expect(
            refusal(of: file)
                == .truncated(.payloadBlock, path: path, at: 4 << 20, fileSize: end - 1))
    }

    @Test("A file whose size is no multiple of 1 MiB is read and written")
    func oddFileSize() throws {
        let file = image {
            $0.addBlock(0, content: [1])
            $0.fileSize = (5 << 20) + 512
        }
        #expect(refusal(of: file) == nil)
        let writer = try ImageWriter(file)
        try writer.fill(2, count: 512, at: 1 << 20)
        try writer.close()
        #expect(refusal(of: file) == nil)
        #expect(try content(of: file, at: 0, count: 1) == [1])
        #expect(try content(of: file, at: 1 << 20, count: 512) == [UInt8](2, 512))
        #expect(file.content.byteCount == 6 << 20)
    }

    // MARK: What is known without reading

    @Test("Ranges tell holes and absent blocks from data, in order and without gaps")
    func contents() throws {
        let file = image {
            $0.addBlock(1, content: [UInt8](1, 1 << 20))
            $0.addBlock(2, content: [UInt8](1, 4096))
            $0.addBlock(4, state: 2)
            $0.addBlock(7, content: [UInt8](0, 512 << 10) + [1])
        }
        file.content.resize(to: 16 << 20)
        let ranges = try ImageReader(file).contents(in: 0..<8 << 20)
        #expect(ranges.first?.range.lowerBound == 0 && ranges.last?.range.upperBound == 8 << 20)
        for (first, second) in zip(ranges, ranges.dropFirst()) {
            #expect(first.range.upperBound == second.range.lowerBound)
            #expect(first.isZero != second.isZero, "neighbours are joined")
        }
        let data = ranges.filter { !$0.isZero }.map(\.range)
        let expected: [Range<UInt64>] = [
            1 << 20..<(2 << 20) + 4096, 7 << 20..<(7 << 20) + (512 << 10) + 4096,
        ]
        #expect(data == expected)
        let part = try ImageReader(file).contents(in: (1 << 20) + 1..<(1 << 20) + 2)
        #expect(part == [ContentRange(range: (1 << 20) + 1..<(1 << 20) + 2, isZero: false)])
    }

    @Test("The next data begins with the next block that the file has, whatever stands before it")
    func nextData() throws {
        // Past an entry of a sector bitmap, which stands after 4096 blocks of 1 MiB.
        // A first look from the fourth block on, at 512 entries, ends right before 515.
        let stored: [UInt64] = [2, 515, 4095, 4096, 6000]
        let file = image(virtualSize: 9 << 30) { builder in
            for block in stored { builder.addBlock(block, content: [1]) }
            builder.addBlock(1, state: 2)
            for block in 4500..<4600 as Range<UInt64> {
                builder.addBlock(block, state: UInt64(block % 4))
            }
        }
        file.content.resize(to: 256 << 20)
        let reader = try ImageReader(file)
        let writer = try ImageWriter(file)
        let positions: [UInt64] = [
            0, 1, 2 << 20, (2 << 20) + 5, 3 << 20, 516 << 20, 4095 << 20, (4096 << 20) + 7,
            4097 << 20,
            4550 << 20, 6000 << 20, 6001 << 20, (9 << 30) - 1, 9 << 30,
        ]
        for position in positions {
            let block = stored.first { $0 >= position >> 20 }
            let expected = block.map { max(position, $0 << 20) } ?? 9 << 30
            let ofReader = try reader.nextData(from: position)
            let ofWriter = try writer.nextData(from: position)
            #expect(ofReader == expected && ofWriter == expected, "\(position)")
        }
        // What is written counts at once, in front of what the file has and behind it.
        try writer.fill(7, count: 512, at: 5000 << 20)
        try writer.fill(7, count: 512, at: 8000 << 20)
        let found = try [4097, 6001, 8001].map { try writer.nextData(from: $0 << 20) }
        #expect(found == [5000 << 20, 8000 << 20, 9 << 30])
        try writer.close()
        let afterwards = try ImageReader(file).nextData(from: 6001 << 20)
        #expect(afterwards == 8000 << 20)
    }

    @Test("Opening counts blocks by their states, also where many are zero, up to the last one")
    func countsStates() throws {
        let file = image(virtualSize: (9 << 30) - (1 << 20)) { builder in
            for block in 3..<9000 as Range<UInt64> where block % 1000 != 7 {
                builder.addBlock(block, state: 2, at: 0)
            }
            builder.addBlock(7, content: [1])
            builder.addBlock(1007, state: 3)
        }
        file.content.resize(to: 256 << 20)
        let states = try ImageReader(file).info.blockStates
        #expect(states.zero == 8997 - 9)
        #expect(states.fullyPresent == 1 && states.unmapped == 1)
        #expect(states.notPresent == 9215 - (8997 - 9) - 2)
    }

    @Test("What is said to be zero reads as zeros, for random images")
    func soundness() throws {
        for seed in 0..<8 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let file = image { builder in
                for block in 0..<8 as Range<UInt64> {
                    let states: [UInt64] = [0, 1, 2, 3, 6, 6, 6]
                    let state = states.randomElement(using: &generator) ?? 6
                    let offset = Int.random(in: 0..<400_000, using: &generator)
                    let bytes = generator.bytes(count: 5_000)
                    builder.addBlock(block, state: state, content: [UInt8](0, offset) + bytes)
                }
            }
            file.content.resize(to: 16 << 20)
            let reader = try ImageReader(file)
            for range in try reader.contents(in: 0..<8 << 20) where range.isZero {
                let bytes = try reader.bytes(
                    at: range.range.lowerBound, count: Int(range.range.byteCount))
                #expect(bytes.consists(of: 0), "seed \(seed): \(range)")
            }
        }
    }
}
