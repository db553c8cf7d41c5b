import BlockIO
import Storage
import TestSupport
import VHDX

@testable import Resync

/// What a run through a journal starts with, under a disk that loses power or files that fail.
struct JournalScenario: Sendable {
    let old: DiskContent
    let new: DiskContent
    let primary: MemoryFile
    /// By name: the replica, its parent where it has one, a journal where there is one.
    var files: [String: SparseBytes]
    let blockSize: Int

    static let replicaName = "replica"
    static let parentName = "parent"
    static let journalName = "journal"

    init(_ scenario: FaultScenario) {
        old = scenario.old
        new = scenario.new
        primary = scenario.primary
        files = [Self.replicaName: scenario.replica]
        blockSize = scenario.blockSize
    }

    /// A differencing replica: block 0 comes from the parent and becomes another in part, 1 is partly
    /// present and becomes zero, 2 is present and becomes what the parent has, 3 is new.
    static func differencing(seed: UInt64) throws -> JournalScenario {
        var generator = SeededGenerator(seed: seed)
        let size: UInt64 = (4 << 20) + 512
        let shape = DiskShape(virtualSize: size)
        var base = DiskContent(byteCount: size)
        base.fill(0..<16384, using: &generator)
        base.fill(1 << 20..<1 << 20 | 65536, using: &generator)
        base.fill(2 << 20..<2 << 20 | 8192, using: &generator)
        let parent = shape.image(holding: base, using: &generator)
        var builder = ImageBuilder(virtualSize: size, kind: .differencing)
        builder.addLocator()
        let replica = builder.build()
        var old = base
        old.fill((1 << 20) + 512..<1 << 20 | 4096, using: &generator)
        old.fill(2 << 20..<(2 << 20) + 12288, using: &generator)
        let writer = try ImageWriter(
            replica, parent: ImageParent(try ImageReader(parent)))
        for range in [1 << 20..<1 << 20 | 65536, 2 << 20..<2 << 20 | 65536] as [Range<UInt64>] {
            try writer.write(old.bytes(in: range).rawSpan, at: range.lowerBound)
        }
        try writer.close()
        var new = base
        new.fill(4096..<4608, using: &generator)
        new.clear(1 << 20..<2 << 20)
        new.fill((3 << 20) + 4096..<3 << 20 | 12288, using: &generator)
        new.fill(size - 512..<size, using: &generator)
        let primary = shape.image(holding: new, using: &generator)
        return JournalScenario(
            old: old, new: new, primary: primary,
            files: [replicaName: replica.content, parentName: parent.content], blockSize: 65536)
    }

    private init(
        old: DiskContent, new: DiskContent, primary: MemoryFile, files: [String: SparseBytes],
        blockSize: Int
    ) {
        self.old = old
        self.new = new
        self.primary = primary
        self.files = files
        self.blockSize = blockSize
    }

    func run() -> JournalRun { JournalRun(blockSize: blockSize) }

    /// The replica and what it builds on, for writing.
    static func open<File: RandomAccessFile>(
        _ replica: File, on parent: File?
    ) throws(VHDXError) -> ImageWriter<File> {
        try ImageWriter(replica, parent: try image(parent), acceptsMark: true)
    }

    private static func image<File: RandomAccessFile>(
        _ parent: File?
    ) throws(VHDXError) -> ImageParent<File>? {
        guard let parent else { return nil }
        return ImageParent(try ImageReader(parent))
    }

    /// What a replica reads as; nil where it refuses to open as half-written.
    static func content(_ files: [String: SparseBytes]) throws -> DiskContent? {
        let replica = MemoryFile(content: files[replicaName] ?? SparseBytes())
        do {
            return try ResyncTests.content(
                of: ImageReader(
                    replica, parent: image(files[parentName].map { MemoryFile(content: $0) })))
        } catch VHDXError.unfinishedApply {
            return nil
        }
    }

    /// Files after a fault, as a run finds them.
    final class Files: Sendable {
        let replica: MemoryFile
        let parent: MemoryFile?
        let journal: JournalPlace<MemoryFile>

        init(_ files: [String: SparseBytes]) {
            replica = MemoryFile(content: files[replicaName] ?? SparseBytes())
            parent = files[parentName].map { MemoryFile(content: $0) }
            journal = JournalPlace(files[journalName])
        }

        func open() throws(VHDXError) -> ImageWriter<MemoryFile> {
            try JournalScenario.open(replica, on: parent)
        }

        func content() throws -> DiskContent? {
            var files = [replicaName: replica.content]
            files[parentName] = parent?.content
            return try JournalScenario.content(files)
        }
    }

    /// What is wrong with what a fault left; empty where nothing is.
    ///
    /// `isCommitted` says that the commit point was passed, `isApplied` that the replica was closed.
    func faults(
        of left: [String: SparseBytes], isCommitted: Bool, isApplied: Bool, runsAgain: Bool
    ) -> [String] {
        do {
            var faults: [String] = []
            let before = try Self.content(left)
            let isNew = before?.readsAs(new) ?? false
            if isApplied, !isNew { faults.append("what was written is not there") }
            if let before, !isNew, !before.readsAs(old) { faults.append("half-written, and open") }

            let files = Files(left)
            let isFinished = try run().recover(files.journal.store, files.open)
            let after = try files.content()
            if isFinished || isCommitted || before == nil {
                if after.map({ !$0.readsAs(new) }) ?? true { faults.append("not recovered") }
                if files.journal.content != nil { faults.append("a journal behind the end") }
            } else if let before, after.map({ !$0.readsAs(before) }) ?? true {
                faults.append("recovery changed what there was")
            }
            guard runsAgain else { return faults }
            try run()(primary, files.journal.store, to: files.open)
            let wrong = try files.content()?.pagesThatDiffer(from: new)
            if wrong != [] { faults.append("after the next run: \(String(describing: wrong))") }
            if files.journal.content != nil { faults.append("a journal after the next run") }
            return faults
        } catch {
            return ["\(error)"]
        }
    }
}
