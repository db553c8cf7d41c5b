import BlockIO
import Storage
import TestSupport
import VHDX

@testable import Resync

/// A run that writes a replica in memory through a journal in memory: what ``LocalResync`` does with
/// files.
struct JournalRun: Sendable {
    var options = ResyncOptions(workerCount: 1)
    var monitor = ResyncMonitor()
    /// Sees what is read of the primary, and what is done to the replica.
    var primaryProbe = Probe()
    var replicaProbe = Probe()
    /// What tells one state of a file from another.
    var sourceState = fileState(1)
    var replicaState = fileState(2)
    /// Runs last before the commit point.
    var check: @Sendable () throws(ResyncError) -> Void = { () throws(ResyncError) in }
    /// Bytes that are free where the replica grows.
    var freeByteCount: UInt64?
    /// Hears of each step that is done.
    var didReach: @Sendable (Step) -> Void = { _ in }

    enum Step: String, Sendable {
        case committed, applied, done
    }

    typealias Roots = ComparisonEngine.Roots

    init(blockSize: Int = 65536, workerCount: Int = 1, comparison: Comparison = .hash) {
        options.blockSize = blockSize
        options.workerCount = workerCount
        options.comparison = comparison
    }

    static func fileState(_ number: UInt8) -> BlockDigest {
        BlockDigest(
            decoding: [UInt8](repeating: number, count: BlockDigest.byteCount).rawSpan, at: 0)
    }

    func journaled<Journal: RandomAccessFile>(
        _ store: JournalStore<Journal>
    ) -> JournaledReplica<Journal> {
        JournaledReplica(
            store: store, options: options, monitor: monitor, replica: "/memory/replica.vhdx",
            freeByteCount: { [freeByteCount] () throws(FileError) in freeByteCount })
    }

