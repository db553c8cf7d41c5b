import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: calls that fail, and power cuts")
struct DeltaFaultTests {
    private static let errno: Int32 = 28

    private func isPlanned(_ error: any Error) -> Bool {
        guard case ResyncError.file(.system(_, path: "delta", at: _, errno: Self.errno)) = error
        else { return false }
        return true
    }

    /// Writes a stream in many calls: records alone, gathered ones, and copied ones.
    private func write(_ model: DeltaModel, to file: FailingFile) throws {
        var generator = SeededGenerator(seed: 1)
        var writer = try DeltaWriter(model.header, to: file)
        for entry in model.entries {
            try model.append([entry], to: &writer, using: &generator)
            if generator.next() % 3 == 0 { try writer.flush() }
        }
        _ = try writer.finish(baseRoot: model.roots.base, resultRoot: model.roots.result)
    }

    @Test("Each call of a writer fails in turn, and what is left can be continued")
    func eachCall() throws {
        var generator = SeededGenerator(seed: 1)
        let model = DeltaModel(smallWithSeed: 1)
        let whole = try model.written(using: &generator).allBytes()
        // The file holds another stream at first, which has to go.
        let before = try DeltaModel(smallWithSeed: 9).written(using: &generator).content
        let counting = FailingFile(MemoryFile(name: "delta", content: before))
        try write(model, to: counting)
        #expect(counting.callCount > 15)
        for index in 0..<counting.callCount {
            for partial in [0, 60] {
                let file = MemoryFile(name: "delta", content: before)
                let plan = FailingFile.Plan(
                    failing: index, errno: Self.errno, partialByteCount: partial)
                do {
                    try write(model, to: FailingFile(file, plan: plan))
                    Issue.record("call \(index) failed unnoticed")
                } catch {
                    #expect(isPlanned(error), "call \(index): \(error)")
                }
                let isFinished = try file.allBytes() == whole
                guard !isFinished, try file.byteCount() >= 200, index > 2 else { continue }
                var writer = try DeltaWriter(continuing: file)
                try model.append(
                    model.entries[Int(writer.recordCount)...], to: &writer, using: &generator)
                let done = try writer.finish(
                    baseRoot: model.roots.base, resultRoot: model.roots.result)
                #expect(try done.allBytes() == whole, "call \(index)")
            }
        }
    }

    @Test("After an error a writer does nothing but throw it again")
    func sticky() throws {
        let model = DeltaModel(smallWithSeed: 2)
        let file = FailingFile(MemoryFile(name: "delta"))
        var writer = try DeltaWriter(model.header, to: file)
        try writer.append(zeros: 0..<1)
        file.follow(.init(failing: 0, errno: Self.errno))
        let content = file.file.content
        var generator = SeededGenerator(seed: 1)
        let calls: [(inout DeltaWriter<FailingFile>) throws -> Void] = [
            { try $0.flush() }, { try $0.append(zeros: 1..<2) }, { try $0.flush() },
        ]
        for call in calls { #expect(throws: ResyncError.self) { try call(&writer) } }
        #expect(throws: ResyncError.self) {
            try model.append(model.entries[2...], to: &writer, using: &generator)
        }
        #expect(file.failureCount == 1)
        do throws(ResyncError) {
            _ = try writer.finish(baseRoot: .zero, resultRoot: .zero)
            Issue.record("a stream was finished after an error")
        } catch {
            #expect(isPlanned(error))
        }
        #expect(file.file.content == content)
    }

    @Test("Each call that continues a stream fails in turn")
    func eachContinuingCall() throws {
        var generator = SeededGenerator(seed: 3)
        let model = DeltaModel(smallWithSeed: 3)
        let rest = try Array(model.written(using: &generator).allBytes().dropLast(200))
        for index in 0..<5 {
            let plan = FailingFile.Plan(
                failing: index, of: Set(FailingFile.Call.allCases), errno: Self.errno)
            let file = FailingFile(MemoryFile(delta: rest), plan: plan)
            do {
                _ = try DeltaWriter(continuing: file)
                #expect(file.failureCount == 0 && index == 4)
            } catch {
                #expect(isPlanned(error) && index < 4, "call \(index): \(error)")
            }
        }
    }

    // MARK: Power cuts

