/// An `Msvm_ReplicationStatistics` for programs.
package struct StatisticsObject: Codable, Equatable, Sendable {
    package var startStatisticTime: Nullable<String>
    package var endStatisticTime: Nullable<String>
    package var replicationSuccessCount: UInt64
    package var replicationSize: UInt64
    package var maxReplicationSize: UInt64
    package var replicationLatency: UInt64
    package var maxReplicationLatency: UInt64
    package var replicationMissCount: UInt64
    package var replicationFailureCount: UInt64
    package var networkFailureCount: UInt64
    package var pendingReplicationSize: UInt64
    package var replicationHealth: UInt16
    package var replicationHealthName: String
    package var applicationConsistentSnapshotFailureCount: UInt64
    package var lastTestFailoverTime: Nullable<String>
    package var lastResultTime: Nullable<String>
    package var lastReturnValue: Nullable<UInt32>
    package var lastReturnName: Nullable<String>

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case startStatisticTime = "StartStatisticTime"
        case endStatisticTime = "EndStatisticTime"
        case replicationSuccessCount = "ReplicationSuccessCount"
        case replicationSize = "ReplicationSize"
        case maxReplicationSize = "MaxReplicationSize"
        case replicationLatency = "ReplicationLatency"
        case maxReplicationLatency = "MaxReplicationLatency"
        case replicationMissCount = "ReplicationMissCount"
        case replicationFailureCount = "ReplicationFailureCount"
        case networkFailureCount = "NetworkFailureCount"
        case pendingReplicationSize = "PendingReplicationSize"
        case replicationHealth = "ReplicationHealth"
        case replicationHealthName = "ReplicationHealthName"
        case applicationConsistentSnapshotFailureCount =
            "ApplicationConsistentSnapshotFailureCount"
        case lastTestFailoverTime = "LastTestFailoverTime"
        case lastResultTime, lastReturnValue, lastReturnName
    }

    init(_ statistics: ReplicationStatistics) {
        startStatisticTime = Nullable(statistics.startStatisticTime.map { "\(CIMTimestamp($0))" })
        endStatisticTime = Nullable(statistics.endStatisticTime.map { "\(CIMTimestamp($0))" })
        replicationSuccessCount = statistics.replicationSuccessCount
        replicationSize = statistics.replicationSize
        maxReplicationSize = statistics.maxReplicationSize
        replicationLatency = statistics.replicationLatency
        maxReplicationLatency = statistics.maxReplicationLatency
        replicationMissCount = statistics.replicationMissCount
        replicationFailureCount = statistics.replicationFailureCount
        networkFailureCount = statistics.networkFailureCount
        pendingReplicationSize = statistics.pendingReplicationSize
        replicationHealth = statistics.replicationHealth.rawValue
        replicationHealthName = statistics.replicationHealth.name
        applicationConsistentSnapshotFailureCount =
            statistics.applicationConsistentSnapshotFailureCount
        lastTestFailoverTime = Nullable(
            statistics.lastTestFailoverTime.map { "\(CIMTimestamp($0))" })
        lastResultTime = Nullable(statistics.lastResult.map { "\(CIMTimestamp($0.date))" })
        lastReturnValue = Nullable(statistics.lastResult?.code.rawValue)
        lastReturnName = Nullable(statistics.lastResult?.code.name)
    }
}
