import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("ImageWriter: power cuts and failing calls")
struct ImageWriterCrashTests {
    /// The first fault that a power cut during the scenario can cause, or nil.
    private func firstFault(
        ignoring ignoredFlushes: Set<Int> = [], seed: UInt64, limit: Int
    ) throws -> String? {
        var scenario = try WriteScenario()
        let file = PowerCutFile(content: scenario.base, ignoredFlushes: ignoredFlushes)
        try scenario.run(on: file) { file.mark("commit") }
        var fault: String?
        let garbling = WriteScenario.protectedRange
        let name = ignoredFlushes.isEmpty ? "writing, seed \(seed)" : nil
        file.forEachCrashState(of: name, seed: seed, limit: limit, garbling: garbling) { state in
            // Where a flush is ignored, only the stretch around it is another than before.
            guard fault == nil, ignoredFlushes.isEmpty || ignoredFlushes.contains(state.flushCount)
            else { return }
            fault = scenario.history.fault(
                in: state.file, afterCommits: state.marks.count, original: scenario.dataWriteGUID
            ).map { "\($0); \(state.description)" }
        }
        return fault
    }

    @Test("A power cut leaves an image with each sector old or new", arguments: [1, 2] as [UInt64])
    func powerCuts(seed: UInt64) throws {
        #expect(try firstFault(seed: seed, limit: 24) == nil)
    }

    @Test("Without any one of its flushes it would not")
    func everyFlushCounts() throws {
        var scenario = try WriteScenario()
        let counting = PowerCutFile(content: scenario.base)
        try scenario.run(on: counting)
        var unnoticed: [Int] = []
        for flush in 0..<counting.flushCount {
            if try firstFault(ignoring: [flush], seed: 3, limit: 64) == nil {
                unnoticed.append(flush)
            }
        }
        // Needless by this measure are the first flush of content, which that of the log's first
        // entry covers, and those of a header's second copy, which the next one covers.
        #expect(unnoticed == [1, 2, 5, 15], "of \(counting.flushCount)")
    }

    @Test("An abandoned session keeps what was committed, and leaves a clean log")
    func abandonedAfterACommit() throws {
        let file = ImageBuilder(virtualSize: 16 << 20).build()
        let writer = try ImageWriter(file)
        let content = [UInt8](repeating: 0x5A, count: 4096)
        try writer.write(content.rawSpan, at: 0)
        try writer.commit()
        let size = try file.byteCount()
        try writer.write(content.rawSpan, at: 5 << 20)
        writer.abandon()
        #expect(try file.byteCount() == size)
        let reader = try ImageReader(file)
        #expect(!reader.info.logIsDirty)
        #expect(reader.info.blockStates.fullyPresent == 1)
        #expect(try reader.bytes(at: 0, count: 4096) == content)
        #expect(try reader.bytes(at: 5 << 20, count: 4096).allSatisfy { $0 == 0 })
    }

    @Test("After a flush failed, no later one makes up for it")
    func failedFlushIsFinal() throws {
        let memory = ImageBuilder(virtualSize: 16 << 20).build()
        let plan = FailingFile.Plan(failing: 0, of: [.flush], errno: EIO)
        let writer = try ImageWriter(FailingFile(memory, plan: plan))
        let content = [UInt8](repeating: 0x5A, count: 4096)
        for _ in 0..<3 {
            #expect(throws: VHDXError.self) { try writer.write(content.rawSpan, at: 0) }
        }
        #expect(throws: VHDXError.self) { try writer.commit() }
        #expect(readingRefusal(of: memory) == nil)
    }

