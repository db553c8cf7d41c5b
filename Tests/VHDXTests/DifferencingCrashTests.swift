import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

/// A session on a differencing image: whole blocks, parts of blocks, zeroing, and sectors on both
/// sides of a chunk's edge, in several commits.
struct DifferencingScenario {
    private(set) var history = ContentHistory()
    let base: SparseBytes
    let parent: SparseBytes
    let dataWriteGUID: GUID

    /// The first sectors, one in the middle, and the last of each block.
    private static let cells: [UInt64] = [0, 512, 8192, 524_288, (1 << 20) - 512]
    /// At the start, far from there, and at the edge of the chunk: on several pages of the table
    /// and of the sector bitmaps.
    private static let blocks: [UInt64] = [0, 1, 2, 3, 700, 4094, 4095, 4096, 4097]

    init() throws {
        let size: UInt64 = (4 << 30) + (4 << 20)
        var below = ImageBuilder(virtualSize: size)
        for block in Self.blocks { below.addBlock(block, content: [UInt8](0x10, 1 << 20)) }
        parent = below.build().content
        var builder = ImageBuilder(virtualSize: size, kind: .differencing)
        builder.addLocator()
        builder.addBlock(0, content: [UInt8](0x11, 1 << 20))
        builder.addBlock(1, state: 7, content: [UInt8](0x12, 1 << 20))
        // Of block 1 the first two sectors count. Block 2 is absent, and has bits from before.
        builder.addBitmap(ofChunk: 0, sectors: [2048..<2050, 4096..<4100])
        builder.addBlock(3, state: 2)
        builder.fileSize = builder.nextOffset
        let file = builder.build()
        base = file.content
        dataWriteGUID = try ImageReader(file, parent: Self.parent(parent) { $0 }).dataWriteGUID
        for block in Self.blocks {
            for cell in Self.cells {
                let isOwn = block == 0 || block == 1 && cell < 1024
                let own: UInt8 = block == 0 ? 0x11 : 0x12
                history.track(block << 20 + cell, block == 3 ? 0 : isOwn ? own : 0x10)
            }
        }
    }

    static func parent<File: RandomAccessFile>(
        _ content: SparseBytes, _ wrap: (MemoryFile) -> File
    ) throws(VHDXError) -> ImageParent<File> {
        ImageParent(
            try ImageReader(wrap(MemoryFile(name: "/memory/parent.vhdx", content: content))))
    }

    /// Runs the session; `onCommit` is called when a commit has returned.
    mutating func run<File: RandomAccessFile>(
        on file: File, wrap: (MemoryFile) -> File, onCommit: () -> Void = {}
    ) throws(VHDXError) {
        let writer = try ImageWriter(file, parent: Self.parent(parent, wrap))
        try history.session(writer, onCommit) { (history, writer) throws(VHDXError) in
            try Self.steps(writer, noting: &history, onCommit)
        }
    }

    private static func steps(
        _ writer: borrowing ImageWriter<some RandomAccessFile>,
        noting history: inout ContentHistory, _ onCommit: () -> Void
    ) throws(VHDXError) {
        // Sectors of an absent block with old bits; more of a partial one; a whole block; an edge.
        try history.fill(0x21, 2 << 20 + 512..<2 << 20 + 1024, writer)
        try history.fill(0x22, 1 << 20 + 512..<1 << 20 + 16384, writer)
        try history.fill(0x23, 700 << 20..<701 << 20, writer)
        try history.fill(0x24, 4096 << 20 - 512..<4096 << 20 + 512, writer)
        try history.commit(writer, onCommit)
        // The rest of a block, which becomes present as a whole; zeros, in part and as a whole.
        try history.fill(0x31, 2 << 20..<2 << 20 + 524_288, writer)
        try history.fill(0x32, 2 << 20 + 524_288..<3 << 20, writer)
        try history.zero(4097 << 20 + 8192..<4097 << 20 + 16384, writer)
        try history.zero(0..<1 << 20, writer)
        try history.zero(4094 << 20..<4095 << 20, writer)
        try history.commit(writer, onCommit)
        // Freed space is used again, by a part of a block that reads as zeros.
        try history.fill(0x41, 3 << 20..<3 << 20 + 1024, writer)
        try history.zero(1 << 20 + 8192..<1 << 20 + 12288, writer)
        try history.zero(700 << 20..<701 << 20, writer)
        // The rest of a block, of which nothing but zeros is left.
        try history.zero(4097 << 20..<4097 << 20 + 8192, writer)
        try history.zero(4097 << 20 + 16384..<4098 << 20, writer)
        try history.fill(0x42, 4095 << 20 + 8192..<4096 << 20, writer)
    }

    /// What is wrong with an image that a crash or an error left; nil if nothing is.
    func fault(in file: MemoryFile, afterCommits count: Int) -> String? {
        do {
            let below = try Self.parent(parent) { $0 }
            return history.fault(
                in: file, parent: below, afterCommits: count, original: dataWriteGUID)
        } catch {
            return "\(error)"
        }
    }
}

