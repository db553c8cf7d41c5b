internal import Storage

/// What became of one disk: the record of a finished run, or of one that failed part of the way.
public struct DiskReport: Equatable, Sendable {
    /// The primary, or what stands in its place: a delta, or a journal, and empty for none.
    public var primary: String
    /// The replica, or what stood in its place: a digest map; nil for a map of one disk.
    public var replica: String?
    public var blockSize: Int
    public var counts: ResyncCounts
    /// The root digest of the primary; nil before it is known and in a comparison of bytes.
    public var rootDigest: BlockDigest?
    /// Whether the replica is proven to read as the primary.
    public var isVerified: Bool
    /// Of a replica that could be written: what an earlier run had left, and what became of it.
    public var recovery: ReplicaRecovery.Outcome?
    /// What became of an earlier map that was to be trusted; nil where none was.
    public var reuse: MapReuse?
    /// The map or the delta that was written.
    public var output: OutputFile?

    /// A file that a run made.
    public struct OutputFile: Equatable, Sendable {
        public var path: String
        public var byteCount: UInt64

        public init(path: String, byteCount: UInt64) {
            self.path = path
            self.byteCount = byteCount
        }
    }

    public init(primary: String, replica: String?, blockSize: Int) {
        self.primary = primary
        self.replica = replica
        self.blockSize = blockSize
        counts = ResyncCounts()
        isVerified = false
    }

    /// Notes the file that was made at a path, if there is one.
    mutating func note(outputAt path: String) {
        guard let fingerprint = DiskFile.fingerprint(ofFileAt: path) else { return }
        output = OutputFile(path: path, byteCount: fingerprint.byteCount)
    }

    /// The report of a run that is over.
    func finished(_ monitor: ResyncMonitor) -> DiskReport {
        monitor.begin(.finished)
        var report = self
        report.counts = monitor.counts
        return report
    }
}