    @Test("The scenario leaves what it should while nothing fails")
    func withoutFaults() throws {
        var scenario = try WriteScenario()
        let file = MemoryFile(content: scenario.base)
        try scenario.run(on: file)
        #expect(scenario.history.commitCount == 4)
        #expect(
            scenario.history.fault(
                in: file, afterCommits: 4, original: scenario.dataWriteGUID) == nil)
        #expect(try !ImageReader(file).info.logIsDirty)
    }

    @Test(
        "Whichever call fails, the image stays one, and keeps what was committed",
        arguments: [false, true])
    func failures(isPermanent: Bool) throws {
        var counting = try WriteScenario()
        let countingFile = FailingFile(MemoryFile(content: counting.base))
        try counting.run(on: countingFile)
        print("failing calls: writing: \(countingFile.callCount * 2)")
        for index in 0..<countingFile.callCount {
            for (errno, partial) in [(EIO, 0), (ENOSPC, 700)] {
                var scenario = try WriteScenario()
                let memory = MemoryFile(content: scenario.base)
                let plan = FailingFile.Plan(
                    failing: index, errno: errno, partialByteCount: partial,
                    isPermanent: isPermanent)
                let file = FailingFile(memory, plan: plan)
                var hasFailed = false
                do throws(VHDXError) {
                    try scenario.run(on: file)
                } catch {
                    hasFailed = true
                    guard case .file(.system(_, path: path, at: _, errno: errno)) = error else {
                        Issue.record("call \(index): \(error)")
                        continue
                    }
                }
                // Giving space back may fail without anyone caring.
                if isPermanent { #expect(hasFailed, "call \(index)") }
                let fault = scenario.history.fault(
                    in: memory, afterCommits: scenario.history.commitCount,
                    original: scenario.dataWriteGUID)
                #expect(fault == nil, "call \(index), \(partial) bytes of it")
            }
        }
    }

    @Test("A failing call and then a power cut leave an image too")
    func failureThenCut() throws {
        var counting = try WriteScenario()
        let countingFile = FailingFile(MemoryFile(content: counting.base))
        try counting.run(on: countingFile)
        let total = countingFile.callCount
        for index in stride(from: 0, to: total, by: 3) {
            var scenario = try WriteScenario()
            let file = CutAfterFailure(content: scenario.base, failing: index)
            try? scenario.run(on: file) { file.power.mark("commit") }
            file.power.forEachCrashState(seed: UInt64(index), limit: 8) { state in
                guard state.flushCount >= file.flushCountAtFailure else { return }
                let fault = scenario.history.fault(
                    in: state.file, afterCommits: state.marks.count,
                    original: scenario.dataWriteGUID)
                #expect(fault == nil, "call \(index): \(state.description)")
            }
        }
    }

    @Test("A commit of more table pages than one log entry holds fails safely in its middle")
    func failureInLongCommit() throws {
        // 1 MiB of log holds some 126 pages in half of it: 200 pages take two entries.
        let base = ImageBuilder(virtualSize: 128 << 30).build().content
        func run(on file: FailingFile, _ plan: FailingFile.Plan?) throws(VHDXError) {
            let writer = try ImageWriter(file)
            do throws(VHDXError) {
                for page in 0..<200 as Range<UInt64> {
                    try writer.fill(7, count: 512, at: page * 512 << 20)
                }
                file.follow(plan)
                try writer.commit()
            } catch {
                writer.abandon()
                throw error
            }
            try writer.close()
        }
        let counting = FailingFile(MemoryFile(content: base))
        try run(on: counting, nil)
        let calls = counting.callCount
        #expect(calls > 400)
        // The log is opened after some 200 reservations; its second entry follows 126 pages.
        let places = [0, 100, 270] + Array(201..<209) + Array(334..<340)
        for index in places + Array(calls - 3..<calls) {
            let memory = MemoryFile(content: base)
            try? run(on: FailingFile(memory), .init(failing: index, errno: ENOSPC))
            #expect(readingRefusal(of: memory) == nil, "call \(index)")
        }
    }

    @Test("No space for a new block is an error, and the image stays as it was")
    func noSpace() throws {
        var builder = ImageBuilder(virtualSize: 16 << 20)
        builder.addBlock(0, content: [1])
        let memory = builder.build()
        let file = FailingFile(memory)
        let writer = try ImageWriter(file)
        try writer.fill(2, count: 512, at: 1 << 20)
        try writer.commit()
        file.follow(.init(failing: 0, of: [.write, .setByteCount, .reserve], errno: ENOSPC))
        #expect(throws: VHDXError.self) { try writer.fill(3, count: 512, at: 2 << 20) }
        file.follow(nil)
        writer.abandon()
        #expect(readingRefusal(of: memory) == nil)
        #expect(try content(of: memory, at: 1 << 20, count: 512).consists(of: 2))
        #expect(try content(of: memory, at: 2 << 20, count: 512).consists(of: 0))
    }

    @Test("A read that fails is an error with its place, for reader and writer")
    func failingReads() throws {
        var builder = ImageBuilder(virtualSize: 4 << 20)
        builder.addBlock(0, content: [1])
        let memory = builder.build()
        let counting = FailingFile(memory, plan: .init(failing: .max, of: [.read], errno: EIO))
        _ = try ImageReader(counting).bytes(at: 0, count: 512)
        for index in 0..<counting.callCount {
            let file = FailingFile(memory, plan: .init(failing: index, of: [.read], errno: EIO))
            do throws(VHDXError) {
                _ = try ImageReader(file).bytes(at: 0, count: 512)
                Issue.record("read \(index) did not fail")
            } catch {
                guard case .file(.system(.read, path: path, at: _?, errno: EIO)) = error else {
                    Issue.record(error, "read \(index)")
                    continue
                }
            }
        }
    }
}

/// A file of which one call fails, and which may lose power afterwards.
private final class CutAfterFailure: RandomAccessFile {
    let power: PowerCutFile
    private let state: Lock<(remaining: Int, flushCountAtFailure: Int)>

    init(content: SparseBytes, failing index: Int) {
        power = PowerCutFile(content: content)
        state = Lock((index, 0))
    }

    var flushCountAtFailure: Int { state.withLock { $0.flushCountAtFailure } }

    private func check(_ operation: FileOperation) throws(FileError) {
        let isFailing = state.withLock { state in
            state.remaining -= 1
            guard state.remaining == -1 else { return false }
            state.flushCountAtFailure = power.flushCount
            return true
        }
        if isFailing { throw .system(operation, path: name, at: nil, errno: EIO) }
    }

    var name: String { power.name }
    func byteCount() throws(FileError) -> UInt64 { try power.byteCount() }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        try power.read(into: &buffer, at: offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        try check(.write)
        try power.write(bytes, at: offset)
    }

    func deallocate(_ range: Range<UInt64>) throws(FileError) {
        try check(.deallocate)
        try power.deallocate(range)
    }

    func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        try check(.write)
        try power.writeZeros(range)
    }

    func reserve(_ range: Range<UInt64>) throws(FileError) {
        try check(.allocate)
        try power.reserve(range)
    }

    func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try check(.resize)
        try power.setByteCount(byteCount)
    }

    func flush() throws(FileError) {
        try check(.flush)
        try power.flush()
    }

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        try power.nextData(from: offset, limit: limit)
    }
}
