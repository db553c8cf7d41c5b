public import Resync
internal import Storage

/// What is remembered of one disk of a job: what is to be done, and what became of it.
public struct StoredDiskResult: Equatable, Sendable {
    /// The job's InstanceID.
    public var job: String
    /// From 0 on, in the order of the work.
    public var position: Int
    /// As the inventory has it.
    public var name: String
    public var primary: String
    public var replica: String
    /// Nil until the disk is done, or has failed.
    public var returnCode: ReturnCode?
    public var errorDescription: String?
    /// Without what only counts while a phase runs, and what is to be zeroed: these are 0.
    public var counts = ResyncCounts()
    public var blockSize = 0
    /// The root digest of the primary; nil where it is not known.
    public var rootDigest: BlockDigest?
    /// Whether the replica is proven to read as the primary.
    public var isVerified = false
    public var elapsedTime = Duration.zero

    /// A disk that nothing was done to yet.
    public init(job: String, position: Int, name: String, primary: String, replica: String) {
        self.job = job
        self.position = position
        self.name = name
        self.primary = primary
        self.replica = replica
    }

    /// Notes what a run says of the disk.
    public mutating func note(_ report: DiskReport) {
        counts = report.counts
        counts.bytesToZero = 0
        counts.bytesDone = 0
        counts.bytesToDo = 0
        blockSize = report.blockSize
        rootDigest = report.rootDigest
        isVerified = report.isVerified
    }
}

extension StoredDiskResult: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case job
        case position
        case name
        case primary = "primary_path"
        case replica = "replica_path"
        case returnCode = "return_code"
        case errorDescription = "error_description"
        case virtualSize = "virtual_size"
        case blockSize = "block_size"
        case blocksTotal = "blocks_total"
        case blocksSkipped = "blocks_skipped"
        case blocksCompared = "blocks_compared"
        case blocksDiffering = "blocks_differing"
        case blocksHeld = "blocks_held"
        case bytesRead = "bytes_read"
        case bytesHashed = "bytes_hashed"
        case bytesSent = "bytes_sent"
        case bytesReceived = "bytes_received"
        case bytesWritten = "bytes_written"
        case bytesCompared = "bytes_compared"
        case bytesRecorded = "bytes_recorded"
        case bytesApplied = "bytes_applied"
        case bytesVerified = "bytes_verified"
        case rootDigest = "root_digest"
        case isVerified = "verified"
        case elapsedTime = "elapsed_time"
    }

    static let table = "disk_results"
    static let key = [Column.job, .position]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .job: .text(job)
        case .position: .integer(Int64(position))
        case .name: .text(name)
        case .primary: .text(primary)
        case .replica: .text(replica)
        case .returnCode: .number(of: returnCode)
        case .errorDescription: .text(errorDescription)
        case .virtualSize: try .integer(counts.virtualSize, column)
        case .blockSize: .integer(Int64(blockSize))
        case .blocksTotal: try .integer(counts.blocksTotal, column)
        case .blocksSkipped: try .integer(counts.blocksSkipped, column)
        case .blocksCompared: try .integer(counts.blocksCompared, column)
        case .blocksDiffering: try .integer(counts.blocksDiffering, column)
        case .blocksHeld: try .integer(counts.blocksHeld, column)
        case .bytesRead: try .integer(counts.bytesRead, column)
        case .bytesHashed: try .integer(counts.bytesHashed, column)
        case .bytesSent: try .integer(counts.bytesSent, column)
        case .bytesReceived: try .integer(counts.bytesReceived, column)
        case .bytesWritten: try .integer(counts.bytesWritten, column)
        case .bytesCompared: try .integer(counts.bytesCompared, column)
        case .bytesRecorded: try .integer(counts.bytesRecorded, column)
        case .bytesApplied: try .integer(counts.bytesApplied, column)
        case .bytesVerified: try .integer(counts.bytesVerified, column)
        case .rootDigest: rootDigest.map { .bytes(Self.bytes(of: $0)) } ?? .null
        case .isVerified: .boolean(isVerified)
        case .elapsedTime: .duration(elapsedTime)
        }
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        job = try row.text(.job)
        position = try row.integer(.position)
        name = try row.text(.name)
        primary = try row.text(.primary)
        replica = try row.text(.replica)
        returnCode = try row.optionalValue(.returnCode)
        errorDescription = try row.optionalText(.errorDescription)
        counts = try Self.counts(row)
        blockSize = try row.integer(.blockSize)
        rootDigest = try row.optionalBytes(.rootDigest, count: BlockDigest.byteCount)
            .map { BlockDigest(decoding: $0.rawSpan, at: 0) }
        isVerified = try row.boolean(.isVerified)
        elapsedTime = try row.duration(.elapsedTime)
    }

    private static func counts(_ row: StoredRow<Column>) throws(SQLiteError) -> ResyncCounts {
        var counts = ResyncCounts()
        counts.virtualSize = try row.integer(.virtualSize)
        counts.blocksTotal = try row.integer(.blocksTotal)
        counts.blocksSkipped = try row.integer(.blocksSkipped)
        counts.blocksCompared = try row.integer(.blocksCompared)
        counts.blocksDiffering = try row.integer(.blocksDiffering)
        counts.blocksHeld = try row.integer(.blocksHeld)
        counts.bytesRead = try row.integer(.bytesRead)
        counts.bytesHashed = try row.integer(.bytesHashed)
        counts.bytesSent = try row.integer(.bytesSent)
        counts.bytesReceived = try row.integer(.bytesReceived)
        counts.bytesWritten = try row.integer(.bytesWritten)
        counts.bytesCompared = try row.integer(.bytesCompared)
        counts.bytesRecorded = try row.integer(.bytesRecorded)
        counts.bytesApplied = try row.integer(.bytesApplied)
        counts.bytesVerified = try row.integer(.bytesVerified)
        return counts
    }

    private static func bytes(of digest: BlockDigest) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BlockDigest.byteCount)
        bytes.withMutableRawSpan { digest.encode(into: &$0, at: 0) }
        return bytes
    }
}
