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
        let opening = opening(monitor)
        let exists = opening.exists
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        if options.isDryRun {
            return exists
                ? try DiskComparison(primary: primary, replica: replica, options: options)
                    .compare(source, monitor)
                : try compareWithNothing(source, monitor)
        }
        var recovery = ReplicaRecovery.Outcome.nothingToDo
        if exists {
            recovery = try opening.prepare(for: source.disk.virtualSize)
        } else {
            try opening.create(like: try source.offer())
        }
        let roots = try write(source, monitor)
        if options.verifiesWholeReplica { try verify(roots, source, monitor) }
        var report = report(roots, isVerified: true, monitor)
        report.recovery = recovery
        return report
    }

    private func opening(_ monitor: ResyncMonitor) -> ReplicaOpening {
        ReplicaOpening(path: replica, options: options, monitor: monitor)
    }

    private func write(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let opening = opening(monitor)
        guard options.writeMethod != .inPlace else {
            return try writeInPlace(source, try opening.open(source.disk.virtualSize), monitor)
        }
        let writing = try JournaledWriting(replica: replica, options: options, monitor: monitor)
        let target = try opening.open(source.disk.virtualSize)
        guard !opening.hasNothingToLose(target, journal: writing.journaled.store) else {
            return try writeInPlace(source, target, monitor)
        }
        return try write(source, writing, target, monitor)
    }

    private func write(
        _ source: borrowing PrimaryDisk, _ writing: JournaledWriting,
        _ target: consuming ReplicaDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
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
        try writing.write(
            recorded.journal.take(), to: target, wasMarked: wasMarked,
            bytesToZero: monitor.counts.bytesToZero)
        return recorded.roots
    }

    private func writeInPlace(
        _ source: borrowing PrimaryDisk, _ disk: consuming ReplicaDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let target = InPlaceTarget(disk, monitor)
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
            try target.removeMark()
        } catch {
            let error = cause(of: error, source)
            try target.end(after: error)
            throw error
        }
        try target.close()
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
        try opening(monitor).verify { (engine, reader) throws(ResyncError) in
            guard let roots else {
                _ = try engine.run(primary: source.disk, replica: ReadOnlyTarget(reader))
                return
            }
            try engine.check(reader, root: roots.primary)
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

    private func report(
        _ roots: ComparisonEngine.Roots?, isVerified: Bool, _ monitor: ResyncMonitor
    ) -> DiskReport {
        var report = DiskReport(primary: primary, replica: replica, blockSize: options.blockSize)
        report.rootDigest = roots?.primary
        report.isVerified = isVerified
        return report.finished(monitor)
    }
}
