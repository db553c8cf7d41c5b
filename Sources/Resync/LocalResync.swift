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
    /// After an error before the first difference the replica is untouched, or was made or grown as
    /// the monitor says; after a later one it is
    /// a valid image with some blocks of the primary, and the next run completes it. Counts so far
    /// stand in the monitor in both cases.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        let source = try PrimaryDisk(openingImageAt: primary, parents: options.parents)
        try source.checkIsNot(fileAt: replica)
        // Where nothing is to be made, opening it says what is wrong with the path.
        let exists =
            !options.createsReplica || DiskFile.fingerprint(ofFileAt: replica) != nil
        monitor.setDisk(source.reader.virtualSize, blockSize: options.blockSize)
        if options.isDryRun {
            return exists
                ? try DiskComparison(primary: primary, replica: replica, options: options)
                    .compare(source, monitor)
                : try compareWithNothing(source, monitor)
        }
        if exists {
            // A replica that must not be written to is left as it is, its log included.
            let size = try checkedReplicaSize(source.reader)
            if size < source.reader.virtualSize {
                try growReplica(to: source.reader.virtualSize)
                monitor.note(.grown)
            }
        } else {
            try ReplicaCreation(path: replica, options: options).run(like: source.reader)
            monitor.note(.made)
        }
        let roots = try resynchronize(source, monitor)
        if options.verifiesWholeReplica { try verify(roots, source, monitor) }
        return report(roots, isVerified: true, monitor)
    }

    private func resynchronize(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let target = try onDisk(.replica) { () throws(VHDXError) in
            try ImageWriter(openingImageAt: replica, parents: options.parentsOfReplica)
        }
        try checkSize(target.virtualSize, of: source.reader)
        let engine = try ComparisonEngine(
            virtualSize: source.reader.virtualSize, options: options, pass: .resynchronize,
            monitor: monitor)
        monitor.begin(.comparing)
        let roots: ComparisonEngine.Roots?
        do throws(ResyncError) {
            roots = try engine.run(primary: source.reader, replica: target)
            try source.checkUnchanged()
        } catch {
            let error = cause(of: error, source)
            switch error {
            case .stopped, .primaryChanged:
                // What was written so far is kept: the next run has less to do.
                try close(target)
            default:
                target.abandon()
            }
            throw error
        }
        try close(target)
        if let roots, roots.primary != roots.replica {
            throw .proofFailed(primary: roots.primary, replica: roots.replica)
        }
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

    private func close(_ target: consuming ImageWriter<DiskFile>) throws(ResyncError) {
        do throws(VHDXError) {
            try target.close()
        } catch {
            throw .disk(.replica, error)
        }
    }

    /// Reads the whole replica once more, as the next one who opens it will find it.
    private func verify(
        _ roots: ComparisonEngine.Roots?, _ source: borrowing PrimaryDisk,
        _ monitor: ResyncMonitor
    ) throws(ResyncError) {
        let reader = try onDisk(.replica) { () throws(VHDXError) in
            try ImageReader(openingImageAt: replica, parents: options.parentsOfReplica)
        }
        reader.dropCache()
        let size = reader.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .verify, monitor: monitor)
        monitor.begin(.verifying)
        guard let roots else {
            _ = try engine.run(primary: source.reader, replica: ReadOnlyTarget(reader))
            return
        }
        let found = try engine.run(alone: reader)
        guard let found, found.primary == roots.primary else {
            throw .proofFailed(
                primary: roots.primary, replica: found?.primary ?? roots.replica)
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
        let size = source.reader.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .compare, monitor: monitor)
        monitor.begin(.comparing)
        let roots = try engine.run(alone: source.reader)
        try source.checkUnchanged()
        return report(roots, isVerified: false, monitor)
    }

    /// The size of the replica, after checks that it may become what the primary is.
    private func checkedReplicaSize(
        _ primary: borrowing ImageReader<DiskFile>
    ) throws(ResyncError) -> UInt64 {
        let reader = try onDisk(.replica) { () throws(VHDXError) in
            try ImageReader(openingImageAt: replica, parents: options.parentsOfReplica)
        }
        let size = reader.virtualSize
        if size > primary.virtualSize || !options.growsReplica { try checkSize(size, of: primary) }
        guard !options.breaksChildren else { return size }
        if let child = reader.visibleChild() {
            throw .disk(.replica, .hasChild(path: replica, child: child))
        }
        return size
    }

    private func growReplica(to size: UInt64) throws(ResyncError) {
        let writer = try onDisk(.replica) { () throws(VHDXError) in
            try ImageWriter(openingImageAt: replica, parents: options.parentsOfReplica)
        }
        do throws(VHDXError) {
            try writer.grow(to: size)
        } catch {
            throw .disk(.replica, error)
        }
    }

    private func checkSize(
        _ size: UInt64, of primary: borrowing ImageReader<DiskFile>
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
