/// What became of one disk: the record of a finished run, or of one that failed part of the way.
public struct DiskReport: Equatable, Sendable {
    public var primary: String
    /// The replica, or what stood in its place: a digest map; nil for a map of one disk.
    public var replica: String?
    public var blockSize: Int
    public var counts: ResyncCounts
    /// The root digest of the primary; nil before it is known and in a comparison of bytes.
    public var rootDigest: BlockDigest?
    /// Whether the replica is proven to read as the primary.
    public var isVerified: Bool
    /// Of a replica: what an earlier run had left, and what became of it.
    public var recovery = ReplicaRecovery.Outcome.nothingToDo

    public init(primary: String, replica: String?, blockSize: Int) {
        self.primary = primary
        self.replica = replica
        self.blockSize = blockSize
        counts = ResyncCounts()
        isVerified = false
    }

    /// The report of a run that is over.
    func finished(_ monitor: ResyncMonitor) -> DiskReport {
        monitor.begin(.finished)
        var report = self
        report.counts = monitor.counts
        return report
    }
}
