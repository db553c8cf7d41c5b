internal import FoundationEssentials
internal import Resync
internal import Storage

// How jobs end, and what is remembered of it.

extension ReplicationService {
    /// Does what jobs were asked for.
    ///
    /// - Returns: What stops transfers, to be called outside the lock.
    func carryOutRequests(_ state: inout ServiceState) -> [@Sendable () -> Void] {
        var stops: [@Sendable () -> Void] = []
        let requests = requests.withLock { requests in
            defer { requests = [] }
            return requests
        }
        for request in requests {
            guard let job = state.jobs[request.job], !job.job.properties.jobState.isFinal else {
                continue
            }
            switch request.requested {
            case .start:
                enqueue(job, dueTime: clock.date(), &state)
            case .suspend:
                guard let transfer = state.active[request.job] else { continue }
                if transfer.stopReason == nil { state.active[request.job]?.stopReason = .suspended }
                if let stop = transfer.stop { stops.append(stop) }
            case .terminate:
                if let transfer = state.active[request.job] {
                    state.active[request.job]?.stopReason = .terminated
                    if let stop = transfer.stop { stops.append(stop) }
                    remember(job, &state)
                    continue
                }
                do throws(StoreError) {
                    try recordStop(of: job, &state)
                } catch {
                    state.note(error, at: clock.date())
                    self.requests.withLock { $0.append(request) }
                }
            case .kill, .service:
                break
            }
        }
        return stops
    }

    /// Ends a job that is not at work.
    func recordStop(of job: ServiceJob, _ state: inout ServiceState) throws(StoreError) {
        let isBegun = job.attemptCount > 0
        try record(
            .stopped(isBegun ? "stopped on request" : "stopped before it began"), of: job, &state)
    }

    /// Remembers that the end of a job was asked for, which would else be forgotten with the process.
    private func remember(_ job: ServiceJob, _ state: inout ServiceState) {
        let stored = job.stored
        do throws(StoreError) {
            try store.write { (content) throws(StoreError) in try content.update(stored) }
        } catch {
            state.note(error, at: clock.date())
        }
    }

    /// Remembers how transfers have ended. What the store refuses is tried again.
    func recordEnds(_ state: inout ServiceState) {
        for (id, transfer) in state.active {
            guard let outcome = transfer.outcome, let job = state.jobs[id] else { continue }
            if case .stopped = outcome.ending, state.isShuttingDown, transfer.stopReason == nil {
                // For the store it is at work, and goes on when there is a service again.
                state.active[id] = nil
                state.queue.end(job.relationship)
                continue
            }
            do throws(StoreError) {
                try record(outcome.ending, of: job, &state, outcome)
            } catch {
                state.note(error, at: clock.date())
            }
        }
    }

    /// Remembers the end of a job, with all that follows from it, at once.
    func record(
        _ ending: TransferOutcome.Ending, of job: ServiceJob, _ state: inout ServiceState,
        _ outcome: TransferOutcome? = nil
    ) throws(StoreError) {
        let isSuspension =
            state.active[job.instanceID]?.stopReason == .suspended
            && job.job.properties.jobState != .shuttingDown
        let now = clock.date()
        let end = job.job.state { copy in
            if let outcome { copy.report(outcome.figures, share: 0) }
            switch ending {
            case .succeeded:
                copy.complete()
            case .stopped(let words):
                if isSuspension { copy.suspend() } else { copy.terminate(.failed, words) }
            case .failed(let error, let retry):
                copy.fail(
                    error.code, error.description,
                    recovery: retry == .transient ? .rerunJob : .doNotContinue)
            }
        }
        let properties = end.properties(at: clock.uptime())
        let relationship = relationship(of: job, after: ending, isSuspension, state, at: now)
        let (stored, disks) = (job.stored(properties), disks(of: job, outcome?.disks ?? []))
        try store.write { (content) throws(StoreError) in
            try content.update(stored)
            for disk in disks { try content.update(disk) }
            guard let relationship else { return }
            try content.put(relationship)
            guard outcome != nil else { return }
            if case .succeeded = ending {
                try content.closeDecisions(of: relationship.id, at: now)
            }
            var statistics = try content.statistics(of: relationship.id)
            statistics.note(ending, properties, at: now)
            try content.put(statistics, of: relationship.id)
        }
        job.job.become(end)
        state.noteStoreChange()
        state.relationships[job.relationship] = relationship
        state.active[job.instanceID] = nil
        state.queue.end(job.relationship)
        state.queue.remove(job.relationship)
        tell(properties.jobState.isFinal ? .jobEnded : .jobSuspended, job, state)
        guard properties.jobState.isFinal else { return }
        state.noteEnd(of: job)
        enqueueAttempt(job.relationship, &state)
    }

