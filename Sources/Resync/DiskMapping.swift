internal import BlockIO
internal import Storage
internal import VHDX

/// The digests of one disk, written to a file.
public struct DiskMapping: Sendable {
    public var disk: String
    public var output: String
    public var options: ResyncOptions
    /// A map that is trusted where it is certain that nothing has changed since it was made, so that
    /// the disk is not read; nil for none. Only the output itself may be missing.
    public var earlierMap: String?
    /// The time before the disk is opened.
    var clock: @Sendable () -> FileTime = { .now }

    public init(disk: String, output: String, options: ResyncOptions) {
        self.disk = disk
        self.output = output
        self.options = options
    }

    /// Hashes the disk, or trusts the earlier map, and writes the map, which appears under its name
    /// complete or not at all. An output that is the trusted map is left as it is.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        guard options.comparison == .hash else {
            throw .invalidOption("a map holds digests: it cannot compare bytes")
        }
        let start = clock()
        let source = try PrimaryDisk(openingDiskAt: disk, .primary, options)
        try source.checkIsNot(fileAt: output)
        let size = source.disk.virtualSize
        monitor.setDisk(size, blockSize: options.blockSize)
        var report = DiskReport(primary: disk, replica: nil, blockSize: options.blockSize)
        if let earlierMap {
            let (reuse, root) = try trust(earlierMap, for: source, monitor)
            report.reuse = reuse
            report.rootDigest = root
        }
        if report.rootDigest == nil {
            report.rootDigest = try hash(source, asOf: start, monitor)
        }
        report.note(outputAt: output)
        return report.finished(monitor)
    }

    /// Reads the disk, and writes its map.
    private func hash(
        _ source: borrowing PrimaryDisk, asOf start: FileTime, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> BlockDigest {
        let size = source.disk.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .digest, monitor: monitor)
        var writer = try DigestMapWriter(
            of: output,
            header: DigestMapHeader(
                of: source, blockSize: options.blockSize,
                fileState: try source.lastingFileState(asOf: start)),
            cacheUse: options.cacheUse)
        monitor.begin(.comparing, bytesToDo: size)
        _ = try engine.run(
            alone: source.disk,
            consume: { (run) throws(ResyncError) in try writer.append(run) })
        try source.checkUnchanged()
        return try writer.finish(.replace)
    }

    /// Reads an earlier map to its end, which proves that it is whole, and, where it is trusted, puts
    /// it in the place of the output.
    ///
    /// - Returns: whether it is trusted, and then the root digest of the disk.
    private func trust(
        _ path: String, for source: borrowing PrimaryDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> (MapReuse, BlockDigest?) {
        let found = DiskFile.fingerprint(ofFileAt: output)
        if path == output, found == nil { return (.notReused(.noMap), nil) }
        let file = try onJournal { () throws(FileError) in
            try DiskFile(opening: path, for: .reading)
        }
        let isOutput = found?.isSameFile(as: file.openingFingerprint) ?? false
        var reader = try DigestMapReader(reading: file)
        let refusal = try reader.header.refusal(for: source, blockSize: options.blockSize)
        var copy: DigestMapWriter?
        if refusal == nil, !isOutput {
            copy = try DigestMapWriter(of: output, header: reader.header)
        }
        while let run = try reader.nextRun(upTo: .max) {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            try copy?.append(run)
        }
        if let refusal { return (.notReused(refusal), nil) }
        try source.checkUnchanged()
        if let copy = copy.take() { _ = try copy.finish(.replace) }
        return (.reused, reader.rootDigest)
    }
}
