import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

/// A replica that is marked, written to, and unmarked.
struct MarkingScenario {
    /// Headers, log, metadata and table: all that has a second copy, a checksum or the log.
    static let protectedRange: Range<UInt64> = 65536..<4 << 20
    static let mark = ApplyMark(
        streamID: GUID(ImageBuilder.streamID) ?? .zero, journalPath: "/a.vhdx.resync")
    static let chosen = GUID("99999999-0000-4000-8000-000000000001") ?? .zero

    /// What has returned.
    enum Step: String {
        case marked, committed, unmarked
    }

    /// Blocks 0 and 48 hold other values; 96 and 144 are not there. Their entries stand in different
    /// sectors of the table.
    private static let overwritten: [UInt64] = [0, 48]
    private static let allocated: [UInt64] = [96, 144]
    private static let cells: [UInt64] = [0, 512, 8192, (1 << 20) - 512]

    let base: SparseBytes

    init() {
        var builder = ImageBuilder(virtualSize: 192 << 20)
        for block in Self.overwritten {
            builder.addBlock(block, content: [UInt8](Self.value(of: block, isNew: false), 1 << 20))
        }
        base = builder.build().content
    }

    /// What overwritten blocks hold for a time.
    private static let passingValue: UInt8 = 0x55

    private static func value(of block: UInt64, isNew: Bool) -> UInt8 {
        isNew
            ? 0x80 + UInt8(block / 48) : overwritten.contains(block) ? 0x10 + UInt8(block / 48) : 0
    }

    func run<File: RandomAccessFile>(
        on file: File, _ hasReturned: (Step) -> Void = { _ in }
    ) throws(VHDXError) {
        let writer = try ImageWriter(file)
        do throws(VHDXError) {
            writer.chooseDataWriteGUID(Self.chosen)
            try writer.setMark(Self.mark)
            hasReturned(.marked)
            for block in Self.overwritten {
                try writer.fill(Self.passingValue, count: 1 << 20, at: block << 20)
            }
            try fill(Self.allocated[0], writer)
            try writer.commit()
            hasReturned(.committed)
            // What removing the mark has to commit first.
            for block in Self.overwritten { try fill(block, writer) }
            try fill(Self.allocated[1], writer)
            try writer.removeMark()
            hasReturned(.unmarked)
        } catch {
            writer.abandon()
            throw error
        }
        try writer.close()
    }

    private func fill(
        _ block: UInt64, _ writer: borrowing ImageWriter<some RandomAccessFile>
    ) throws(VHDXError) {
        try writer.fill(Self.value(of: block, isNew: true), count: 1 << 20, at: block << 20)
    }

    // MARK: What is left

    /// What is wrong with a file that a crash left after these steps, or nil: it reads as before, or
    /// it is marked, or it reads as it should in the end.
    func fault(in file: MemoryFile, after steps: [Step]) -> String? {
        do {
            let errors = try ImageCheck(file).findings.filter { $0.severity == .error }
            if let error = errors.first(where: { $0.rule != .unfinishedApply }) {
                return error.message
            }
            if let fault = try faultForOldReaders(in: file) { return fault }
            guard let refusal = readingRefusal(of: file) else {
                guard errors.isEmpty else { return "only the check sees the mark" }
                return try faultOfUnmarked(file, after: steps)
            }
            guard refusal == .unfinishedApply(path: path, mark: Self.mark) else {
                return "\(refusal)"
            }
            if steps.contains(.unmarked) { return "marked after its mark was removed" }
            return errors.count == 1 ? try faultOfMarked(file) : "the check does not see the mark"
        } catch {
            return "\(error)"
        }
    }

    private func faultOfUnmarked(_ file: MemoryFile, after steps: [Step]) throws -> String? {
        let reader = try ImageReader(file)
        let isNew = steps.contains(.committed)
        let isOld = steps.isEmpty
        guard try isOld && reads(reader, isNew: false) || isNew && reads(reader, isNew: true)
        else { return "not marked, and neither old nor new after \(steps)" }
        if isNew, reader.dataWriteGUID != Self.chosen { return "new under another GUID" }
        return try faultOfReplay(file, acceptsMark: false)
    }

    private func faultOfMarked(_ file: MemoryFile) throws -> String? {
        let reader = try ImageReader(file, acceptsMark: true)
        guard reader.mark == Self.mark else { return "another mark" }
        if reader.dataWriteGUID != Self.chosen { return "marked under another GUID" }
        for block in Self.overwritten + Self.allocated {
            for cell in Self.cells {
                let bytes = try reader.bytes(at: block << 20 + cell, count: 512)
                let values =
                    [Self.passingValue]
                    + [false, true].map { Self.value(of: block, isNew: $0) }
                guard values.contains(where: bytes.consists) else { return "a torn sector" }
            }
        }
        return try faultOfReplay(file, acceptsMark: true)
    }

    /// Replay on disk leaves what it gave in memory.
    private func faultOfReplay(_ file: MemoryFile, acceptsMark: Bool) throws -> String? {
        let reader = try ImageReader(file, acceptsMark: acceptsMark)
        guard reader.info.logIsDirty else { return nil }
        let before = try cells(reader)
        try ImageWriter(file, acceptsMark: acceptsMark).close()
        let second = try ImageReader(file, acceptsMark: acceptsMark)
        guard second.mark == reader.mark, try cells(second) == before else {
            return "replay on disk and in memory differ"
        }
        return second.info.logIsDirty ? "the log stays dirty after a writer" : nil
    }

