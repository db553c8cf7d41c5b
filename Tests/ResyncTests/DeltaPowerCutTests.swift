import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: power cuts")
struct DeltaPowerCutTests {
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
