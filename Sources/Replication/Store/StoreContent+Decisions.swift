public import FoundationEssentials

extension StoreContent {
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
    }

    /// Decisions to commit that are not carried out, in the order in which they were made: work that
    /// a stop has left.
    public func decisionsToCarryOut() throws(StoreError) -> [StoredDecision] {
        try records(
            "committed = 1 AND time_carried_out IS NULL", orderedBy: "decision_time, job")
    }
}