    /// Finishes what an earlier run began, records, writes, closes, and removes the journal.
    @discardableResult
    func callAsFunction<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ primary: MemoryFile, _ store: JournalStore<Journal>,
        to open: () throws(VHDXError) -> Target
    ) throws(ResyncError) -> Roots? {
        try recover(store, open)
        let target = ProbeDisk(try onDisk(.replica, open), replicaProbe)
        let wasMarked = target.mark != nil
        var recorded: Recorded<Journal>
        do throws(ResyncError) {
            recorded = try record(primary, store, on: target)
        } catch {
            target.abandon()
            throw error
        }
        let roots = recorded.roots
        if let journal = recorded.journal.take() {
            didReach(.committed)
            try write(journal, store, to: target)
            return roots
        }
        if wasMarked {
            try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
        }
        try close(target)
        try journaled(store).removeJournal()
        return roots
    }

    /// Records what differs, and commits.
    func record<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ primary: MemoryFile, _ store: JournalStore<Journal>, on target: borrowing Target
    ) throws(ResyncError) -> Recorded<Journal> {
        let source = ProbeDisk(
            ReadOnlyTarget(
                try onDisk(.primary) { () throws(VHDXError) in try ImageReader(primary) }),
            primaryProbe)
        monitor.setDisk(source.virtualSize, blockSize: options.blockSize)
        return try journaled(store).record(
            source, DiskState(virtualDiskID: .zero, dataWriteGUID: .zero, fileState: sourceState),
            on: target,
            DiskState(
                virtualDiskID: target.virtualDiskID, dataWriteGUID: target.dataWriteGUID,
                fileState: replicaState), check: check)
    }

    /// Records what differs, up to right before the commit point.
    func prepare<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ primary: MemoryFile, _ store: JournalStore<Journal>,
        _ open: () throws(VHDXError) -> Target
    ) throws(ResyncError) -> PreparedJournal? {
        let source = try onDisk(.primary) { () throws(VHDXError) in try ImageReader(primary) }
        monitor.setDisk(source.virtualSize, blockSize: options.blockSize)
        let target = ProbeDisk(try onDisk(.replica, open), replicaProbe)
        let journal: PreparedJournal?
        do throws(ResyncError) {
            journal = try journaled(store).prepare(
                ReadOnlyTarget(source),
                DiskState(virtualDiskID: .zero, dataWriteGUID: .zero, fileState: sourceState),
                on: target, state(of: target), check: check
            ).journal
        } catch {
            target.abandon()
            throw error
        }
        target.abandon()
        return journal
    }

    /// Whether what was prepared is still there.
    func check<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ prepared: PreparedJournal, _ store: JournalStore<Journal>,
        _ open: () throws(VHDXError) -> Target
    ) throws(ResyncError) {
        let target = try onDisk(.replica, open)
        let state = state(of: target)
        target.abandon()
        try journaled(store).check(prepared, state)
    }

    /// Commits what was prepared, and writes it.
    func finish<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ prepared: PreparedJournal, _ store: JournalStore<Journal>,
        _ open: () throws(VHDXError) -> Target
    ) throws(ResyncError) {
        let target = ProbeDisk(try onDisk(.replica, open), replicaProbe)
        let journal: DeltaReader<Journal>?
        do throws(ResyncError) {
            journal = try journaled(store).commit(prepared, for: target, state(of: target))
        } catch {
            target.abandon()
            throw error
        }
        guard let journal else { return target.abandon() }
        didReach(.committed)
        try write(journal, store, to: target)
    }

    private func state(of target: borrowing some ReplicaTarget & ~Copyable) -> DiskState {
        DiskState(
            virtualDiskID: target.virtualDiskID, dataWriteGUID: target.dataWriteGUID,
            fileState: replicaState)
    }

    /// Writes the committed journal of an earlier run.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    func recover<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ store: JournalStore<Journal>, _ open: () throws(VHDXError) -> Target
    ) throws(ResyncError) -> Bool {
        let target = ProbeDisk(try onDisk(.replica, open), replicaProbe)
        let journal: DeltaReader<Journal>?
        do throws(ResyncError) {
            journal = try journaled(store).journalOfEarlierRun(
                for: target,
                // A file that may be another: its content must prove it where it has no mark.
                DiskState(
                    virtualDiskID: target.virtualDiskID, dataWriteGUID: target.dataWriteGUID,
                    fileState: .zero))
        } catch {
            target.abandon()
            throw error
        }
        if let journal {
            try write(journal, store, to: target)
            return true
        }
        target.abandon()
        return false
    }

    /// Writes a committed journal, closes the replica, and removes the journal.
    func write<Target: ReplicaTarget & ~Copyable, Journal: RandomAccessFile>(
        _ journal: consuming DeltaReader<Journal>, _ store: JournalStore<Journal>,
        to target: consuming Target
    ) throws(ResyncError) {
        do throws(ResyncError) {
            try journaled(store).apply(journal, to: target)
        } catch {
            target.abandon()
            throw error
        }
        try close(target)
        didReach(.applied)
        try journaled(store).removeJournal()
        didReach(.done)
    }

    private func close<Target: ReplicaTarget & ~Copyable>(
        _ target: consuming Target
    ) throws(ResyncError) {
        do throws(VHDXError) {
            try target.close()
        } catch {
            throw .disk(.replica, error)
        }
    }

    var counts: ResyncCounts { monitor.counts }
}

extension Sequence<DeltaEntry> {
    /// The same with neighbours of one kind as one.
    func joined(blockSize: Int) -> [DeltaEntry] {
        reduce(into: []) { result, entry in
            switch (result.last, entry) {
            case (.zeros(let before), .zeros(let blocks))
            where before.upperBound == blocks.lowerBound:
                result[result.count - 1] = .zeros(before.lowerBound..<blocks.upperBound)
            case (.data(let first, let content), .data(let next, let more))
            where first + UInt64(content.count).dividedRoundingUp(by: UInt64(blockSize)) == next:
                result[result.count - 1] = .data(first: first, content: content + more)
            default: result.append(entry)
            }
        }
    }

    /// The blocks of all entries.
    func blocks(blockSize: Int) -> [Range<UInt64>] {
        map { entry in
            switch entry {
            case .zeros(let blocks): blocks
            case .data(let first, let content):
                first..<first + UInt64(content.count).dividedRoundingUp(by: UInt64(blockSize))
            }
        }
    }
}

extension SparseBytes {
    /// What a disk of this content becomes by the entries of a delta stream.
    func applying(_ entries: [DeltaEntry], blockSize: Int) -> SparseBytes {
        var content = self
        let size = UInt64(blockSize)
        for entry in entries {
            switch entry {
            case .zeros(let blocks):
                content.clear(blocks.lowerBound * size..<min(blocks.upperBound * size, byteCount))
            case .data(let first, let bytes): content.put(bytes, at: first * size)
            }
        }
        return content
    }
}
