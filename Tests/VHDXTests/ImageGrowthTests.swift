import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("Growing")
struct ImageGrowthTests {
    private func grow(_ file: MemoryFile, to size: UInt64) throws(VHDXError) {
        try ImageWriter(file).grow(to: size)
    }

    @Test("A disk keeps its content, and what is new reads as zeros, by block and sector size")
    func growth() throws {
        for (blockSize, sectorSize) in [(1 << 20, 512), (32 << 20, 512), (2 << 20, 4096)]
            as [(UInt64, UInt64)]
        {
            for (old, new) in [
                (8 << 20, 9 << 20), (5 << 20, (5 << 20) + 4096), ((3 << 20) + 4096, 6 << 30),
                (127 << 30, 200 << 30), ((4 << 30) - 4096, 4 << 30), (4 << 30, 5 << 30),
                (64 << 20, 64 << 40),
            ] as [(UInt64, UInt64)] where blockSize > 1 << 20 || new < 1 << 40 {
                var builder = ImageBuilder(
                    virtualSize: old, blockSize: blockSize, logicalSectorSize: sectorSize)
                let last = (old - 1) / blockSize
                for block in Set([0, last]) {
                    builder.addBlock(block, content: [UInt8](0x61, Int(min(blockSize, 4 << 20))))
                }
                // What lies behind the last entry must not become part of the table.
                let end = builder.batIndex(ofBlock: last) + 1
                for index in end..<end + 600 { builder.rawBATEntries[index] = 0xDEAD_BEEF }
                let file = builder.build()
                let before = try ImageReader(file)
                let guid = before.dataWriteGUID
                let start = old - min(old, 1 << 20)
                let tail = try before.bytes(at: start, count: Int(old - start))
                try grow(file, to: new)
                let after = try ImageReader(file)
                #expect(try ImageCheck(file).count(of: .warning) == 0)
                let name: Comment = "\(blockSize), \(sectorSize): \(old) to \(new)"
                #expect(after.geometry.virtualSize == new, name)
                #expect(after.dataWriteGUID != guid && !after.info.logIsDirty, name)
                #expect(try after.bytes(at: start, count: Int(old - start)) == tail, name)
                let added = Int(min(new - old, 40 << 20))
                #expect(try after.bytes(at: old, count: added).consists(of: 0), name)
                #expect(try after.bytes(at: new - 4096, count: 4096).consists(of: 0), name)
                let writer = try ImageWriter(file)
                try writer.fill(7, count: 4096, at: new - 4096)
                try writer.close()
                let end2 = try ImageReader(file).bytes(at: new - 4096, count: 4096)
                #expect(end2.consists(of: 7), name)
            }
        }
    }

    @Test("What was written before and not committed stays, whether the table moves or not")
    func uncommittedContent() throws {
        for size in [9 << 20, 256 << 30] as [UInt64] {
            var builder = ImageBuilder(virtualSize: 8 << 20)
            builder.addBlock(3, content: [UInt8](3, 1 << 20))
            let file = builder.build()
            let writer = try ImageWriter(file)
            try writer.fill(7, count: 4096, at: 1 << 20)
            try writer.writeZeros(3 << 20..<4 << 20)
            try writer.grow(to: size)
            let reader = try ImageReader(file)
            #expect(try reader.bytes(at: 1 << 20, count: 4096).consists(of: 7), "\(size)")
            #expect(try reader.bytes(at: 3 << 20, count: 1 << 20).consists(of: 0), "\(size)")
        }
    }

    @Test("A table that no longer fits moves, and its old space is used again")
    func movedTable() throws {
        // 64 GiB in blocks of 1 MiB take 512 KiB of table; 256 GiB take 2 MiB.
        var builder = ImageBuilder(virtualSize: 64 << 30)
        builder.addBlock(5, content: [UInt8](5, 1 << 20))
        let file = builder.build()
        // A damaged copy of the region table is whole afterwards.
        file.damage(at: (256 << 10) + 20)
        try grow(file, to: 256 << 30)
        let reader = try ImageReader(file)
        #expect(try reader.bytes(at: 5 << 20, count: 1 << 20).consists(of: 5))
        let tables = RegionTable.positions.map { file.peek(at: $0, count: RegionTable.byteCount) }
        #expect(tables[0] == tables[1])
        let bytes = tables[0]
        let table = try RegionTable.examine(bytes.rawSpan, of: path, at: 0).valid()
        let region = try #require(table.entry(RegionTableEntry.blockAllocationTable))
        #expect(region.fileOffset == 5 << 20 && region.length == 3 << 20)
        let writer = try ImageWriter(file)
        try writer.fill(9, count: 512, at: 200 << 30)
        try writer.close()
        #expect(try ImageReader(file).bytes(at: 200 << 30, count: 512).consists(of: 9))
        #expect(file.peek(at: 3 << 20, count: 512).consists(of: 9), "the old table's place")
    }

