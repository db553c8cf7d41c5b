public import FoundationEssentials
internal import Storage

// What there is to be seen from outside.

/// A machine, and how its replication stands.
public struct MachineStanding: Sendable {
    public var machine: Inventory.Machine
    /// Of the relationship in which it is the sender; nil where there is none.
    public var relationship: StoredRelationship?
    /// The job of that relationship that is not over.
    public var job: StoredJob?
    /// From when on it is resynchronized, as soon as there is a place: nil where it does not wait for
    /// that.
    public var nextStartTime: Date?
}

extension ReplicationService {
    /// All machines, in the order of the inventory.
    public var standings: [MachineStanding] {
        state.withLock { state in inventory.machines.map { standing(of: $0, state) } }
    }

    /// The machine with its GUID or its name in the inventory.
    ///
    /// - Throws: 32773 where none is named; 32777 where there is no such one.
    public func standing(of computerSystem: String) throws(CodedError) -> MachineStanding {
        guard !computerSystem.isEmpty else { throw .invalid("no virtual machine is named") }
        guard let machine = inventory.machine(called: computerSystem) else {
            throw CodedError(
                .systemNotAvailable, "there is no virtual machine '\(computerSystem.printable)'")
        }
        return state.withLock { standing(of: machine, $0) }
    }

    private func standing(of machine: Inventory.Machine, _ state: ServiceState) -> MachineStanding {
        var standing = MachineStanding(machine: machine)
        guard let id = machine.relationship?.id else { return standing }
        standing.relationship = state.relationships[id]
        standing.job = state.unfinishedJob(of: id)?.stored
        standing.nextStartTime = state.queue.waitingEntry(of: id)?.dueTime
        return standing
    }

    /// The jobs that can be read, in the order in which they were accepted, with what is known of them.
    public var jobRecords: [StoredJob] {
        state.withLock { $0.jobsInOrder.map(\.stored) }
    }

    /// A job that can be read, or one of the history.
    ///
    /// - Throws: 32773 where there is no such one; the code of a store that cannot be read.
    public func jobRecord(_ instanceID: String) throws(CodedError) -> StoredJob {
        if let job = state.withLock({ $0.jobs[instanceID]?.stored }) { return job }
        return try fromStore { (content) throws(StoreError) in
            guard let job = try content.job(instanceID) else {
                throw .unknownJob(instanceID.printable)
            }
            return job
        }
    }

    /// The disks of a job, in their order.
    public func diskResults(of job: String) throws(CodedError) -> [StoredDiskResult] {
        try fromStore { (content) throws(StoreError) in try content.diskResults(of: job) }
    }

    /// Jobs that cannot be read as jobs any more, of a machine or of all, the last one first.
    public func history(
        of computerSystem: String? = nil, limit: Int
    ) throws(CodedError) -> [StoredJob] {
        let id: ReplicationRelationshipID?
        if let computerSystem {
            let standing = try standing(of: computerSystem)
            guard let relationship = standing.machine.relationship else { return [] }
            id = relationship.id
        } else {
            id = nil
        }
        return try fromStore { (content) throws(StoreError) in
            try content.history(of: id, limit: limit)
        }
    }

    /// `Msvm_ReplicationService.GetReplicationStatisticsEx`: what became of the runs of a machine's
    /// relationship since there is one.
    ///
    /// - Throws: the codes of ``resynchronize(computerSystem:startTime:owner:)`` for a machine; the code
    ///   of a store that cannot be read.
    public func replicationStatistics(
        computerSystem: String
    ) throws(CodedError) -> ReplicationStatistics {
        let id = try sender(called: computerSystem).relationship.id
        var statistics = try fromStore { (content) throws(StoreError) in
            try content.statistics(of: id)
        }
        if let health = relationship(id)?.replicationHealth {
            statistics.note(pendingSize: 0, health: health, at: clock.date())
        }
        return statistics
    }

    /// Whether a transfer has not ended yet. One that has may still wait for the store.
    public var isAtWork: Bool {
        state.withLock { state in state.active.values.contains { $0.outcome == nil } }
    }

    private func fromStore<Value>(
        _ body: (borrowing StoreContent) throws(StoreError) -> Value
    ) throws(CodedError) -> Value {
        do throws(StoreError) {
            return try store.read(body)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }
}
