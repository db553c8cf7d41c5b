public import FoundationEssentials

extension StoreContent {
    private static let isUnderWay = "job_state IN (2, 3, 4, 5, 6, 11)"

    /// The jobs that can be read, in the order in which they were accepted; without the history.
    public func jobs() throws(StoreError) -> [StoredJob] {
        try records("time_of_removal IS NULL", orderedBy: "number")
    }

    /// The jobs that have not ended, in that order.
    public func jobsUnderWay() throws(StoreError) -> [StoredJob] {
        try records(Self.isUnderWay, orderedBy: "number")
    }

    /// A job, of the history too.
    public func job(_ instanceID: String) throws(StoreError) -> StoredJob? {
        try record("instance_id = ?", [.text(instanceID)])
    }

    /// The job that resynchronizes a relationship and has not ended.
    public func resynchronization(of id: ReplicationRelationshipID) throws(StoreError) -> StoredJob?
    {
        try record(
            "relationship = ? AND job_type IN (107, 121) AND \(Self.isUnderWay)",
            [.text(id.description)])
    }

    /// The job of a relationship that was accepted last, of the history too.
    public func lastJob(of id: ReplicationRelationshipID) throws(StoreError) -> StoredJob? {
        let found: [StoredJob] = try records(
            "relationship = ?", [.text(id.description)], orderedBy: "number DESC", limit: 1)
        return found.first
    }

    /// The disks of a job, in their order.
    public func diskResults(of job: String) throws(StoreError) -> [StoredDiskResult] {
        try records("job = ?", [.text(job)], orderedBy: "position")
    }

    /// Takes a job on, with the disks that it has.
    ///
    /// - Throws: ``StoreError/unknownRelationship(_:)``;
    ///   ``StoreError/resynchronizing(_:job:)`` where another one resynchronizes that.
    public mutating func accept(
        _ job: StoredJob, disks: [StoredDiskResult]
    ) throws(StoreError) {
        guard try relationship(job.relationship) != nil else {
            throw .unknownRelationship(job.relationship)
        }
        if job.isResynchronization, let other = try resynchronization(of: job.relationship) {
            throw .resynchronizing(job.relationship, job: other.instanceID)
        }
        try insert(job)
        for disk in disks { try insert(disk) }
    }

    /// Changes a job. One that has ended stays in its state.
    public mutating func update(_ job: StoredJob) throws(StoreError) {
        guard try replace(job) else { throw .unknownJob(job.instanceID) }
    }

    /// Changes what is known of a disk of a job.
    public mutating func update(_ result: StoredDiskResult) throws(StoreError) {
        guard try replace(result) else { throw .unknownJob(result.job) }
    }

    // MARK: History

    /// Jobs that cannot be read as jobs any more, the last that was accepted first.
    public func history(
        of id: ReplicationRelationshipID? = nil, limit: Int = .max
    ) throws(StoreError) -> [StoredJob] {
        let isHistory = "time_of_removal IS NOT NULL"
        guard let id else { return try records(isHistory, orderedBy: "number DESC", limit: limit) }
        return try records(
            isHistory + " AND relationship = ?", [.text(id.description)], orderedBy: "number DESC",
            limit: limit)
    }

    /// Moves a job that has ended to the history.
    ///
    /// - Throws: ``StoreError/unfinishedJob(_:)``; ``StoreError/unknownJob(_:)``.
    public mutating func moveToHistory(
        _ instanceID: String, at time: Date
    ) throws(StoreError) {
        guard let job = try job(instanceID) else { throw .unknownJob(instanceID) }
        guard job.properties.jobState.isFinal else { throw .unfinishedJob(instanceID) }
        _ = try change(
            "UPDATE jobs SET time_of_removal = ? WHERE instance_id = ? AND time_of_removal IS NULL",
            [.date(time), .text(instanceID)])
    }

    /// Forgets the oldest jobs of the history, and their disks, but not those of which a decision to
    /// commit is to be carried out.
    ///
    /// - Returns: how many.
    @discardableResult
    public mutating func pruneHistory(keeping count: Int) throws(StoreError) -> Int {
        let old = """
            SELECT instance_id FROM jobs WHERE time_of_removal IS NOT NULL AND number <= (
                SELECT number FROM jobs WHERE time_of_removal IS NOT NULL
                ORDER BY number DESC LIMIT 1 OFFSET ?1)
            AND instance_id NOT IN (
                SELECT job FROM decisions WHERE committed = 1 AND time_carried_out IS NULL)
            """
        let values = [SQLiteValue.integer(Int64(max(count, 0)))]
        _ = try change("DELETE FROM decisions WHERE job IN (\(old))", values)
        return try change("DELETE FROM jobs WHERE instance_id IN (\(old))", values)
    }
}
