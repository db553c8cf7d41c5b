internal import BlockIO
internal import Storage
internal import VHDX

/// A replica on this machine that was prepared: it is as it was, and its journal holds all that it is to
/// become.
public struct PreparedReplica: Sendable {
    public var path: String
    public var options: ResyncOptions
    public var journal: PreparedJournal

    public init(path: String, options: ResyncOptions, journal: PreparedJournal) {
        self.path = path
        self.options = options
        self.journal = journal
    }

    /// Checks that the replica can still be finished, by what it and its journal say of themselves: nobody
    /// has it open, or has changed it. Nothing is changed, and neither is read as a whole.
    ///
    /// - Throws: ``ResyncError/notAsPrepared(path:what:)``; what it says is that of a disk in use.
    public func check(monitor: ResyncMonitor) throws(ResyncError) {
        try options.check()
        let target = try ReplicaDisk(openingDiskAt: path, options)
        do throws(ResyncError) {
            let writing = try JournaledWriting(replica: path, options: options, monitor: monitor)
            try writing.journaled.check(journal, try target.state(at: path))
        } catch {
            target.abandon()
            throw error
        }
        target.abandon()
    }

    /// Commits the journal and makes the replica read as it says. It may be called again after a stop at
    /// any moment, and where the replica is finished it does nothing.
    ///
    /// What is left by a stop or an error after the commit point, ``ReplicaRecovery`` finishes as well.
    ///
    /// - Throws: ``ResyncError/notAsPrepared(path:what:)`` or
    ///   ``ResyncError/foreignJournal(path:what:)`` where the replica is not the one any more that was
    ///   prepared; it was not changed then.
    public func finish(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        try options.check(replica: path)
        monitor.expect(.recovery)
        let target = try ReplicaDisk(openingDiskAt: path, options)
        if target.mark != nil { monitor.note(.foundHalfWritten) }
        let committed: DeltaReader<DiskFile>?
        let writing: JournaledWriting
        do throws(ResyncError) {
            writing = try JournaledWriting(
                replica: path, target.mark, options: options, monitor: monitor)
            committed = try writing.journaled.commit(
                journal, for: target, try target.state(at: path))
        } catch {
            target.abandon()
            throw error
        }
        if let committed {
            monitor.noteBlocks(of: committed.trailer)
            try writing.write(committed, to: target)
        } else {
            target.abandon()
            monitor.note(.written)
        }
        try verify(monitor)
        return report(writing, monitor)
    }

    private func verify(_ monitor: ResyncMonitor) throws(ResyncError) {
        guard options.verifiesWholeReplica, let root = journal.resultRoot else { return }
        var options = options
        options.blockSize = journal.header.blockSize
        try ReplicaOpening(path: path, options: options, monitor: monitor).verify {
            (engine, reader) throws(ResyncError) in try engine.check(reader, root: root)
        }
    }

    private func report(_ writing: JournaledWriting, _ monitor: ResyncMonitor) -> DiskReport {
        let store = writing.journaled.store
        var report = DiskReport(
            primary: store.path, replica: path, blockSize: journal.header.blockSize)
        report.rootDigest = journal.resultRoot
        report.isVerified = true
        report.recovery = .finished(journal: store.path)
        return report.finished(monitor)
    }
}
