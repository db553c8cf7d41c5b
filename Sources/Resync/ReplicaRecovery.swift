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
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> Outcome {
        try options.check()
        let (outcome, mark) = try finish(monitor)
        if let mark { throw .missingJournal(path: replica, mark: mark) }
        monitor.begin(.finished)
        return outcome
    }

    /// Finishes the replica where there is a journal for it. Where there is none, a replica that is
    /// half-written stays that, and whoever compares all of it can make it whole.
    func runIfNeeded(_ mark: ApplyMark?, monitor: ResyncMonitor) throws(ResyncError) {
        let store = try JournalStore(ofReplicaAt: replica, options)
        guard mark != nil || store.exists else { return }
        _ = try finish(monitor)
    }

    /// Finishes the replica, and says which mark it still bears.
    private func finish(
        _ monitor: ResyncMonitor
    ) throws(ResyncError) -> (outcome: Outcome, mark: ApplyMark?) {
        let target = try ReplicaDisk(openingDiskAt: replica, options)
        let mark = target.mark
        var writing = try JournaledWriting(replica: replica, options: options, monitor: monitor)
        if let mark, !mark.journalPath.isEmpty,
            !writing.journaled.store.exists
        {
            writing = try JournaledWriting(
                replica: replica, options: options, monitor: monitor,
                store: JournalStore(at: mark.journalPath))
        }
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
            try writing.write(journal, to: target)
            return (.finished(journal: store.path), nil)
        }
        target.abandon()
        return (store.exists ? .unfinishedJournal(store.path) : .nothingToDo, mark)
    }
}
