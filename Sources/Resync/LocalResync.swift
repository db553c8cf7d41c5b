internal import BlockIO
internal import Storage
internal import VHDX

/// The main job on one machine: makes a replica read as its primary.
public struct LocalResync: Sendable {
    public var primary: String
    public var replica: String
    public var options: ResyncOptions

    public init(primary: String, replica: String, options: ResyncOptions) {
        self.primary = primary
        self.replica = replica
        self.options = options
    }

    /// Compares, writes what differs, and proves the result.
    ///
    /// A stop or an error leaves the replica as it was (or made, or grown, as the monitor says), or
    /// half-written and marked as that, or as the primary. In the second case
    /// ``ReplicaRecovery``, or the next run by itself, finishes it.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        try options.check(replica: replica)
        monitor.expect(.resync(options))
        let source = try PrimaryDisk(openingDiskAt: primary, .primary, options)
        try source.checkIsNot(fileAt: replica)
        // Where nothing is to be made, opening it says what is wrong with the path.
        let exists =
            !options.createsReplica || DiskFile.fingerprint(ofFileAt: replica) != nil
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        if options.isDryRun {
            return exists
                ? try DiskComparison(primary: primary, replica: replica, options: options)
                    .compare(source, monitor)
                : try compareWithNothing(source, monitor)
        }
        var recovery = ReplicaRecovery.Outcome.nothingToDo
        if exists {
            recovery = try prepareReplica(source, monitor)
        } else {
            try ReplicaCreation(path: replica, options: options).run(like: source.disk)
            monitor.note(.made)
        }
        let roots =
            options.writeMethod == .inPlace
            ? try writeInPlace(source, monitor) : try writeThroughJournal(source, monitor)
        if options.verifiesWholeReplica { try verify(roots, source, monitor) }
        var report = report(roots, isVerified: true, monitor)
        report.recovery = recovery
        return report
    }

    /// Finishes what an earlier run began, and makes the replica as large as the primary.
    private func prepareReplica(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ReplicaRecovery.Outcome {
        let (size, mark) = try options.inspectReplica(at: replica) { (size) throws(ResyncError) in
            guard size > source.disk.virtualSize || !options.growsReplica else { return }
            try checkSize(size, of: source.disk)
        }
        let recovery = try ReplicaRecovery(replica: replica, options: options)
            .runIfNeeded(mark, monitor: monitor)
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        monitor.expect(.resync(options))
        if size < source.disk.virtualSize {
            try growReplica(to: source.disk.virtualSize)
            monitor.note(.grown)
        }
        return recovery
    }

    private func openReplica(
        for source: borrowing PrimaryDisk
    ) throws(ResyncError) -> ReplicaDisk {
        let target = try ReplicaDisk(openingDiskAt: replica, options)
        try checkSize(target.virtualSize, of: source.disk)
        return target
    }

    private func writeThroughJournal(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let writing = try JournaledWriting(replica: replica, options: options, monitor: monitor)
        let target = try openReplica(for: source)
        if options.writeMethod == .clone { try writing.checkThatCloneIsPossible() }
        let wasMarked = target.mark != nil
        var recorded: Recorded<DiskFile>
        do throws(ResyncError) {
            recorded = try writing.journaled.record(
                source.disk, try source.state(), on: target, try target.state(at: replica)
            ) { () throws(ResyncError) in try source.checkUnchanged() }
        } catch {
            target.abandon()
            throw error
        }
        let roots = recorded.roots
        if let journal = recorded.journal.take() {
            try writing.write(journal, to: target, bytesToZero: monitor.counts.bytesToZero)
            return roots
        }
        // Every block is the primary's, whatever an interrupted run left.
        if wasMarked {
            try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
            monitor.note(.written)
        }
        try writing.journaled.removeJournal()
        try target.closeReplica()
        return roots
    }

    private func writeInPlace(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let target = InPlaceTarget(try openReplica(for: source), monitor)
        let engine = try ComparisonEngine(
            virtualSize: source.disk.virtualSize, options: options, pass: .resynchronize,
            monitor: monitor)
        monitor.begin(.comparing, bytesToDo: source.disk.virtualSize)
        let roots: ComparisonEngine.Roots?
        do throws(ResyncError) {
            roots = try engine.run(primary: source.disk, replica: target)
            try source.checkUnchanged()
            if let roots, roots.primary != roots.replica {
                throw .proofFailed(primary: roots.primary, replica: roots.replica ?? .zero)
            }
            try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
            if monitor.condition != .untouched { monitor.note(.written) }
        } catch {
            let error = cause(of: error, source)
            switch error {
            case .stopped, .primaryChanged:
                // What was written so far is kept: the next run has less to do.
                try target.intoBase().closeReplica()
            default:
                target.intoBase().abandon()
            }
            throw error
        }
        try target.intoBase().closeReplica()
        return roots
    }

    /// What was written does not read as the primary either where the primary is another by now.
    private func cause(
        of error: ResyncError, _ source: borrowing PrimaryDisk
    ) -> ResyncError {
        guard case .contentDiffersAfterWriting = error else { return error }
        do throws(ResyncError) {
            try source.checkUnchanged()
            return error
        } catch {
            return error
        }
    }

    /// Reads the whole replica once more, as the next one who opens it will find it.
    private func verify(
        _ roots: ComparisonEngine.Roots?, _ source: borrowing PrimaryDisk,
        _ monitor: ResyncMonitor
    ) throws(ResyncError) {
        let reader = try PrimaryDisk(openingDiskAt: replica, .replica, options).intoDisk()
        reader.dropCache()
        let size = reader.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .verify, monitor: monitor)
        monitor.expect(.looking)
        monitor.begin(.verifying, bytesToDo: size)
        guard let roots else {
            _ = try engine.run(primary: source.disk, replica: ReadOnlyTarget(reader))
            return
        }
        let found = try engine.run(alone: reader)
        guard let found, found.primary == roots.primary else {
            throw .proofFailed(primary: roots.primary, replica: found?.primary ?? .zero)
        }
    }

    /// What a run that makes the replica would have to write.
    private func compareWithNothing(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        if let parent = options.parentOfNewReplica {
            var report = try DiskComparison(primary: primary, replica: parent, options: options)
                .compare(source, monitor, sizesMayDiffer: true)
            report.replica = replica
            return report
        }
        let size = source.disk.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .compare, monitor: monitor)
        monitor.begin(.comparing, bytesToDo: size)
        let roots = try engine.run(alone: source.disk)
        try source.checkUnchanged()
        return report(roots, isVerified: false, monitor)
    }

    private func growReplica(to size: UInt64) throws(ResyncError) {
        let target = try ReplicaDisk(openingDiskAt: replica, options)
        do throws(VHDXError) {
            try target.grow(to: size)
        } catch {
            throw .disk(.replica, error)
        }
    }

    private func checkSize(
        _ size: UInt64, of primary: borrowing SourceDisk
    ) throws(ResyncError) {
        guard size == primary.virtualSize else {
            throw .differentSizes(primary: primary.virtualSize, replica: size)
        }
    }

    private func report(
        _ roots: ComparisonEngine.Roots?, isVerified: Bool, _ monitor: ResyncMonitor
    ) -> DiskReport {
        var report = DiskReport(primary: primary, replica: replica, blockSize: options.blockSize)
        report.rootDigest = roots?.primary
        report.isVerified = isVerified
        return report.finished(monitor)
    }
}
