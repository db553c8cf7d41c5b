public import FoundationEssentials

/// A decision to commit that is not carried out, and the disks that it is about.
public struct OpenDecision: Equatable, Sendable {
    public var decision: StoredDecision
    public var disks: [StoredDecidedDisk]
}

extension StoreContent {
    /// Decides that disks of a job become new.
    ///
    /// - Throws: ``StoreError/database(path:_:)`` where it was decided what becomes of the job.
    public mutating func decide(
        _ job: String, _ disks: [StoredDecidedDisk], at time: Date
    ) throws(StoreError) {
        guard try self.job(job) != nil else { throw .unknownJob(job) }
        try insert(StoredDecision(job: job, isCommitted: true, decisionTime: time))
        for disk in disks { try insert(disk) }
    }

    /// What is left to be done of a relationship before anything else; nil for nothing.
    public func openDecision(of id: ReplicationRelationshipID) throws(StoreError) -> OpenDecision? {
        let found: [StoredDecision] = try records(
            "committed = 1 AND time_carried_out IS NULL AND job IN "
                + "(SELECT instance_id FROM jobs WHERE relationship = ?)",
            [.text(id.description)], orderedBy: "decision_time DESC, job", limit: 1)
        guard let decision = found.first else { return nil }
        return OpenDecision(
            decision: decision,
            disks: try records("job = ?", [.text(decision.job)], orderedBy: "position"))
    }

    /// Notes that the decisions of a relationship are carried out, or that a later one takes their place.
    public mutating func closeDecisions(
        of id: ReplicationRelationshipID, at time: Date
    ) throws(StoreError) {
        let jobs = "job IN (SELECT instance_id FROM jobs WHERE relationship = ?1)"
        _ = try change(
            "DELETE FROM decided_disks WHERE \(jobs)", [.text(id.description)])
        _ = try change(
            "UPDATE decisions SET time_carried_out = ?2 "
                + "WHERE committed = 1 AND time_carried_out IS NULL AND \(jobs)",
            [.text(id.description), .date(time)])
    }

    /// Decides whether the disks of a job become new, if nobody has done so before.
    ///
    /// What it returns stands for good when the transaction has ended, and not before: nobody may act on
    /// it earlier.
    public mutating func decide(
        _ job: String, committing isCommitted: Bool, at time: Date
    ) throws(StoreError) -> StoredDecision {
        if let earlier = try decision(of: job) { return earlier }
        guard try self.job(job) != nil else { throw .unknownJob(job) }
        let decision = StoredDecision(job: job, isCommitted: isCommitted, decisionTime: time)
        try insert(decision)
        return decision
    }

    /// What was decided of a job; nil where nothing was, and no disk may become new yet.
    public func decision(of job: String) throws(StoreError) -> StoredDecision? {
        try record("job = ?", [.text(job)])
    }

    /// Notes that every disk of the job has become what was decided.
    public mutating func noteCarriedOut(
        _ job: String, at time: Date
    ) throws(StoreError) {
        guard var decision = try decision(of: job) else { throw .unknownJob(job) }
        decision.timeCarriedOut = decision.timeCarriedOut ?? time
        _ = try replace(decision)
        _ = try change("DELETE FROM decided_disks WHERE job = ?", [.text(job)])
    }

    /// Decisions to commit that are not carried out, in the order in which they were made: work that
    /// a stop has left.
    public func decisionsToCarryOut() throws(StoreError) -> [StoredDecision] {
        try records(
            "committed = 1 AND time_carried_out IS NULL", orderedBy: "decision_time, job")
    }
}