    @Test("A damaged copy of the region table is whole after growing in place too")
    func repairsInPlace() throws {
        let file = ImageBuilder(virtualSize: 8 << 20).build()
        file.damage(at: (192 << 10) + 20)
        try grow(file, to: 16 << 20)
        let tables = RegionTable.positions.map { file.peek(at: $0, count: RegionTable.byteCount) }
        #expect(tables[0] == tables[1])
        #expect(try ImageCheck(file).worst == nil)
    }

    @Test("A fixed image gets all its new blocks")
    func fixed() throws {
        for new in [7 << 20, 70 << 20, (5 << 30) + 512] as [UInt64] {
            var builder = ImageBuilder(virtualSize: (6 << 20) + 512, kind: .fixed)
            builder.addAllBlocks()
            let file = builder.build()
            try grow(file, to: new)
            let info = try info(of: file)
            let blockCount = (new + (1 << 20) - 1) >> 20
            #expect(info.kind == .fixed && info.blockStates.fullyPresent == blockCount)
            #expect(try content(of: file, at: 0, count: Int(min(new, 64 << 20))).consists(of: 0))
        }
    }

    @Test("The tail of the last block does not show what stood there")
    func tail() throws {
        for isShort in [false, true] {
            var builder = ImageBuilder(virtualSize: (1 << 20) + 512, blockSize: 2 << 20)
            builder.addBlock(0, content: [UInt8](1, (1 << 20) + 512) + [UInt8](0xEE, 512))
            if isShort { builder.fileSize = builder.nextOffset - (2 << 20) + (1 << 20) + 1024 }
            let file = builder.build()
            try grow(file, to: 2 << 20)
            let bytes = try content(of: file, at: 0, count: 2 << 20)
            #expect(Array(bytes[..<((1 << 20) + 512)]).consists(of: 1))
            #expect(Array(bytes[((1 << 20) + 512)...]).consists(of: 0))
        }
    }

    @Test("A differencing image grows, and shows its parent where that is larger")
    func differencing() throws {
        var builder = ImageBuilder(virtualSize: (2 << 20) + 1024, kind: .differencing)
        builder.addLocator()
        builder.addBlock(2, state: 7, content: [UInt8](0x22, 4096))
        // Bits behind the end of the disk are garbage.
        builder.addBitmap(ofChunk: 0, sectors: [2 * 2048..<2 * 2048 + 1, 2 * 2048 + 2..<3 * 2048])
        let file = builder.build()
        var base = ImageBuilder(virtualSize: 4 << 20)
        for block in 0..<4 as Range<UInt64> { base.addBlock(block, content: [UInt8](9, 1 << 20)) }
        let parent = ImageParent(try ImageReader(base.build()))
        try ImageWriter(file, parent: parent).grow(to: 5 << 30)
        let bytes = try ImageReader(file, parent: parent).bytes(at: 2 << 20, count: 4 << 20)
        #expect(Array(bytes[..<512]).consists(of: 0x22))
        #expect(Array(bytes[512..<2 << 20]).consists(of: 9))
        #expect(Array(bytes[(2 << 20)...]).consists(of: 0))
    }

    @Test(
        "A size that is not larger, or not allowed, changes nothing",
        arguments: [0, 1 << 20, 8 << 20, (8 << 20) + 1, (64 << 40) + 512, .max] as [UInt64])
    func refused(size: UInt64) throws {
        let file = ImageBuilder(virtualSize: 8 << 20).build()
        let before = file.content
        #expect(throws: VHDXError.self) { try grow(file, to: size) }
        #expect(file.content == before)
    }
}

/// Growth through power cuts and failing calls.
@Suite("Growing: power cuts and failing calls")
struct ImageGrowthCrashTests {
    /// What is grown: an image, the size it gets, and its parent.
    struct Case: Sendable {
        var name: String
        var base: SparseBytes
        var old: UInt64
        var new: UInt64
        var parent: SparseBytes?

        init(_ name: String, _ builder: ImageBuilder, to new: UInt64, parent: SparseBytes? = nil) {
            self.name = name
            base = builder.build().content
            old = builder.virtualSize
            self.new = new
            self.parent = parent
        }

        func parent<File: RandomAccessFile>(
            _ wrap: (MemoryFile) -> File
        ) throws(VHDXError) -> ImageParent<File>? {
            guard let parent else { return nil }
            return ImageParent(try ImageReader(wrap(MemoryFile(content: parent))))
        }

