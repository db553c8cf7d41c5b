public import FoundationEssentials

/// Whether the disks of a job become new, all of them or none.
public struct StoredDecision: Equatable, Sendable {
    /// The job's InstanceID.
    public var job: String
    public var isCommitted: Bool
    public var decisionTime: Date
    /// When every disk had become what was decided; nil until then.
    public var timeCarriedOut: Date?

    public init(job: String, isCommitted: Bool, decisionTime: Date) {
        self.job = job
        self.isCommitted = isCommitted
        self.decisionTime = decisionTime
    }
}

extension StoredDecision: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case job
        case isCommitted = "committed"
        case decisionTime = "decision_time"
        case timeCarriedOut = "time_carried_out"
    }

    static let table = "decisions"
    static let key = [Column.job]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .job: .text(job)
        case .isCommitted: .boolean(isCommitted)
        case .decisionTime: .date(decisionTime)
        case .timeCarriedOut: .date(timeCarriedOut)
        }
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        job = try row.text(.job)
        isCommitted = try row.boolean(.isCommitted)
        decisionTime = try row.date(.decisionTime)
        timeCarriedOut = try row.optionalDate(.timeCarriedOut)
    }
}
