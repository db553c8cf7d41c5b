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
    /// After an error before the first difference the replica is untouched; after a later one it is
    /// a valid image with some blocks of the primary, and the next run completes it. Counts so far
    /// stand in the monitor in both cases.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        DiskReport(primary: primary, replica: replica, blockSize: options.blockSize)
    }
}

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
        DiskReport(primary: disk, replica: nil, blockSize: options.blockSize)
    }
}

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
        DiskReport(primary: primary, replica: replica, blockSize: options.blockSize)
    }
}
