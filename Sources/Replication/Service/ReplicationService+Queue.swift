internal import FoundationEssentials
internal import Storage

// Who waits for what, and begins.

extension ReplicationService {
    /// Has a job wait for its time and its turn. One that was suspended on request does not.
    func enqueue(_ job: ServiceJob, dueTime: Date? = nil, _ state: inout ServiceState) {
        let properties = job.job.properties
        let isSuspended = state.relationships[job.relationship].map {
            $0.replicationState == .resynchronizationSuspended
        }
        let isContinuation = properties.jobState == .suspended
        if isContinuation, isSuspended == true, dueTime == nil { return }
        state.queue.add(
            TransferQueue.Entry(
                id: job.relationship, host: host(of: job.relationship),
                dueTime: dueTime ?? properties.scheduledStartTime ?? properties.timeSubmitted,
                isContinuation: isContinuation))
    }

    /// Has a relationship wait that is resynchronized without being asked: again after a failure that
    /// may pass, or in its window. Its job is made when it begins.
    func enqueueAttempt(_ id: ReplicationRelationshipID, _ state: inout ServiceState) {
        guard let sender = senders[id], let relationship = state.relationships[id],
            relationship.replicationState == .waitingToStartResynchronization,
            state.unfinishedJob(of: id) == nil
        else { return }
        let now = clock.date()
        let window = sender.relationship.settings.autoResynchronize
        let last = lastJob(of: id)
        var entry = TransferQueue.Entry(id: id, host: host(of: id), dueTime: now)
        if let next = relationship.nextAttemptTime {
            entry.dueTime = next
            guard last?.properties.owner == Self.automaticOwner else {
                state.queue.add(entry)
                return
            }
        } else if last?.properties.jobState == .terminated {
            // Who has stopped it does not want it again at once.
            let end = last?.properties.timeOfLastStateChange ?? now
            guard let opening = window.opening(after: end, in: zone) else { return }
            entry.dueTime = opening
        } else {
            guard let opening = window.nextOpening(at: now, in: zone) else { return }
            entry.dueTime = opening
        }
        guard window.isEnabled else { return }
        entry.window = window
        state.queue.add(entry)
    }

    func host(of id: ReplicationRelationshipID) -> String? {
        senders[id]?.relationship.recoveryConnectionPoint.host
    }

    /// Where the store cannot be read, nobody knows, and what follows is refused by it too.
    private func lastJob(of id: ReplicationRelationshipID) -> StoredJob? {
        try? store.read { (content) throws(StoreError) in try content.lastJob(of: id) }
    }

    // MARK: The beginning

    /// Begins what is due, and has remembered that it has begun before anybody begins.
    func beginDue(_ state: inout ServiceState, at now: Date) -> [Transfer] {
        guard !state.isShuttingDown, state.holdTime.map({ $0 <= now }) ?? true else { return [] }
        (state.holdTime, state.storeError) = (nil, nil)
        var transfers: [Transfer] = []
        while state.holdTime == nil {
            let entries = state.queue.begin(at: now, in: zone)
            guard !entries.isEmpty else { break }
            for entry in entries {
                if let transfer = begin(entry, &state, at: now) { transfers.append(transfer) }
            }
        }
        return transfers
    }

    private func begin(
        _ entry: TransferQueue.Entry, _ state: inout ServiceState, at now: Date
    ) -> Transfer? {
        do throws(StoreError) {
            if state.holdTime == nil, let transfer = try remembered(entry, &state, at: now) {
                return transfer
            }
        } catch {
            state.note(error, at: now)
        }
        state.queue.end(entry.id)
        if state.holdTime != nil { state.queue.add(entry) }
        return nil
    }

    /// - Returns: nil where there is nothing to do any more.
    private func remembered(
        _ entry: TransferQueue.Entry, _ state: inout ServiceState, at now: Date
    ) throws(StoreError) -> Transfer? {
        let known = state.unfinishedJob(of: entry.id)
        guard var relationship = state.relationships[entry.id] else { return nil }
        guard let sender = senders[entry.id] else {
            let error = CodedError(
                .systemNotAvailable, "the virtual machine is not in the inventory any more")
            if let known { try record(.failed(error, .permanent), of: known, &state) }
            return nil
        }
        let isContinued =
            relationship.replicationState == .resynchronizationSuspended
            && known?.job.properties.jobState == .suspended
        let before = relationship.replicationState
        guard relationship.follow(isContinued ? .continued : .started, at: now) else {
            let refusal = ReplicationRefusal.state(before)
            let error = CodedError(ReturnCode(refusal), "\(refusal)")
            if let known { try record(.failed(error, .permanent), of: known, &state) }
            return nil
        }
        var job = known ?? attemptJob(of: sender, relationship)
        relationship.nextAttemptTime = nil
        // Where its end was asked for, that comes first.
        guard job.job.properties.jobState != .shuttingDown else { return nil }
        job.attemptCount += 1
        let begun = job.job.state { Self.begin($0) }
        let stored = job.stored(begun.properties(at: clock.uptime()))
        let disks = disks(of: job, sender)
        let decision = try store.write { [relationship] (content) throws(StoreError) in
            if known == nil {
                try content.accept(stored, disks: disks)
            } else {
                try content.update(stored)
            }
            try content.put(relationship)
            return try content.openDecision(of: relationship.id)
        }
        state.noteStoreChange()
        state.relationships[entry.id] = relationship
        if known == nil { state.add(job) } else { state.noteAttempt(of: job.instanceID) }
        if known == nil { tell(.jobAccepted, job, state) }
        guard Self.begin(job.job) else { return nil }
        tell(.jobBegun, job, state)
        state.active[job.instanceID] = ActiveTransfer()
        return transfer(of: job, sender, decision)
    }

    /// The job of who is not asked for it. Another attempt is made for who had asked for the first.
    private func attemptJob(of sender: Sender, _ relationship: StoredRelationship) -> ServiceJob {
        let isFirst = relationship.nextAttemptTime == nil
        return newJob(
            of: sender,
            owner: isFirst ? Self.automaticOwner : lastJob(of: relationship.id)?.properties.owner)
    }

    /// - Returns: false where the end of the job was asked for.
    @discardableResult
    private static func begin(_ job: ConcreteJob) -> Bool {
        job.properties.jobState == .suspended ? job.resume() : job.start()
    }

    func note(_ outcome: TransferOutcome, of job: String) {
        state.withLock { state in
            guard state.active[job] != nil, state.active[job]?.outcome == nil else { return }
            state.active[job]?.outcome = outcome
        }
        advance()
        wake()
    }
}