    private func cells(_ reader: borrowing ImageReader<MemoryFile>) throws -> [[UInt8]] {
        var cells: [[UInt8]] = []
        for block in Self.overwritten + Self.allocated {
            for cell in Self.cells {
                cells.append(try reader.bytes(at: block << 20 + cell, count: 512))
            }
        }
        return cells
    }

    private func reads(
        _ reader: borrowing ImageReader<MemoryFile>, isNew: Bool
    ) throws -> Bool {
        for block in Self.overwritten + Self.allocated {
            let bytes = try reader.bytes(at: block << 20, count: 1 << 20)
            guard bytes.consists(of: Self.value(of: block, isNew: isNew)) else { return false }
        }
        return true
    }

    /// Who does not know the log finds the mark where content is neither old nor new, too.
    private func faultForOldReaders(in file: MemoryFile) throws -> String? {
        let metadata: UInt64 = 2 << 20
        let table: UInt64 = 3 << 20
        let id = file.peek(at: metadata + 32 + 5 * 32, count: 16)
        let isMarked =
            file.peek(UInt16.self, at: metadata + 10) == 6
            && GUID(decoding: id.rawSpan, at: 0) == ApplyMark.itemID
        if isMarked { return nil }
        func reads(_ block: UInt64, isNew: Bool) -> Bool {
            let entry = file.peek(UInt64.self, at: table + block * 8)
            let value = Self.value(of: block, isNew: isNew)
            guard entry & 7 == 6 else { return value == 0 }
            return file.peek(at: entry & ~0xFFFFF, count: 1 << 20).consists(of: value)
        }
        let blocks = Self.overwritten + Self.allocated
        let isWhole = [false, true].contains { isNew in
            blocks.allSatisfy { reads($0, isNew: isNew) }
        }
        return isWhole ? nil : "without its log it is half-written and not marked"
    }
}

@Suite("Marking an image: power cuts and failing calls")
struct ImageMarkingCrashTests {
    private let scenario = MarkingScenario()

    /// The first fault that a power cut during the scenario can cause, or nil.
    private func firstFault(
        ignoring ignoredFlushes: Set<Int> = [], seed: UInt64, limit: Int
    ) throws -> String? {
        let file = PowerCutFile(content: scenario.base, ignoredFlushes: ignoredFlushes)
        try scenario.run(on: file) { file.mark($0.rawValue) }
        var fault: String?
        let garbling = MarkingScenario.protectedRange
        let name = ignoredFlushes.isEmpty ? "marking, seed \(seed)" : nil
        file.forEachCrashState(of: name, seed: seed, limit: limit, garbling: garbling) { state in
            // Where a flush is ignored, only the stretch around it is another than before.
            guard fault == nil, ignoredFlushes.isEmpty || ignoredFlushes.contains(state.flushCount)
            else { return }
            let steps = state.marks.compactMap(MarkingScenario.Step.init)
            fault = scenario.fault(in: state.file, after: steps).map {
                "\($0); \(state.description)"
            }
        }
        return fault
    }

    @Test(
        "A power cut leaves the old disk, a marked one or the new one",
        arguments: [1, 2] as [UInt64])
    func powerCuts(seed: UInt64) throws {
        #expect(try firstFault(seed: seed, limit: 24) == nil)
    }

    @Test("Without its flushes it would not")
    func everyFlushCounts() throws {
        let counting = PowerCutFile(content: scenario.base)
        try scenario.run(on: counting)
        var unnoticed: [Int] = []
        for flush in 0..<counting.flushCount
        where try firstFault(ignoring: [flush], seed: 3, limit: 64) == nil {
            unnoticed.append(flush)
        }
        // Those of a header's second copy, and of what there was before the log is opened, are covered
        // by the next. The entry before that of flush 11 changes the same page of the table. Of 14,
        // after the mark's removal, and 15, on closing, each does the other's work.
        #expect(unnoticed == [1, 2, 5, 11, 14, 15, 17], "of \(counting.flushCount)")
    }

    @Test(
        "The mark is durable in its place before content is written, and goes after that is durable",
        arguments: [
            // After the pages of the mark.
            ([7], "without its log it is half-written and not marked"),
            // Before the entry that removes it.
            ([12], "not marked, and neither old nor new"),
            // Before the log is marked as empty.
            ([14, 15], "marked after its mark was removed"),
        ] as [(Set<Int>, String)])
    func flushesOfTheMark(ignored: Set<Int>, fault: String) throws {
        let found = try firstFault(ignoring: ignored, seed: 3, limit: 64)
        #expect(found?.hasPrefix(fault) == true, "\(found ?? "no fault")")
    }

    @Test(
        "Whichever call fails, the image is old, marked or new",
        arguments: [false, true])
    func failures(isPermanent: Bool) throws {
        let counting = FailingFile(MemoryFile(content: scenario.base))
        try scenario.run(on: counting)
        print("failing calls: marking: \(counting.callCount * 2)")
        for index in 0..<counting.callCount {
            for (errno, partial) in [(EIO, 0), (ENOSPC, 1536)] {
                let memory = MemoryFile(content: scenario.base)
                let plan = FailingFile.Plan(
                    failing: index, errno: errno, partialByteCount: partial,
                    isPermanent: isPermanent)
                var steps: [MarkingScenario.Step] = []
                do throws(VHDXError) {
                    try scenario.run(on: FailingFile(memory, plan: plan)) { steps.append($0) }
                    if isPermanent { Issue.record("call \(index) did not fail") }
                } catch {
                    guard case .file(.system(_, path: path, at: _, errno: errno)) = error else {
                        Issue.record("call \(index): \(error)")
                        continue
                    }
                }
                let fault = scenario.fault(in: memory, after: steps)
                #expect(fault == nil, "call \(index), \(partial) bytes of it")
            }
        }
    }
}
