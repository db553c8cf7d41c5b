public import FoundationEssentials

/// What is remembered of a relationship: `Msvm_ReplicationRelationship`, and when it is resynchronized
/// again. Times are kept to the microsecond.
public struct StoredRelationship: Equatable, Sendable {
    public var id: ReplicationRelationshipID
    public var replicationState: ReplicationState
    public var replicationHealth: ReplicationHealth
    public var failedOverReplicationType = ReplicationType.none
    public var lastReplicationType = ReplicationType.none
    public var lastReplicationTime: Date?
    public var lastApplicationConsistentReplicationTime: Date?
    public var lastApplyTime: Date?
    public var timeOfLastStateChange: Date
    /// Why it is in this state, where somebody has said why.
    public var statusDescription: String?
    /// The failures since the last success.
    public var retrySchedule = RetrySchedule()
    /// When it is resynchronized again after a failure that may pass; nil for not at all.
    public var nextAttemptTime: Date?

    public init(
        id: ReplicationRelationshipID, replicationState: ReplicationState,
        replicationHealth: ReplicationHealth, timeOfLastStateChange: Date
    ) {
        self.id = id
        self.replicationState = replicationState
        self.replicationHealth = replicationHealth
        self.timeOfLastStateChange = timeOfLastStateChange
    }
}

extension StoredRelationship: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case id = "instance_id"
        case replicationState = "replication_state"
        case replicationHealth = "replication_health"
        case failedOverReplicationType = "failed_over_replication_type"
        case lastReplicationType = "last_replication_type"
        case lastReplicationTime = "last_replication_time"
        case lastConsistentTime = "last_application_consistent_replication_time"
        case lastApplyTime = "last_apply_time"
        case timeOfLastStateChange = "time_of_last_state_change"
        case statusDescription = "status_description"
        case failureCount = "failure_count"
        case nextAttemptTime = "next_attempt_time"
    }

    static let table = "relationships"
    static let key = [Column.id]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .id: .text(id.description)
        case .replicationState: .number(of: replicationState)
        case .replicationHealth: .number(of: replicationHealth)
        case .failedOverReplicationType: .number(of: failedOverReplicationType)
        case .lastReplicationType: .number(of: lastReplicationType)
        case .lastReplicationTime: .date(lastReplicationTime)
        case .lastConsistentTime: .date(lastApplicationConsistentReplicationTime)
        case .lastApplyTime: .date(lastApplyTime)
        case .timeOfLastStateChange: .date(timeOfLastStateChange)
        case .statusDescription: .text(statusDescription)
        case .failureCount: .integer(Int64(retrySchedule.failureCount))
        case .nextAttemptTime: .date(nextAttemptTime)
        }
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        id = try row.relationship(.id)
        replicationState = try row.value(.replicationState)
        replicationHealth = try row.value(.replicationHealth)
        failedOverReplicationType = try row.value(.failedOverReplicationType)
        lastReplicationType = try row.value(.lastReplicationType)
        lastReplicationTime = try row.optionalDate(.lastReplicationTime)
        lastApplicationConsistentReplicationTime = try row.optionalDate(.lastConsistentTime)
        lastApplyTime = try row.optionalDate(.lastApplyTime)
        timeOfLastStateChange = try row.date(.timeOfLastStateChange)
        statusDescription = try row.optionalText(.statusDescription)
        retrySchedule = RetrySchedule(failureCount: try row.integer(.failureCount))
        nextAttemptTime = try row.optionalDate(.nextAttemptTime)
    }
}
