import Foundation
import Resync
import Storage
import TestSupport

@testable import Replication

/// A folder for a store, and records for it.
struct StoreTrial {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    var path: String { folder.file("state") }
    var database: String { path + "/state.sqlite" }

    func open() throws(StoreError) -> StateStore {
        try StateStore(opening: path)
    }

    /// A store with relationships in state 9, which need a resynchronization.
    func open(with ids: [ReplicationRelationshipID]) throws -> StateStore {
        let store = try open()
        try store.write { (content) throws(StoreError) in
            for id in ids { try content.put(Self.relationship(id)) }
        }
        return store
    }

    /// Changes the database as nobody should.
    func change(_ sql: String) throws {
        let connection = try SQLiteConnection(opening: database)
        try connection.moveLogWhenClosed()
        try connection.runScript(sql)
    }

    static func id(_ kind: ReplicationRelationshipID.Kind = .primary) -> ReplicationRelationshipID {
        ReplicationRelationshipID(machineID: .random(), kind: kind)
    }

    static func time(_ seconds: Int64) -> Date {
        Date(timeIntervalSince1970: TimeInterval(1_800_000_000 + seconds))
    }

    static func relationship(_ id: ReplicationRelationshipID) -> StoredRelationship {
        StoredRelationship(
            id: id, replicationState: .waitingToStartResynchronization,
            replicationHealth: .critical, timeOfLastStateChange: time(0))
    }

    static func job(
        _ id: ReplicationRelationshipID, _ type: JobType = .resynchronizing
    ) -> StoredJob {
        let properties = ConcreteJob.Properties(
            instanceID: GUID.random().description.uppercased(), elementName: "mail", jobType: type,
            timeSubmitted: time(1), timeOfLastStateChange: time(1))
        return StoredJob(properties, of: id)
    }

    static func disks(of job: StoredJob, count: Int = 2) -> [StoredDiskResult] {
        (0..<count).map { position in
            StoredDiskResult(
                job: job.instanceID, position: position, name: "disk \(position)",
                primary: "/vm/\(position).vhdx", replica: "host:/r/\(position).vhdx")
        }
    }
}

extension StateStore {
    func accept(_ job: StoredJob, disks: [StoredDiskResult] = []) throws(StoreError) {
        try write { (content) throws(StoreError) in try content.accept(job, disks: disks) }
    }

    func job(_ id: String) throws(StoreError) -> StoredJob? {
        try read { (content) throws(StoreError) in try content.job(id) }
    }

    func jobs() throws(StoreError) -> [StoredJob] {
        try read { (content) throws(StoreError) in try content.jobs() }
    }

    func disks(of job: StoredJob) throws(StoreError) -> [StoredDiskResult] {
        try read { (content) throws(StoreError) in try content.diskResults(of: job.instanceID) }
    }

    /// Moves a job through its states to its end.
    func end(_ job: StoredJob, as state: JobState = .completed) throws(StoreError) {
        var job = job
        job.properties.jobState = state
        let ended = job
        try write { (content) throws(StoreError) in try content.update(ended) }
    }
}

/// Records with any values, from a seed.
struct RecordMaker {
    var random: SeededGenerator

    mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        let edges: [Number] = [0, 1, .max]
        return edges.randomElement(using: &random) ?? 0
    }

    mutating func count() -> UInt64 { UInt64(Int64.random(in: 0 ... .max, using: &random)) }

    mutating func text() -> String {
        let texts = ["", "a", "ä😀\u{301}", "it's \"; DROP TABLE jobs;--", "a\0b", "\u{1B}[2J\n"]
        return texts.randomElement(using: &random) ?? ""
    }

    mutating func optional<Value>(_ value: Value) -> Value? {
        Bool.random(using: &random) ? value : nil
    }

    /// Of the years in which dates are exact to the microsecond, and of both sides of 1970.
    mutating func time() -> Date {
        CIMTimestamp.date(microseconds: Int64.random(in: -(1 << 50)...(1 << 51), using: &random))
    }

    mutating func element<Value: CaseIterable>(_: Value.Type = Value.self) -> Value {
        guard let value = Value.allCases.randomElement(using: &random) else {
            preconditionFailure("an enumeration without cases")
        }
        return value
    }

    mutating func duration() -> Duration {
        .microseconds(Int64.random(in: 0...(1 << 53), using: &random))
    }

    mutating func relationship(_ id: ReplicationRelationshipID) -> StoredRelationship {
        var record = StoredRelationship(
            id: id, replicationState: element(), replicationHealth: element(),
            timeOfLastStateChange: time())
        record.failedOverReplicationType = element()
        record.lastReplicationType = element()
        record.lastReplicationTime = optional(time())
        record.lastApplicationConsistentReplicationTime = optional(time())
        record.lastApplyTime = optional(time())
        record.statusDescription = optional(text())
        record.retrySchedule = RetrySchedule(failureCount: number())
        record.nextAttemptTime = optional(time())
        return record
    }

    mutating func statistics() -> ReplicationStatistics {
        var statistics = ReplicationStatistics()
        statistics.startStatisticTime = optional(time())
        statistics.endStatisticTime = optional(time())
        statistics.replicationSuccessCount = count()
        statistics.replicationSize = count()
        statistics.maxReplicationSize = count()
        statistics.totalLatency = duration()
        statistics.longestLatency = duration()
        statistics.replicationMissCount = count()
        statistics.replicationFailureCount = count()
        statistics.networkFailureCount = count()
        statistics.lastResult = optional(
            ReplicationStatistics.LastResult(date: time(), code: element()))
        statistics.situation = optional(
            ReplicationStatistics.Situation(
                date: time(), pendingSize: count(), health: element()))
        return statistics
    }

    mutating func job(_ id: ReplicationRelationshipID) -> StoredJob {
        var properties = ConcreteJob.Properties(
            instanceID: GUID.random(using: &random).description.uppercased(), elementName: text(),
            // One that may be there beside others of its relationship.
            jobType: .changingReplicationState, timeSubmitted: time(),
            timeOfLastStateChange: time())
        properties.owner = optional(text())
        properties.jobState = element()
        properties.percentComplete = UInt16.random(in: 0...100, using: &random)
        properties.scheduledStartTime = optional(time())
        properties.startTime = optional(time())
        properties.elapsedTime = duration()
        properties.activity = optional(text())
        properties.errorCode = number()
        properties.errorDescription = optional(text())
        properties.recoveryAction = element()
        properties.isCommitted = Bool.random(using: &random)
        properties.figures = JobFigures(
            bytesCompared: count(), bytesDiffering: count(), bytesSent: count())
        var record = StoredJob(properties, of: id)
        record.attemptCount = Int(Int32.random(in: 0 ... .max, using: &random))
        record.timeOfRemoval = optional(time())
        return record
    }

    mutating func disk(_ job: String, _ position: Int) -> StoredDiskResult {
        var record = StoredDiskResult(
            job: job, position: position, name: text(), primary: text(), replica: text())
        record.returnCode = optional(element())
        record.errorDescription = optional(text())
        record.counts.virtualSize = count()
        record.counts.blocksTotal = count()
        record.counts.blocksSkipped = count()
        record.counts.blocksCompared = count()
        record.counts.blocksDiffering = count()
        record.counts.blocksHeld = count()
        record.counts.bytesRead = count()
        record.counts.bytesHashed = count()
        record.counts.bytesSent = count()
        record.counts.bytesReceived = count()
        record.counts.bytesWritten = count()
        record.counts.bytesCompared = count()
        record.counts.bytesRecorded = count()
        record.counts.bytesApplied = count()
        record.counts.bytesVerified = count()
        record.blockSize = Int(Int32.random(in: 0 ... .max, using: &random))
        record.rootDigest = optional(BlockDigest(decoding: random.bytes(count: 32).rawSpan, at: 0))
        record.isVerified = Bool.random(using: &random)
        record.elapsedTime = duration()
        return record
    }
}
