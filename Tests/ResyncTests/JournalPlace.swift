import Glibc
import Storage
import TestSupport

@testable import Resync

/// The one place of a journal, with a file in memory that stands there or not.
final class JournalPlace<File: RandomAccessFile>: Sendable {
    /// The file that stands there, as who opens it gets it.
    let file: File
    private let memory: MemoryFile
    private let isThere: Lock<Bool>
    /// How many calls there were on the name, and which of them fails.
    private let calls: Lock<(count: Int, failing: Int?)>

    static var path: String { "/memory/replica.vhdx.resync" }

    init(_ file: File, in memory: MemoryFile, isThere: Bool, failing: Int? = nil) {
        self.file = file
        self.memory = memory
        self.isThere = Lock(isThere)
        calls = Lock((0, failing))
    }

    /// How many calls on the name have been made.
    var callCount: Int { calls.withLock { $0.count } }

    /// What stands there.
    var content: SparseBytes? { isThere.withLock { $0 } ? memory.content : nil }

    private func check(_ operation: FileOperation) throws(FileError) {
        let fails = calls.withLock { calls in
            calls.count += 1
            return calls.failing.map { $0 == calls.count - 1 } ?? false
        }
        if fails { throw .system(operation, path: Self.path, at: nil, errno: EIO) }
    }

    var store: JournalStore<File> {
        JournalStore(
            path: Self.path,
            create: { () throws(FileError) in
                try self.check(.create)
                self.isThere.withLock { $0 = true }
                return self.file
            },
            open: { () throws(FileError) in
                guard self.isThere.withLock({ $0 }) else { return nil }
                try self.check(.open)
                return self.file
            },
            openForReading: { () throws(FileError) in
                try self.check(.open)
                return self.file
            },
            flushName: { () throws(FileError) in try self.check(.flush) },
            remove: { () throws(FileError) in
                try self.check(.remove)
                self.isThere.withLock { $0 = false }
                self.memory.content = SparseBytes()
            })
    }
}

extension JournalPlace where File == MemoryFile {
    /// A place where this stands, or nothing.
    convenience init(_ content: SparseBytes? = nil) {
        let memory = MemoryFile(name: Self.path, content: content ?? SparseBytes())
        self.init(memory, in: memory, isThere: content != nil)
    }

    convenience init(_ bytes: [UInt8]) {
        var content = SparseBytes()
        content.put(bytes, at: 0)
        self.init(content)
    }

    /// All bytes of what stands there.
    var bytes: [UInt8] {
        guard let content else { return [] }
        return content.bytes(in: 0..<content.byteCount)
    }

    /// What the records of the stream say, runs joined.
    func entries() throws -> [DeltaEntry] {
        var reader = try DeltaReader(reading: file)
        let blockSize = reader.header.blockSize
        return try reader.entries().joined(blockSize: blockSize)
    }
}

extension JournalStore where File == PowerCutDisk.File {
    static var journalName: String { "journal" }

    /// The journal among the files of a disk that loses power.
    init(on disk: PowerCutDisk, name: String = journalName) {
        self.init(
            path: JournalPlace<MemoryFile>.path,
            create: { () throws(FileError) in disk.openOrCreate(name) },
            open: { () throws(FileError) in disk.open(name) },
            openForReading: { () throws(FileError) in
                guard let file = disk.open(name) else {
                    throw .system(.open, path: name, at: nil, errno: ENOENT)
                }
                return file
            },
            flushName: { () throws(FileError) in disk.flushNames() },
            remove: { () throws(FileError) in
                if disk.remove(name) { disk.flushNames() }
            })
    }
}
