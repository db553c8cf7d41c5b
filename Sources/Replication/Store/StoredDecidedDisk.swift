public import Resync
public import Transport

/// A disk that becomes new by a decision: what finishes its replica.
public struct StoredDecidedDisk: Equatable, Sendable {
    /// The job's InstanceID.
    public var job: String
    /// Of the disk in the job, from 0 on.
    public var position: Int
    public var replica: DiskLocation
    /// Where its journal stands, if it is not beside a replica on this host.
    public var journalFolder: String?
    public var journal: PreparedJournal

    public init(
        job: String, position: Int, replica: DiskLocation, journalFolder: String?,
        journal: PreparedJournal
    ) {
        self.job = job
        self.position = position
        self.replica = replica
        self.journalFolder = journalFolder
        self.journal = journal
    }
}

extension StoredDecidedDisk: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case job
        case position
        case replica = "replica_path"
        case journalFolder = "journal_folder"
        case journal
    }

    static let table = "decided_disks"
    static let key = [Column.job, .position]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .job: .text(job)
        case .position: .integer(Int64(position))
        case .replica: .text("\(replica)")
        case .journalFolder: .text(journalFolder)
        case .journal: .bytes(journal.encoded())
        }
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        job = try row.text(.job)
        position = try row.integer(.position)
        guard let replica = try? DiskLocation(parsing: try row.text(.replica)) else {
            throw row.unexpected(.replica)
        }
        self.replica = replica
        journalFolder = try row.optionalText(.journalFolder)
        let bytes = try row.optionalBytes(.journal, count: PreparedJournal.encodedByteCount)
        guard let journal = bytes.flatMap(PreparedJournal.init(decoding:)) else {
            throw row.unexpected(.journal)
        }
        self.journal = journal
    }
}
