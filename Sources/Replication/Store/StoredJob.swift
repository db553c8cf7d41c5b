public import FoundationEssentials

/// What is remembered of a job.
public struct StoredJob: Equatable, Sendable {
    public var relationship: ReplicationRelationshipID
    /// Times to the microsecond; without what holds for a moment alone: whether it can be cancelled,
    /// the rates, and the time that is left.
    public var properties: ConcreteJob.Properties
    /// How often its work was begun: again after a service that was stopped in the midst of it.
    public var attemptCount = 0
    /// When it was moved to the history; nil while it can be read as a job.
    public var timeOfRemoval: Date?

    public init(_ properties: ConcreteJob.Properties, of relationship: ReplicationRelationshipID) {
        self.properties = properties
        self.relationship = relationship
    }

    /// The key.
    public var instanceID: String { properties.instanceID }

    /// Whether only one such job of a relationship may be under way.
    var isResynchronization: Bool {
        switch properties.jobType {
        case .resynchronizing, .resynchronizingExtendedReplication: true
        case .changingReplicationState, .stoppingResynchronization: false
        }
    }
}

extension StoredJob: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case instanceID = "instance_id"
        case relationship
        case jobType = "job_type"
        case elementName = "element_name"
        case owner
        case jobState = "job_state"
        case activity
        case percentComplete = "percent_complete"
        case timeSubmitted = "time_submitted"
        case scheduledStartTime = "scheduled_start_time"
        case startTime = "start_time"
        case elapsedTime = "elapsed_time"
        case timeOfLastStateChange = "time_of_last_state_change"
        case errorCode = "error_code"
        case errorDescription = "error_description"
        case recoveryAction = "recovery_action"
        case isCommitted = "committed"
        case bytesCompared = "bytes_compared"
        case bytesDiffering = "bytes_differing"
        case bytesSent = "bytes_sent"
        case attemptCount = "attempt_count"
        case timeOfRemoval = "time_of_removal"
    }

    static let table = "jobs"
    static let key = [Column.instanceID]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .instanceID: .text(instanceID)
        case .relationship: .text(relationship.description)
        case .jobType: .number(of: properties.jobType)
        case .elementName: .text(properties.elementName)
        case .owner: .text(properties.owner)
        case .jobState: .number(of: properties.jobState)
        case .activity: .text(properties.activity)
        case .percentComplete: .integer(Int64(properties.percentComplete))
        case .timeSubmitted: .date(properties.timeSubmitted)
        case .scheduledStartTime: .date(properties.scheduledStartTime)
        case .startTime: .date(properties.startTime)
        case .elapsedTime: .duration(properties.elapsedTime)
        case .timeOfLastStateChange: .date(properties.timeOfLastStateChange)
        case .errorCode: .integer(Int64(properties.errorCode))
        case .errorDescription: .text(properties.errorDescription)
        case .recoveryAction: .number(of: properties.recoveryAction)
        case .isCommitted: .boolean(properties.isCommitted)
        case .bytesCompared: try .integer(properties.figures.bytesCompared, column)
        case .bytesDiffering: try .integer(properties.figures.bytesDiffering, column)
        case .bytesSent: try .integer(properties.figures.bytesSent, column)
        case .attemptCount: .integer(Int64(attemptCount))
        case .timeOfRemoval: .date(timeOfRemoval)
        }
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        relationship = try row.relationship(.relationship)
        properties = ConcreteJob.Properties(
            instanceID: try row.text(.instanceID), elementName: try row.text(.elementName),
            jobType: try row.value(.jobType), timeSubmitted: try row.date(.timeSubmitted),
            timeOfLastStateChange: try row.date(.timeOfLastStateChange))
        properties.owner = try row.optionalText(.owner)
        properties.jobState = try row.value(.jobState)
        properties.activity = try row.optionalText(.activity)
        properties.percentComplete = try row.integer(.percentComplete)
        properties.scheduledStartTime = try row.optionalDate(.scheduledStartTime)
        properties.startTime = try row.optionalDate(.startTime)
        properties.elapsedTime = try row.duration(.elapsedTime)
        properties.errorCode = try row.integer(.errorCode)
        properties.errorDescription = try row.optionalText(.errorDescription)
        properties.recoveryAction = try row.value(.recoveryAction)
        properties.isCommitted = try row.boolean(.isCommitted)
        properties.figures = JobFigures(
            bytesCompared: try row.integer(.bytesCompared),
            bytesDiffering: try row.integer(.bytesDiffering),
            bytesSent: try row.integer(.bytesSent))
        attemptCount = try row.integer(.attemptCount)
        timeOfRemoval = try row.optionalDate(.timeOfRemoval)
    }
}
