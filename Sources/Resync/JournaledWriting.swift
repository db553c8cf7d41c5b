internal import BlockIO
internal import Storage
internal import VHDX

/// A replica on this machine, from where it was opened to where it is closed: written through its
/// journal, or through a clone from its journal.
struct JournaledWriting: Sendable {
    let replica: String
    let options: ResyncOptions
    let monitor: ResyncMonitor
    let journaled: JournaledReplica<DiskFile>

    init(
        replica: String, options: ResyncOptions, monitor: ResyncMonitor,
        store: JournalStore<DiskFile>? = nil
    ) throws(ResyncError) {
        let found = if let store { store } else { try JournalStore(ofReplicaAt: replica, options) }
        self.replica = replica
        self.options = options
        self.monitor = monitor
        journaled = JournaledReplica(
            store: found, options: options, monitor: monitor, replica: replica,
            freeByteCount: { () throws(FileError) in
                // Of a device nothing can be said, and nothing has to be.
                DiskFile.isDevice(replica) ? nil : try Volume.freeByteCount(at: replica)
            })
    }

    /// As above, for a replica that an earlier run has left: its journal stands where its mark says, if it
    /// bears one.
    init(
        replica: String, _ mark: ApplyMark?, options: ResyncOptions, monitor: ResyncMonitor
    ) throws(ResyncError) {
        try self.init(replica: replica, options: options, monitor: monitor)
        guard let mark, options.trustsJournalPathOfMark, !mark.journalPath.isEmpty,
            !journaled.holds(mark)
        else { return }
        // Whatever stands beside the replica, the mark says where its journal is.
        let store = JournalStore(at: mark.journalPath, options.cacheUse)
        guard store.exists || !journaled.store.exists else { return }
        try self.init(replica: replica, options: options, monitor: monitor, store: store)
    }

    /// Ends a run: writes what was committed, if anything was, and closes the replica, which has no
    /// mark and no journal then.
    func write(
        _ journal: consuming DeltaReader<DiskFile>?, to target: consuming ReplicaDisk,
        wasMarked: Bool, bytesToZero: UInt64?
    ) throws(ResyncError) {
        if let journal = journal.take() {
            return try write(journal, to: target, bytesToZero: bytesToZero)
        }
        // Every block is the primary's, whatever an interrupted run left.
        if wasMarked {
            try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
            monitor.note(.written)
        }
        try journaled.removeJournal()
        try target.closeReplica()
    }

    /// Writes a committed journal, removes it, and closes the replica.
    ///
    /// `bytesToZero`, where this run has found that out, is how much becomes zero that was not.
    func write(
        _ journal: consuming DeltaReader<DiskFile>, to target: consuming ReplicaDisk,
        bytesToZero: UInt64? = nil
    ) throws(ResyncError) {
        // The journal goes while the replica is still locked: the next one to open it must not find a
        // journal that is about to go.
        if options.writeMethod == .clone {
            let clone = try writeClone(journal, bytesToZero)
            target.abandon()
            try journaled.removeJournal()
            _ = clone
        } else {
            do throws(ResyncError) {
                try journaled.apply(journal, to: target, bytesToZero: bytesToZero)
                try journaled.removeJournal()
            } catch {
                target.abandon()
                throw error
            }
            try target.closeReplica()
        }
    }

    /// Checks, before any work is done, that the file system can make a copy. Only who holds the replica's
    /// lock may: the copy's name is the same for all.
    func checkThatCloneIsPossible() throws(ResyncError) {
        let paths = try clonePaths()
        _ = try makeClone(paths)
        _ = try onJournal { () throws(FileError) in try DiskFile.remove(paths.clone) }
    }

    private func clonePaths() throws(ResyncError) -> (replica: String, clone: String) {
        let path = try onJournal { () throws(FileError) in try Folder.realPath(of: replica) }
        return (path, path + ".resync-clone")
    }

    /// Makes a copy in place of one that was left behind.
    private func makeClone(
        _ paths: (replica: String, clone: String)
    ) throws(ResyncError) -> DiskFile {
        let clone = try onJournal { () throws(FileError) in
            try DiskFile.remove(paths.clone)
            return try DiskFile(opening: paths.replica, for: .reading).clone(to: paths.clone)
        }
        guard let clone else { throw .cannotClone(path: paths.replica) }
        return clone
    }

    /// Writes to a copy, which takes the replica's place when it is proven and durable. Until then a
    /// stop leaves the replica as it was, and perhaps a copy that the next run removes.
    ///
    /// - Returns: the new replica, locked.
    private func writeClone(
        _ journal: consuming DeltaReader<DiskFile>, _ bytesToZero: UInt64?
    ) throws(ResyncError) -> DiskFile {
        let paths = try clonePaths()
        let clone = try makeClone(paths)
        do throws(ResyncError) {
            let target = try ReplicaDisk(openingDiskAt: paths.clone, options)
            do throws(ResyncError) {
                try journaled.apply(
                    journal, to: target, isVisible: false, bytesToZero: bytesToZero)
            } catch {
                target.abandon()
                throw error
            }
            try target.closeReplica()
            try onJournal { () throws(FileError) in
                try clone.lock(for: .writing)
                try clone.flushCompletely()
                try DiskFile.rename(paths.clone, over: paths.replica)
            }
        } catch {
            _ = try? DiskFile.remove(paths.clone)
            throw error
        }
        monitor.note(.written)
        return clone
    }
}
