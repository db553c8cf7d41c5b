internal import BlockIO
internal import Storage
internal import VHDX

/// The digests of one disk, written to a file.
public struct DiskMapping: Sendable {
    public var disk: String
    public var output: String
    public var options: ResyncOptions

    public init(disk: String, output: String, options: ResyncOptions) {
        self.disk = disk
        self.output = output
        self.options = options
    }

    /// Hashes the disk and writes the map, which appears under its name complete or not at all.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        guard options.comparison == .hash else {
            throw .invalidOption("a map holds digests: it cannot compare bytes")
        }
        let source = try PrimaryDisk(openingDiskAt: disk, .primary, options)
        try source.checkIsNot(fileAt: output)
        let size = source.disk.virtualSize
        monitor.setDisk(size, blockSize: options.blockSize)
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .digest, monitor: monitor)
        var writer = try DigestMapWriter(
            of: output,
            header: DigestMapHeader(
                virtualSize: size, blockSize: options.blockSize,
                virtualDiskID: source.disk.virtualDiskID,
                dataWriteGUID: source.disk.dataWriteGUID))
        monitor.begin(.comparing, bytesToDo: size)
        _ = try engine.run(
            alone: source.disk,
            consume: { (run) throws(ResyncError) in
                switch run {
                case .zeros(let count): try writer.append(zeroBlocks: count)
                case .digests(let digests):
                    for digest in digests { try writer.append(digest) }
                }
            })
        try source.checkUnchanged()

        var report = DiskReport(primary: disk, replica: nil, blockSize: options.blockSize)
        report.rootDigest = try writer.finish(.replace)
        report.note(outputAt: output)
        return report.finished(monitor)
    }
}