    /// How many of the states that a cut could leave break the promises: a stream with a trailer is
    /// right to its end, one without has the first of its records, and a finished one has a trailer.
    private func violations(of model: DeltaModel, _ file: PowerCutFile) -> Int {
        var count = 0
        file.forEachCrashState(seed: 1, limit: 400) { state in
            var isKept: Bool
            do {
                var reader = try DeltaReader(reading: state.file)
                let isOther = reader.header != model.header
                let isWhole = reader.trailer != nil
                let entries = isOther ? [] : try reader.entries()
                isKept = isWhole ? entries == model.entries : model.entries.starts(with: entries)
                if state.marks.contains("finished") { isKept = isKept && isWhole }
                // The stream that was there before.
                if isOther { isKept = !state.marks.contains("finished") }
            } catch ResyncError.damagedDelta(_, let what, at: _) where !what.contains("header") {
                isKept = false
            } catch {
                isKept = !state.marks.contains("finished")
            }
            if !isKept { count += 1 }
        }
        return count
    }

    private func write(_ model: DeltaModel, to file: PowerCutFile) throws {
        var generator = SeededGenerator(seed: 1)
        var writer = try DeltaWriter(model.header, to: file)
        for entry in model.entries {
            try model.append([entry], to: &writer, using: &generator)
            try writer.flush()
        }
        _ = try writer.finish(baseRoot: model.roots.base, resultRoot: model.roots.result)
        file.mark("finished")
    }

    @Test("After a cut, a trailer means that all records are there; without a flush it would not")
    func finishing() throws {
        let model = DeltaModel(smallWithSeed: 4)
        for (ignored, isKept) in [([], true), ([0], false), ([1], false)] as [(Set<Int>, Bool)] {
            let file = PowerCutFile(name: "delta", ignoredFlushes: ignored)
            try write(model, to: file)
            let violations = violations(of: model, file)
            #expect((violations == 0) == isKept, "\(ignored): \(violations)")
        }
    }

    @Test("After a cut, a stream that replaces another has no record of that")
    func replacing() throws {
        var generator = SeededGenerator(seed: 1)
        let model = DeltaModel(smallWithSeed: 5)
        // Of the same lengths, so that old records stand where new ones are to come.
        var other = model
        other.header.streamID = .random(using: &generator)
        other.entries = model.entries.map { entry in
            guard case .data(let first, let content) = entry, content.count > 4095 else {
                return entry
            }
            return .data(first: first, content: [UInt8](repeating: 0x77, count: content.count))
        }
        let before = try other.written(using: &generator).content
        for (ignored, isKept) in [([], true), ([0], false)] as [(Set<Int>, Bool)] {
            let file = PowerCutFile(name: "delta", content: before, ignoredFlushes: ignored)
            try write(model, to: file)
            let violations = violations(of: model, file)
            #expect((violations == 0) == isKept, "\(ignored): \(violations)")
        }
    }

    @Test("After a cut, a continued stream has no record of what was dropped")
    func continuing() throws {
        var generator = SeededGenerator(seed: 6)
        let model = DeltaModel(smallWithSeed: 6)
        var old = model
        old.entries = model.entries.enumerated().map { index, entry in
            guard case .data(let first, let content) = entry, content.count > 4095, index > 0 else {
                return entry
            }
            return .data(first: first, content: [UInt8](repeating: 0x77, count: content.count))
        }
        // The second record is not right: it and all that follow are dropped.
        var before = try old.written(using: &generator).allBytes().dropLast(144)
        guard case .data(_, let content) = old.entries[0] else { return }
        var first = try DeltaRecordBuffer(contentByteCount: content.count, blockSize: 4096)
        first.append(first: 0, digests: try old.digests(of: content), content: content.rawSpan)
        before[200 + first.byteCount + 5] ^= 1

        for (ignored, isKept) in [([], true), ([0], false)] as [(Set<Int>, Bool)] {
            let content = MemoryFile(delta: Array(before)).content
            let file = PowerCutFile(name: "delta", content: content, ignoredFlushes: ignored)
            var writer = try DeltaWriter(continuing: file)
            #expect(writer.recordCount == 1)
            for entry in model.entries[1...] {
                try model.append([entry], to: &writer, using: &generator)
                try writer.flush()
            }
            _ = try writer.finish(baseRoot: model.roots.base, resultRoot: model.roots.result)
            file.mark("finished")
            // Before the first flush the old records may still follow the first.
            let violations = violations(of: model, file)
            #expect((violations == 0) == isKept, "\(ignored): \(violations)")
        }
    }
}
