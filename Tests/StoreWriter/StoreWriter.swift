internal import Foundation
internal import Replication
internal import Resync
internal import Storage

/// Work of a service, as far as a store sees it.
struct StoreWriter {
    let store: StateStore
    let output: LineOutput

    /// Disks of each job.
    static let diskCount = 3
    /// Relationships of which each has a job at a time.
    static let relationshipCount = 4

    private var seconds: TimeInterval = 1_800_000_000

    init(store: StateStore, output: LineOutput) {
        self.store = store
        self.output = output
    }

    /// Carries jobs out, after those that an earlier run has left.
    mutating func run(jobCount: Int) throws(StoreError) {
        let relationships = try self.relationships()
        for job in try store.read({ (content) throws(StoreError) in try content.jobsUnderWay() }) {
            try carryOut(job)
        }
        for index in 0..<jobCount {
            let relationship = relationships[index % relationships.count]
            try carryOut(try accept(relationship, "job \(index)"))
        }
    }

    private mutating func now() -> Date {
        seconds += 1
        return Date(timeIntervalSince1970: seconds)
    }

    /// The relationships, made where they are missing.
    private mutating func relationships() throws(StoreError) -> [ReplicationRelationshipID] {
        let known = try store.read { (content) throws(StoreError) in try content.relationships() }
        guard known.isEmpty else { return known.map(\.id) }
        let now = now()
        let ids = (0..<Self.relationshipCount).map { _ in
            ReplicationRelationshipID(machineID: .random(), kind: .primary)
        }
        try store.write { (content) throws(StoreError) in
            for id in ids {
                try content.put(
                    StoredRelationship(
                        id: id, replicationState: .waitingToStartResynchronization,
                        replicationHealth: .critical, timeOfLastStateChange: now))
            }
        }
        output.write("relationships \(ids.count)")
        return ids
    }

    private mutating func accept(
        _ id: ReplicationRelationshipID, _ owner: String
    ) throws(StoreError) -> StoredJob {
        let job = StoredJob(ConcreteJob(elementName: "mail", owner: owner).properties, of: id)
        let disks = (0..<Self.diskCount).map { position in
            StoredDiskResult(
                job: job.instanceID, position: position, name: "disk \(position)",
                primary: "/vm/\(position).vhdx", replica: "/replicas/\(position).vhdx")
        }
        let now = now()
        try store.write { (content) throws(StoreError) in
            try content.accept(job, disks: disks)
            try Self.set(.resynchronizing, .warning, of: id, at: now, &content)
        }
        output.write("accepted \(job.instanceID)")
        return job
    }

    private static func set(
        _ state: ReplicationState, _ health: ReplicationHealth, of id: ReplicationRelationshipID,
        at time: Date, _ content: inout StoreContent
    ) throws(StoreError) {
        guard var relationship = try content.relationship(id) else {
            throw .unknownRelationship(id)
        }
        relationship.replicationState = state
        relationship.replicationHealth = health
        relationship.timeOfLastStateChange = time
        try content.put(relationship)
    }

    private mutating func carryOut(_ earlier: StoredJob) throws(StoreError) {
        var job = earlier
        job.properties.jobState = .running
        job.attemptCount += 1
        for percent in [10, 60] as [UInt16] {
            job.properties.percentComplete = max(job.properties.percentComplete, percent)
            let job = job
            try store.write(.process) { (content) throws(StoreError) in try content.update(job) }
        }
        let now = now()
        let decision = try store.write { (content) throws(StoreError) in
            try content.decide(job.instanceID, committing: true, at: now)
        }
        output.write("decided \(decision.job)")
        try end(job)
    }

    private mutating func end(_ running: StoredJob) throws(StoreError) {
        var job = running
        let now = now()
        job.properties.jobState = .completed
        job.properties.percentComplete = 100
        let ended = job
        try store.write { (content) throws(StoreError) in
            for disk in try content.diskResults(of: ended.instanceID) {
                var disk = disk
                disk.returnCode = .completed
                disk.counts.bytesRead = 4096
                disk.isVerified = true
                try content.update(disk)
            }
            try content.update(ended)
            try content.noteCarriedOut(ended.instanceID, at: now)
            try Self.set(.replicating, .ok, of: ended.relationship, at: now, &content)
            var statistics = try content.statistics(of: ended.relationship)
            statistics.noteSuccess(byteCount: 4096, latency: .seconds(1), at: now)
            try content.put(statistics, of: ended.relationship)
        }
        output.write("ended \(job.instanceID)")
    }
}
