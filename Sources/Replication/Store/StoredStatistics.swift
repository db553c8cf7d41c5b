/// The statistics of a relationship, as a row.
struct StoredStatistics: Equatable {
    var relationship: ReplicationRelationshipID
    var statistics: ReplicationStatistics
}

extension StoredStatistics: StoredRecord {
    enum Column: String, CaseIterable, Sendable {
        case relationship
        case startStatisticTime = "start_statistic_time"
        case endStatisticTime = "end_statistic_time"
        case replicationSuccessCount = "replication_success_count"
        case replicationSize = "replication_size"
        case maxReplicationSize = "max_replication_size"
        case totalLatency = "total_latency"
        case longestLatency = "longest_latency"
        case replicationMissCount = "replication_miss_count"
        case replicationFailureCount = "replication_failure_count"
        case networkFailureCount = "network_failure_count"
        case lastResultTime = "last_result_time"
        case lastResultCode = "last_result_code"
        case situationTime = "situation_time"
        case pendingReplicationSize = "pending_replication_size"
        case replicationHealth = "replication_health"
    }

    static let table = "statistics"
    static let key = [Column.relationship]

    func value(of column: Column) throws(SQLiteError) -> SQLiteValue {
        switch column {
        case .relationship: .text(relationship.description)
        case .startStatisticTime: .date(statistics.startStatisticTime)
        case .endStatisticTime: .date(statistics.endStatisticTime)
        case .replicationSuccessCount: Self.count(statistics.replicationSuccessCount)
        case .replicationSize: Self.count(statistics.replicationSize)
        case .maxReplicationSize: Self.count(statistics.maxReplicationSize)
        case .totalLatency: .duration(statistics.totalLatency)
        case .longestLatency: .duration(statistics.longestLatency)
        case .replicationMissCount: Self.count(statistics.replicationMissCount)
        case .replicationFailureCount: Self.count(statistics.replicationFailureCount)
        case .networkFailureCount: Self.count(statistics.networkFailureCount)
        case .lastResultTime: .date(statistics.lastResult?.date)
        case .lastResultCode: .number(of: statistics.lastResult?.code)
        case .situationTime: .date(statistics.situation?.date)
        case .pendingReplicationSize:
            statistics.situation.map { Self.count($0.pendingSize) } ?? .null
        case .replicationHealth: .number(of: statistics.situation?.health)
        }
    }

    /// Counts stay at the largest number rather than be lost, here too.
    private static func count(_ count: UInt64) -> SQLiteValue {
        .integer(Int64(clamping: count))
    }

    init(_ row: StoredRow<Column>) throws(SQLiteError) {
        relationship = try row.relationship(.relationship)
        statistics = ReplicationStatistics()
        statistics.startStatisticTime = try row.optionalDate(.startStatisticTime)
        statistics.endStatisticTime = try row.optionalDate(.endStatisticTime)
        statistics.replicationSuccessCount = try row.integer(.replicationSuccessCount)
        statistics.replicationSize = try row.integer(.replicationSize)
        statistics.maxReplicationSize = try row.integer(.maxReplicationSize)
        statistics.totalLatency = try row.duration(.totalLatency)
        statistics.longestLatency = try row.duration(.longestLatency)
        statistics.replicationMissCount = try row.integer(.replicationMissCount)
        statistics.replicationFailureCount = try row.integer(.replicationFailureCount)
        statistics.networkFailureCount = try row.integer(.networkFailureCount)
        if let date = try row.optionalDate(.lastResultTime) {
            statistics.lastResult = ReplicationStatistics.LastResult(
                date: date, code: try row.value(.lastResultCode))
        }
        if let date = try row.optionalDate(.situationTime) {
            statistics.situation = ReplicationStatistics.Situation(
                date: date, pendingSize: try row.integer(.pendingReplicationSize),
                health: try row.value(.replicationHealth))
        }
    }
}
