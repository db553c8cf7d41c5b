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
        /// There was nothing to finish: the replica is whole.
        case nothingToDo
        /// There was nothing to finish; the journal at this path is one with which a run goes on.
        case unfinishedJournal(String)
        /// The replica reads as the journal says.
        case finished(journal: String)
    }

    /// Finishes the replica.
    ///
    /// - Throws: ``ResyncError/missingJournal(replica:mark:)`` where the replica is half-written and
    ///   nothing is there to finish it with.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> Outcome {
        try options.check()
        let found = try finish(monitor)
        if found.outcome == .nothingToDo || found.mark != nil, let mark = found.mark {
            throw .missingJournal(path: replica, mark: mark)
        }
        monitor.begin(.finished)
        return found.outcome
    }

    /// Finishes the replica where there is a journal for it.
    func runIfNeeded(monitor: ResyncMonitor) throws(ResyncError) {
        _ = try finish(monitor)
    }

    /// Finishes the replica, and says which mark it bears now.
    private func finish(
        _ monitor: ResyncMonitor
    ) throws(ResyncError) -> (outcome: Outcome, mark: ApplyMark?) {
        let target = try ReplicaDisk(openingDiskAt: replica, options)
        let mark = target.mark
        let store = try journal(mark)
        let journaled = JournaledReplica(store: store, options: options, monitor: monitor)
        let isFinished: Bool
        do throws(ResyncError) {
            isFinished = try journaled.finishEarlierRun(on: target)
        } catch {
            target.abandon()
            throw error
        }
        try onDisk(.replica, target) { (target) throws(VHDXError) in try target.close() }
        if isFinished {
            try journaled.removeJournal()
            return (.finished(journal: store.path), nil)
        }
        let isThere = DiskFile.fingerprint(ofFileAt: store.path) != nil
        return (isThere ? .unfinishedJournal(store.path) : .nothingToDo, mark)
    }

    /// Where the journal is: where the options say, or else where the mark says.
    private func journal(_ mark: ApplyMark?) throws(ResyncError) -> JournalPath {
        let store = try JournalPath(ofReplicaAt: replica, options)
        guard let mark, !mark.journalPath.isEmpty,
            DiskFile.fingerprint(ofFileAt: store.path) == nil
        else { return store }
        return JournalPath(at: mark.journalPath)
    }
}
