internal import BlockIO
internal import Storage
internal import VHDX

/// A comparison that changes neither side: of two disks, or of a disk with the map of another.
public struct DiskComparison: Sendable {
    public var primary: String
    /// A disk or a digest map, told apart by content.
    public var replica: String
    /// Where a delta is written that makes the one read as the other; nil for none.
    public var output: String?
    public var options: ResyncOptions

    public init(
        primary: String, replica: String, output: String? = nil, options: ResyncOptions
    ) {
        self.primary = primary
        self.replica = replica
        self.output = output
        self.options = options
    }

    /// Counts the blocks that differ, and writes the delta, which appears under its name complete or
    /// not at all. With a map, its block size is the one that is used.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        guard output == nil || options.comparison == .hash else {
            throw .invalidOption("a delta holds digests: it cannot be made by comparing bytes")
        }
        let source = try PrimaryDisk(openingDiskAt: primary, .primary, options)
        try source.checkIsNot(fileAt: replica)
        if let output { try source.checkIsNot(fileAt: output) }
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        // A device is no map, and needs no look.
        guard !DiskFile.isDevice(replica) else { return try compare(source, monitor) }
        var file = try onReplicaFile { () throws(FileError) in
            try DiskFile(opening: replica, for: .reading)
        }
        file.cacheUse = options.cacheUse
        let isMap = try onReplicaFile { () throws(FileError) in
            try DigestMap.isDigestMap(file)
        }
        guard isMap else { return try compare(source, monitor) }
        return try compare(source, withMapIn: file, monitor)
    }

    /// Compares with another disk. Where sizes may differ, it counts as if it had the primary's.
    func compare(
        _ source: borrowing PrimaryDisk, _ monitor: ResyncMonitor, sizesMayDiffer: Bool = false
    ) throws(ResyncError) -> DiskReport {
        let other = try PrimaryDisk(openingDiskAt: replica, .replica, options)
        if let output { try other.checkIsNot(fileAt: output) }
        let size = source.disk.virtualSize
        let isSmaller = other.disk.virtualSize < size
        guard
            other.disk.virtualSize == size || isSmaller && options.growsReplica && output == nil
                || sizesMayDiffer
        else { throw .differentSizes(primary: size, replica: other.disk.virtualSize) }
        let recorder = try recorder(source, base: try other.state(), options, monitor)
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: recorder == nil ? .compare : .record,
            monitor: monitor)
        monitor.begin(.comparing, bytesToDo: size)
        let roots = try engine.run(
            primary: source.disk,
            replica: ReadOnlyTarget(ResizedDisk(other.intoDisk(), virtualSize: size)),
            sink: recorder)
        try source.checkUnchanged()
        return try report(roots, baseRoot: roots?.replica, recorder, options.blockSize, monitor)
    }

    /// Compares with the digests of a disk that is elsewhere.
    private func compare(
        _ source: borrowing PrimaryDisk, withMapIn file: consuming DiskFile,
        _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        guard options.comparison == .hash else {
            throw .invalidOption("a map holds digests: it cannot compare bytes")
        }
        var map = try DigestMapReader(reading: file)
        let header = map.header
        let size = source.disk.virtualSize
        guard header.virtualSize == size else {
            throw .differentSizes(primary: size, replica: header.virtualSize)
        }
        var options = options
        options.blockSize = header.blockSize
        monitor.setDisk(size, blockSize: options.blockSize)
        let base = DiskState(
            virtualDiskID: header.virtualDiskID, dataWriteGUID: header.dataWriteGUID,
            fileState: .zero)
        let recorder = try recorder(source, base: base, options, monitor)
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: recorder == nil ? .compare : .record,
            monitor: monitor)
        monitor.begin(.comparing, bytesToDo: size)
        let roots = try engine.run(
            alone: source.disk, sink: recorder,
            knowledge: { (blocks) throws(ResyncError) in
                WindowKnowledge(replicaDigests: try map.next(upTo: Int(blocks.byteCount)))
            })
        try source.checkUnchanged()
        return try report(
            roots, baseRoot: map.rootDigest, recorder, options.blockSize, monitor)
    }

    /// Where the delta goes; nil where none is asked for.
    private func recorder(
        _ source: borrowing PrimaryDisk, base: DiskState, _ options: ResyncOptions,
        _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DifferenceRecorder<DeltaWriter<ReplacementFile>>? {
        guard let output else { return nil }
        var header = DeltaHeader(
            virtualSize: source.disk.virtualSize, blockSize: options.blockSize,
            streamID: .random(), base: base, source: try source.state())
        // What files were like on this machine means nothing on another.
        header.base.fileState = .zero
        header.source.fileState = .zero
        let file = try onJournal { () throws(FileError) in
            try ReplacementFile(of: output, options.cacheUse)
        }
        return DifferenceRecorder(
            continuing: try DeltaWriter(header, to: file), monitor)
    }

    private func report(
        _ roots: ComparisonEngine.Roots?, baseRoot: BlockDigest?,
        _ recorder: DifferenceRecorder<DeltaWriter<ReplacementFile>>?, _ blockSize: Int,
        _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        if let recorder, let roots, let baseRoot, let result = roots.result,
            let writer = try recorder.finish()
        {
            guard result == roots.primary else {
                throw .proofFailed(primary: roots.primary, replica: result)
            }
            let file = try writer.finish(baseRoot: baseRoot, resultRoot: result)
            do throws(FileError) {
                try file.commit()
            } catch {
                throw .file(error)
            }
        }
        var report = DiskReport(primary: primary, replica: replica, blockSize: blockSize)
        report.rootDigest = roots?.primary
        report.isVerified = monitor.counts.blocksDiffering == 0
        if let output { report.note(outputAt: output) }
        return report.finished(monitor)
    }

    private func onReplicaFile<Result: ~Copyable>(
        _ body: () throws(FileError) -> Result
    ) throws(ResyncError) -> Result {
        do throws(FileError) {
            return try body()
        } catch {
            throw .disk(.replica, .file(error))
        }
    }
}
