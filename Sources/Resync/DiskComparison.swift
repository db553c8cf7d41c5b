internal import BlockIO
internal import Storage
internal import VHDX

/// A comparison that changes nothing: of two disks, or of a disk with the map of another.
public struct DiskComparison: Sendable {
    public var primary: String
    /// A disk or a digest map, told apart by content.
    public var replica: String
    public var options: ResyncOptions

    public init(primary: String, replica: String, options: ResyncOptions) {
        self.primary = primary
        self.replica = replica
        self.options = options
    }

    /// Counts the blocks that differ. With a map, its block size is the one that is used.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        let source = try PrimaryDisk(openingImageAt: primary, parents: options.parents)
        try source.checkIsNot(fileAt: replica)
        monitor.setDisk(source.reader.virtualSize, blockSize: options.blockSize)
        let file = try onReplicaFile { () throws(FileError) in
            try DiskFile(opening: replica, for: .reading)
        }
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
        let other = try PrimaryDisk(
            openingImageAt: replica, .replica, parents: options.parentsOfReplica)
        let size = source.reader.virtualSize
        let isSmaller = other.reader.virtualSize < size
        guard
            other.reader.virtualSize == size || isSmaller && options.growsReplica
                || sizesMayDiffer
        else { throw .differentSizes(primary: size, replica: other.reader.virtualSize) }
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .compare, monitor: monitor)
        monitor.begin(.comparing)
        let roots = try engine.run(
            primary: source.reader,
            replica: ReadOnlyTarget(ResizedDisk(other.intoReader(), virtualSize: size)))
        try source.checkUnchanged()
        return report(options.blockSize, roots?.primary, monitor)
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
        let size = source.reader.virtualSize
        guard map.header.virtualSize == size else {
            throw .differentSizes(primary: size, replica: map.header.virtualSize)
        }
        var options = options
        options.blockSize = map.header.blockSize
        monitor.setDisk(size, blockSize: options.blockSize)
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .digest, monitor: monitor)
        let zeros: ZeroDigests
        do throws(OutOfMemory) {
            zeros = try ZeroDigests(virtualSize: size, blockSize: options.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
        var difference = RunDifference(zeros: zeros)
        monitor.begin(.comparing)
        let roots = try engine.run(alone: source.reader) { (run) throws(ResyncError) in
            var rest = run.blockCount
            difference.begin(run)
            while rest > 0, let other = try map.nextRun(upTo: rest) {
                rest -= other.blockCount
                var counts = ResyncCounts()
                counts.blocksDiffering = difference.count(other)
                monitor.add(counts)
            }
        }
        try source.checkUnchanged()
        return report(options.blockSize, roots?.primary, monitor)
    }

    private func report(
        _ blockSize: Int, _ root: BlockDigest?, _ monitor: ResyncMonitor
    ) -> DiskReport {
        var report = DiskReport(primary: primary, replica: replica, blockSize: blockSize)
        report.rootDigest = root
        report.isVerified = monitor.counts.blocksDiffering == 0
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

/// Counts blocks that differ between a run of digests and the pieces of another that cover it.
private struct RunDifference {
    let zeros: ZeroDigests
    private var run = DigestRun.zeros(0)
    /// Index of the next block, on the disk and within the run.
    private var block: UInt64 = 0
    private var place = 0

    init(zeros: ZeroDigests) {
        self.zeros = zeros
    }

    mutating func begin(_ run: DigestRun) {
        self.run = run
        place = 0
    }

    mutating func count(_ other: DigestRun) -> UInt64 {
        defer {
            block += other.blockCount
            place += Int(other.blockCount)
        }
        if case .zeros = run, case .zeros = other { return 0 }
        var differing: UInt64 = 0
        for index in 0..<Int(other.blockCount) {
            let zero = zeros.digest(ofBlock: block + UInt64(index))
            let first = Self.digest(place + index, of: run, zero)
            let second = Self.digest(index, of: other, zero)
            if first != second { differing += 1 }
        }
        return differing
    }

    private static func digest(
        _ index: Int, of run: DigestRun, _ zero: BlockDigest
    ) -> BlockDigest {
        switch run {
        case .zeros: zero
        case .digests(let digests): digests[index]
        }
    }
}
