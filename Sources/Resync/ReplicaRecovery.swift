internal import BlockIO
internal import Storage
internal import VHDX

/// Finishes what an earlier run began: writes the committed journal of a replica to it.
///
/// It may itself be stopped anywhere and started again.
public struct ReplicaRecovery: Sendable {
    public var replica: String
    public var options: ResyncOptions

    public init(replica: String, options: ResyncOptions) {
        self.replica = replica
        self.options = options
    }

    /// What was found, and what became of it.
    public enum Outcome: Equatable, Sendable {
        /// The replica is whole, and there is no journal.
        case nothingToDo
        /// The replica is whole; with the journal at this path the next run goes on.
        case unfinishedJournal(String)
        /// The replica reads as the journal at this path said.
        case finished(journal: String)
    }

    /// Finishes the replica.
    ///
    /// - Throws: ``ResyncError/missingJournal(path:mark:)`` where the replica is half-written and
    ///   nothing is there to finish it with.
    @discardableResult
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> Outcome {
        try recover(monitor: monitor).recovery ?? .nothingToDo
    }

    /// As ``run(monitor:)``, and says of the disk what became known of it.
    ///
    /// The primary of the report is the journal, where one was written to the replica, and otherwise
    /// empty.
    public func recover(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        try options.check(replica: replica)
        monitor.expect(.recovery)
        let finished = try finish(monitor)
        if let mark = finished.mark { throw .missingJournal(path: replica, mark: mark) }
        var report = DiskReport(
            primary: "", replica: replica, blockSize: finished.blockSize ?? options.blockSize)
        if case .finished(let journal) = finished.outcome {
            report.primary = journal
            report.rootDigest = finished.rootDigest
            report.isVerified = true
        }
        report.recovery = finished.outcome
        return report.finished(monitor)
    }

    /// Finishes the replica where there is a journal for it. Where there is none, a replica that is
    /// half-written stays that, and whoever compares all of it can make it whole.
    func runIfNeeded(
        _ mark: ApplyMark?, monitor: ResyncMonitor
    ) throws(ResyncError) -> Outcome {
        let store = try JournalStore(ofReplicaAt: replica, options)
        guard mark != nil || store.exists else { return .nothingToDo }
        monitor.expect(.recoveryBefore)
        let finished = try finish(monitor)
        if case .finished = finished.outcome {
            monitor.restart()
            monitor.noteFinishedEarlierRun()
        }
        if finished.mark != nil { monitor.note(.foundHalfWritten) }
        return finished.outcome
    }

    private struct Finished {
        var outcome: Outcome
        /// What the replica still bears.
        var mark: ApplyMark?
        /// Those of the journal.
        var blockSize: Int?
        var rootDigest: BlockDigest?
    }

    private func finish(_ monitor: ResyncMonitor) throws(ResyncError) -> Finished {
        let target = try ReplicaDisk(openingDiskAt: replica, options)
        let mark = target.mark
        monitor.setDisk(target.virtualSize, blockSize: options.blockSize)
        if mark != nil { monitor.note(.foundHalfWritten) }
        let writing = try JournaledWriting(
            replica: replica, mark, options: options, monitor: monitor)
        let store = writing.journaled.store
        let journal: DeltaReader<DiskFile>?
        do throws(ResyncError) {
            journal = try writing.journaled.journalOfEarlierRun(
                for: target, try target.state(at: replica))
        } catch {
            target.abandon()
            throw error
        }
        if let journal {
            let header = journal.header
            let root = header.hasRootDigests ? journal.trailer?.resultRoot : nil
            monitor.noteBlocks(of: journal.trailer)
            try writing.write(journal, to: target)
            return Finished(
                outcome: .finished(journal: store.path), blockSize: header.blockSize,
                rootDigest: root)
        }
        target.abandon()
        return Finished(
            outcome: store.exists ? .unfinishedJournal(store.path) : .nothingToDo, mark: mark)
    }
}
