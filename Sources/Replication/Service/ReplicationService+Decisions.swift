internal import FoundationEssentials

// The disks of a machine become new together, by one decision that is remembered before any of them does.

extension ReplicationService {
    /// What there is to do for a job that has begun.
    func transfer(
        of job: ServiceJob, _ sender: Sender, _ decision: OpenDecision?
    ) -> Transfer {
        Transfer(
            job: job.job, machine: sender.machine, relationship: sender.relationship,
            attempt: job.attemptCount,
            decision: decision.map { decision in
                TransferDecision(
                    isOwn: decision.decision.job == job.instanceID, disks: decision.disks)
            },
            decide: { (disks, outcomes) throws(StoreError) in
                try self.decide(disks, outcomes, for: job)
            },
            noteCarriedOut: { () throws(StoreError) in try self.noteCarriedOut(job) },
            end: { self.note($0, of: job.instanceID) })
    }

    /// Remembers that disks of a job become new, in place of what an earlier job had decided of them.
    func decide(
        _ disks: [StoredDecidedDisk], _ outcomes: [DiskOutcome], for job: ServiceJob
    ) throws(StoreError) {
        let (stored, now) = (job.stored, clock.date())
        let results = self.disks(of: job, outcomes)
        try store.write { (content) throws(StoreError) in
            try content.update(stored)
            for result in results { try content.update(result) }
            try content.closeDecisions(of: job.relationship, at: now)
            try content.decide(job.instanceID, disks, at: now)
        }
    }

    /// Remembers that what earlier jobs of a relationship have decided is carried out.
    func noteCarriedOut(_ job: ServiceJob) throws(StoreError) {
        let now = clock.date()
        try store.write { (content) throws(StoreError) in
            try content.closeDecisions(of: job.relationship, at: now)
        }
    }
}
