internal import BlockIO
internal import Storage
internal import VHDX

/// A replica on this machine, from where it was opened to where it is closed: written through its
/// journal, or through a clone from its journal.
struct JournaledWriting: Sendable {
    let replica: String
    let options: ResyncOptions
    let monitor: ResyncMonitor
    let journaled: JournaledReplica<JournalPath>

    init(
        replica: String, options: ResyncOptions, monitor: ResyncMonitor, store: JournalPath? = nil
    ) throws(ResyncError) {
        let path: JournalPath
        if let store {
            path = store
        } else {
            path = try onJournal { () throws(FileError) in
                try JournalPath(ofReplicaAt: replica, folder: options.journalFolder)
            }
        }
        self.replica = replica
        self.options = options
        self.monitor = monitor
        journaled = JournaledReplica(
            store: path, options: options, monitor: monitor, replica: replica,
            freeByteCount: { () throws(FileError) in
                // Of a device nothing can be said, and nothing has to be.
                DiskFile.isDevice(replica) ? nil : try Volume.freeByteCount(at: replica)
            })
    }

    /// Writes a committed journal, closes the replica, and removes the journal.
    func write(
        _ journal: consuming DeltaReader<DiskFile>, to target: consuming ReplicaDisk
    ) throws(ResyncError) {
        if options.writeMethod == .clone {
            try writeClone(journal)
            target.abandon()
        } else {
            do throws(ResyncError) {
                try journaled.apply(journal, to: target)
            } catch {
                target.abandon()
                throw error
            }
            try close(target)
        }
        try journaled.removeJournal()
    }

    private func close(_ target: consuming ReplicaDisk) throws(ResyncError) {
        do throws(VHDXError) {
            try target.close()
        } catch {
            throw .disk(.replica, error)
        }
    }

    /// Writes to a copy, which takes the replica's place when it is proven and durable. Until then a
    /// stop leaves the replica as it was, and perhaps a copy that the next run removes.
    private func writeClone(_ journal: consuming DeltaReader<DiskFile>) throws(ResyncError) {
        let path = try onJournal { () throws(FileError) in try Folder.realPath(of: replica) }
        let clonePath = path + Self.cloneSuffix
        let clone = try onJournal { () throws(FileError) in
            try DiskFile.remove(clonePath)
            return try DiskFile(opening: path, for: .reading).clone(to: clonePath)
        }
        guard let clone else { throw .cannotClone(path: path) }
        do throws(ResyncError) {
            let target = try ReplicaDisk(openingDiskAt: clonePath, options)
            do throws(ResyncError) {
                try journaled.apply(journal, to: target, isVisible: false)
            } catch {
                target.abandon()
                throw error
            }
            try close(target)
            try onJournal { () throws(FileError) in
                try clone.flushCompletely()
                try DiskFile.rename(clonePath, over: path)
            }
        } catch {
            _ = try? DiskFile.remove(clonePath)
            throw error
        }
        monitor.note(.written)
    }

    private static let cloneSuffix = ".resync-clone"
}
