internal import BlockIO
internal import Storage
internal import VHDX

extension LocalResync {
    /// Compares and records what differs, durably and proven, and does not change the replica: what
    /// finishes it is returned (``PreparedReplica``).
    ///
    /// What an earlier run has committed is finished first, as every run does. After a stop or an error the
    /// next run goes on with what is recorded, whether it prepares or not.
    public func prepare(monitor: ResyncMonitor) throws(ResyncError) -> PreparedDisk {
        try options.check()
        try options.check(replica: replica)
        try options.checkPreparing()
        let source = try PrimaryDisk(openingDiskAt: primary, .primary, options)
        try source.checkIsNot(fileAt: replica)
        let opening = ReplicaOpening(path: replica, options: options, monitor: monitor)
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        var recovery = ReplicaRecovery.Outcome.nothingToDo
        if opening.exists {
            recovery = try opening.prepare(for: source.disk.virtualSize)
        } else {
            try opening.create(like: try source.offer())
        }
        monitor.expect(.looking)
        let writing = try JournaledWriting(replica: replica, options: options, monitor: monitor)
        let target = try opening.open(source.disk.virtualSize)
        let prepared: (roots: ComparisonEngine.Roots?, journal: PreparedJournal?)
        do throws(ResyncError) {
            if options.writeMethod == .clone { try writing.checkThatCloneIsPossible() }
            prepared = try writing.journaled.prepare(
                source.disk, try source.state(), on: target, try target.state(at: replica)
            ) { () throws(ResyncError) in try source.checkUnchanged() }
        } catch {
            target.abandon()
            throw error
        }
        target.abandon()
        var report = DiskReport(primary: primary, replica: replica, blockSize: options.blockSize)
        report.rootDigest = prepared.roots?.primary
        report.isVerified = prepared.journal == nil
        report.recovery = recovery
        return PreparedDisk(
            report: report.finished(monitor), journal: prepared.journal,
            sourceState: try source.state())
    }
}

extension ResyncOptions {
    /// Checks that a replica can be prepared as the options say.
    ///
    /// - Throws: ``ResyncError/invalidOption(_:)``.
    func checkPreparing() throws(ResyncError) {
        guard !isDryRun, writeMethod != .inPlace else {
            throw .invalidOption("a replica is prepared through a journal, which is written")
        }
    }
}
