import Glibc
import Storage
import TestSupport
import Testing

@Suite("FailingFile")
struct FailingFileTests {
    /// One call of each kind.
    private func run(_ file: FailingFile) throws(FileError) {
        try file.write([1, 2, 3, 4].rawSpan, at: 0)
        try file.reserve(0..<100)
        try file.flush()
        try file.deallocate(0..<1)
        try file.writeZeros(1..<2)
        try file.setByteCount(50)
    }

    private static let operations: [FileOperation] = [
        .write, .allocate, .flush, .deallocate, .write, .resize,
    ]

    @Test("Without a plan nothing fails, and the calls that change the file are counted")
    func counting() throws {
        let file = FailingFile(MemoryFile())
        try run(file)
        _ = try file.bytes(at: 0, count: 1)
        #expect(file.callCount == 6)
        #expect(file.failureCount == 0)
    }

    @Test("Each call can be the one that fails, and it changes nothing")
    func each() {
        for index in 0..<6 {
            let memory = MemoryFile()
            let file = FailingFile(memory, plan: .init(failing: index, errno: EIO))
            do {
                try run(file)
                Issue.record("call \(index) did not fail")
            } catch {
                #expect(error.operation == Self.operations[index])
                #expect("\(error)".hasSuffix("Input/output error"))
            }
            #expect(file.failureCount == 1)
            let counts = memory.counts
            #expect(counts.changes + counts.flushes == index, "call \(index)")
        }
    }

    @Test("A failure passes, or it stays")
    func permanence() throws {
        let memory = MemoryFile()
        let file = FailingFile(memory, plan: .init(failing: 1, of: [.flush], errno: EIO))
        try file.flush()
        #expect(throws: FileError.self) { try file.flush() }
        try file.flush()
        file.follow(.init(failing: 1, of: [.flush], errno: EIO, isPermanent: true))
        try file.flush()
        #expect(throws: FileError.self) { try file.flush() }
        #expect(throws: FileError.self) { try file.flush() }
        try file.write([1].rawSpan, at: 0)
        #expect(file.failureCount == 2)
        file.follow(nil)
        try file.flush()
    }

    @Test("A write can fail after a part of it")
    func shortWrite() throws {
        let memory = MemoryFile()
        let plan = FailingFile.Plan(failing: 0, errno: ENOSPC, partialByteCount: 2)
        let file = FailingFile(memory, plan: plan)
        let bytes: [UInt8] = [1, 2, 3, 4]
        #expect(throws: FileError.system(.write, path: file.name, at: 10, errno: ENOSPC)) {
            try file.write(bytes.rawSpan, at: 10)
        }
        #expect(memory.peek(at: 10, count: 4) == [1, 2, 0, 0])
        #expect(try memory.byteCount() == 12)
    }

    @Test("Reads fail where they are named")
    func reads() throws {
        let memory = MemoryFile(content: SparseBytes(byteCount: 100))
        let file = FailingFile(memory, plan: .init(failing: 1, of: [.read], errno: EIO))
        #expect(try file.bytes(at: 5, count: 1) == [0])
        #expect(throws: FileError.system(.read, path: file.name, at: 5, errno: EIO)) {
            _ = try file.bytes(at: 5, count: 1)
        }
    }
}