    private func relationship(
        of job: ServiceJob, after ending: TransferOutcome.Ending, _ isSuspension: Bool,
        _ state: ServiceState, at now: Date
    ) -> StoredRelationship? {
        guard var relationship = state.relationships[job.relationship] else { return nil }
        // A job that fails before it has begun says nothing of its relationship.
        if case .failed = ending, job.attemptCount == 0 { return relationship }
        switch ending {
        case .succeeded:
            guard relationship.follow(.succeeded, at: now) else { break }
            relationship.retrySchedule.reset()
            relationship.lastReplicationType = .regular
            relationship.lastReplicationTime = now
            relationship.lastApplyTime = now
        case .stopped(let words):
            relationship.follow(isSuspension ? .suspended : .cancelled, at: now, words)
        case .failed(let error, let retry):
            guard relationship.follow(.failure(retry), at: now, error.description) else { break }
            guard let wait = relationship.retrySchedule.wait(afterFailure: retry) else { break }
            relationship.nextAttemptTime = attemptTime(of: job, at: now + wait / .seconds(1))
        }
        return relationship
    }

    /// What the service does by itself waits for the window where there is one.
    private func attemptTime(of job: ServiceJob, at date: Date) -> Date? {
        guard job.job.properties.owner == Self.automaticOwner,
            let window = senders[job.relationship]?.relationship.settings.autoResynchronize
        else { return date }
        return window.nextOpening(at: date, in: zone)
    }

    func disks(of job: ServiceJob, _ outcomes: [DiskOutcome]) -> [StoredDiskResult] {
        guard let sender = senders[job.relationship] else { return [] }
        let records = disks(of: job, sender)
        return outcomes.enumerated().compactMap { index, disk in
            let position = disk.position ?? index
            guard records.indices.contains(position) else { return nil }
            var record = records[position]
            record.note(disk.report)
            record.returnCode = disk.code
            record.errorDescription = disk.errorDescription
            record.elapsedTime = disk.elapsedTime
            return record
        }
    }

    // MARK: Now and then

    /// Jobs that have been over for long enough become history, and the oldest where many are over.
    func moveToHistory(_ state: inout ServiceState) {
        let (uptime, now) = (clock.uptime(), clock.date())
        let isFull = state.endedJobCount > Self.endedJobLimit
        let excess = isFull ? state.endedJobs.dropLast(Self.endedJobLimit) : []
        let late = state.jobs.values.filter { $0.job.isToBeRemoved(at: uptime) }
        let old = Set((excess + late).map(\.instanceID))
        guard !old.isEmpty else { return }
        do throws(StoreError) {
            try store.write { (content) throws(StoreError) in
                for id in old { try content.moveToHistory(id, at: now) }
                try content.pruneHistory(keeping: Self.historyLimit)
            }
            for id in old { state.forget(id) }
        } catch {
            state.note(error, at: now)
        }
    }

    /// Remembers how far jobs are, without a flush.
    func saveProgress(_ state: inout ServiceState) {
        let uptime = clock.uptime()
        if let last = state.progressTime, uptime - last < Self.progressInterval { return }
        let jobs = state.active.keys.compactMap { state.jobs[$0]?.stored }
        guard !jobs.isEmpty else { return }
        state.progressTime = uptime
        do throws(StoreError) {
            try store.write(.process) { (content) throws(StoreError) in
                for job in jobs { try content.update(job) }
            }
        } catch {
            state.note(error, at: clock.date())
        }
    }
}

extension ServiceState {
    /// The store has made a change.
    mutating func noteStoreChange() {
        (storeError, toldStoreError) = (nil, nil)
    }

    /// The store has refused a change: nothing begins for a while.
    mutating func note(_ error: StoreError, at date: Date) {
        storeError = error
        holdTime = date + ReplicationService.storeWait
    }
}

extension ReplicationStatistics {
    fileprivate mutating func note(
        _ ending: TransferOutcome.Ending, _ job: ConcreteJob.Properties, at date: Date
    ) {
        switch ending {
        case .succeeded:
            noteSuccess(byteCount: job.figures.bytesSent, latency: job.elapsedTime, at: date)
        case .failed(let error, _): noteFailure(error.code, at: date)
        case .stopped: break
        }
    }
}
