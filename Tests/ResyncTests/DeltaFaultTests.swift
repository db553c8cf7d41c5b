import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: calls that fail")
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
}