        /// What is wrong with a file that a crash left; the image has one size or the other.
        func fault(in file: MemoryFile, mustBeNew: Bool) -> String? {
            do {
                if let fault = try errorFound(in: file) { return fault }
                let parent = try parent { $0 }
                let reader = try ImageReader(file, parent: parent)
                let size = reader.geometry.virtualSize
                guard size == new || size == old && !mustBeNew else { return "size \(size)" }
                let start = old - min(old, 1 << 20)
                for offset in Set([0, start, size - 512]) {
                    let end = min(offset + (3 << 20), size)
                    for place in stride(from: offset, to: end, by: 65536 - 512) {
                        let byte = try reader.bytes(at: place, count: 1)[0]
                        let expected = place < old ? expected(at: place) : 0
                        guard byte == expected else { return "\(byte) at \(place)" }
                    }
                }
                guard reader.info.logIsDirty else { return nil }
                try ImageWriter(file, parent: parent).close()
                let replayed = try ImageReader(file, parent: parent)
                return replayed.geometry.virtualSize == size ? nil : "replay changes the size"
            } catch {
                return "\(error)"
            }
        }

        /// Every block of these images holds one value.
        private func expected(at place: UInt64) -> UInt8 {
            place >= old - (old - 1) % (1 << 20) - 1 ? 0x77 : place < 1 << 20 ? 0x11 : 0
        }
    }

    static let cases: [Case] = {
        func builder(_ size: UInt64, _ kind: ImageBuilder.Kind = .dynamic) -> ImageBuilder {
            var builder = ImageBuilder(virtualSize: size, kind: kind)
            let last = (size - 1) >> 20
            if kind == .fixed { builder.addAllBlocks() }
            builder.addBlock(0, content: [UInt8](0x11, 1 << 20))
            builder.addBlock(last, content: [UInt8](0x77, 1 << 20))
            let end = builder.batIndex(ofBlock: last) + 1
            if kind != .differencing {
                for index in end..<end + 100 { builder.rawBATEntries[index] = .max }
            }
            return builder
        }
        var differencing = builder((4 << 20) + 512, .differencing)
        differencing.addLocator()
        return [
            Case("in place", builder((4 << 20) + 512), to: 40 << 20),
            Case("table moves", builder((4 << 20) + 512), to: 200 << 30),
            Case("fixed", builder((4 << 20) + 512, .fixed), to: 700 << 20),
            Case(
                "differencing", differencing, to: 6 << 30,
                parent: ImageBuilder(virtualSize: 4 << 20).build().content),
        ]
    }()

    @Test("A power cut leaves the old size or the new one")
    func powerCuts() throws {
        for test in Self.cases {
            let file = PowerCutFile(content: test.base)
            let parent = try test.parent { PowerCutFile(content: $0.content) }
            try ImageWriter(file, parent: parent).grow(to: test.new)
            file.mark("done")
            file.forEachCrashState(
                of: "growing, \(test.name)", seed: 5, limit: 48, garbling: 65536..<1 << 20
            ) { state in
                let fault = test.fault(in: state.file, mustBeNew: state.marks.contains("done"))
                #expect(fault == nil, "\(test.name): \(state.description)")
            }
        }
    }

    @Test("Without its flushes it would not")
    func everyFlushCounts() throws {
        let test = Self.cases[1]
        let counting = PowerCutFile(content: test.base)
        try ImageWriter(counting).grow(to: test.new)
        var unnoticed: [Int] = []
        for flush in 0..<counting.flushCount {
            let file = PowerCutFile(content: test.base, ignoredFlushes: [flush])
            try ImageWriter(file).grow(to: test.new)
            var isNoticed = false
            file.forEachCrashState(seed: 7, limit: 96, garbling: 65536..<1 << 20) { state in
                guard !isNoticed, state.flushCount == flush else { return }
                isNoticed = test.fault(in: state.file, mustBeNew: false) != nil
            }
            if !isNoticed { unnoticed.append(flush) }
        }
        // A header's second copy and the content before the log is opened are covered by the next.
        #expect(unnoticed == [1, 2, 5, 9], "of \(counting.flushCount)")
    }

    @Test("Whichever call fails, the image has the old size or the new one")
    func failures() throws {
        var caseCount = 0
        for test in Self.cases {
            let counting = FailingFile(MemoryFile(content: test.base))
            let countingParent = try test.parent { FailingFile($0) }
            try ImageWriter(counting, parent: countingParent).grow(to: test.new)
            for index in 0..<counting.callCount {
                for (errno, partial) in [(EIO, 0), (ENOSPC, 700)] {
                    let memory = MemoryFile(content: test.base)
                    let plan = FailingFile.Plan(
                        failing: index, errno: errno, partialByteCount: partial)
                    let file = FailingFile(memory, plan: plan)
                    let parent = try test.parent { FailingFile($0) }
                    do {
                        try ImageWriter(file, parent: parent).grow(to: test.new)
                    } catch {
                        guard case .file(.system) = error else {
                            Issue.record("\(test.name), call \(index): \(error)")
                            continue
                        }
                    }
                    caseCount += 1
                    let fault = test.fault(in: memory, mustBeNew: false)
                    #expect(fault == nil, "\(test.name), call \(index), \(partial) bytes of it")
                }
            }
        }
        print("failing calls: growing: \(caseCount)")
    }
}