@Suite("Differencing images: power cuts and failing calls")
struct DifferencingCrashTests {
    @Test("A power cut leaves each sector old or new", arguments: [1, 2] as [UInt64])
    func powerCuts(seed: UInt64) throws {
        var scenario = try DifferencingScenario()
        let file = PowerCutFile(content: scenario.base)
        try scenario.run(on: file, wrap: { PowerCutFile(content: $0.content) }) {
            file.mark("commit")
        }
        file.forEachCrashState(
            of: "differencing, seed \(seed)", seed: seed, limit: 24,
            garbling: WriteScenario.protectedRange
        ) { state in
            let fault = scenario.fault(in: state.file, afterCommits: state.marks.count)
            #expect(fault == nil, "\(state.description)")
        }
    }

    @Test("Without any one of its flushes it would not")
    func everyFlushCounts() throws {
        let scenario = try DifferencingScenario()
        var counted = scenario
        let counting = PowerCutFile(content: scenario.base)
        try counted.run(on: counting) { PowerCutFile(content: $0.content) }
        var unnoticed: [Int] = []
        for flush in 0..<counting.flushCount {
            var scenario = scenario
            let file = PowerCutFile(content: scenario.base, ignoredFlushes: [flush])
            try scenario.run(on: file, wrap: { PowerCutFile(content: $0.content) }) {
                file.mark("commit")
            }
            var isNoticed = false
            file.forEachCrashState(seed: 4, limit: 64, garbling: WriteScenario.protectedRange) {
                state in
                guard !isNoticed, state.flushCount == flush else { return }
                isNoticed = scenario.fault(in: state.file, afterCommits: state.marks.count) != nil
            }
            if !isNoticed { unnoticed.append(flush) }
        }
        // As in a session on an image without a parent.
        #expect(unnoticed == [1, 2, 5, 13], "of \(counting.flushCount)")
    }

    @Test("Whichever call fails, each sector is old or new", arguments: [false, true])
    func failures(isPermanent: Bool) throws {
        let scenario = try DifferencingScenario()
        var counted = scenario
        let counting = FailingFile(MemoryFile(content: scenario.base))
        try counted.run(on: counting) { FailingFile($0) }
        var caseCount = 0
        for index in 0..<counting.callCount {
            for (errno, partial) in [(EIO, 0), (ENOSPC, 512)] {
                var scenario = scenario
                let memory = MemoryFile(content: scenario.base)
                let plan = FailingFile.Plan(
                    failing: index, errno: errno, partialByteCount: partial,
                    isPermanent: isPermanent)
                var failure: VHDXError?
                do throws(VHDXError) {
                    let file = FailingFile(memory, plan: plan)
                    try scenario.run(on: file) { FailingFile($0) }
                } catch {
                    failure = error
                }
                // Giving space back may fail without anyone caring.
                if isPermanent { #expect(failure != nil, "call \(index)") }
                if let failure {
                    guard case .file(.system(_, path: path, at: _, errno: errno)) = failure else {
                        Issue.record("call \(index): \(failure)")
                        continue
                    }
                }
                caseCount += 1
                let fault = scenario.fault(
                    in: memory, afterCommits: scenario.history.commitCount)
                #expect(fault == nil, "call \(index), \(partial) bytes of it")
            }
        }
        print("failing calls: differencing: \(caseCount)")
    }

    @Test("A commit of several log entries never shows a block before its bitmap")
    func longCommit() throws {
        // For each chunk a page of its bitmap and one of the table, which also has the entry of the
        // bitmap before: more than the 126 pages that one log entry takes.
        let chunkCount: UInt64 = 100
        let size = chunkCount << 32
        var builder = ImageBuilder(virtualSize: size, kind: .differencing)
        builder.addLocator()
        let base = builder.build().content
        let below = ImageBuilder(virtualSize: 1 << 20).build().content
        let parent = try DifferencingScenario.parent(below) { PowerCutFile(content: $0.content) }
        let file = PowerCutFile(content: base)
        let writer = try ImageWriter(file, parent: parent)
        for chunk in 0..<chunkCount { try writer.fill(7, count: 512, at: chunk << 32) }
        let before = file.flushCount
        try writer.commit()
        try writer.close()
        let plain = try DifferencingScenario.parent(below) { $0 }
        var stateCount = 0
        var oldCount = 0
        try file.forEachCrashState(of: "differencing, long commit", seed: 9, limit: 6) { state in
            guard state.flushCount >= before else { return }
            stateCount += 1
            let reader = try ImageReader(state.file, parent: plain)
            for chunk in 0..<chunkCount {
                let byte = try reader.bytes(at: chunk << 32, count: 512)
                #expect(byte.consists(of: 0) || byte.consists(of: 7), "\(state.description)")
                if byte[0] == 0 { oldCount += 1 }
            }
        }
        #expect(stateCount > 20 && oldCount > 0)
    }
}
