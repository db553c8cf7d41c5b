internal import FoundationEssentials
internal import Storage

extension ReplicationService {
    /// What is to be done once the lock is given back.
    private enum Step {
        case answer(MethodAnswer)
        /// The job is at work, and its worker is to be asked.
        case ask(ConcreteJob, RequestedJobState)
    }

    /// `Msvm_ReplicationService.RequestReplicationStateChangeEx`: resumes, suspends or cancels, as the
    /// table of `docs/replication-states.md` has it.
    ///
    /// What it changes in the relationship at once is in the store when it returns; what a job at work
    /// is asked for happens as soon as may be.
    ///
    /// - Parameters:
    ///   - computerSystem: The machine's GUID or its name in the inventory.
    ///   - requestedState: 3 for replicating, 7 for suspended, 9 to cancel the resynchronization.
    ///   - owner: Who asks, if that is known.
    /// - Returns: 4096 with the job that changes, 0 where the relationship has changed and no job, or why
    ///   not.
    public func requestReplicationStateChange(
        computerSystem: String, to requestedState: UInt16, owner: String? = nil
    ) -> MethodAnswer {
        let step: Step
        do throws(CodedError) {
            let requested = try Self.requestedState(requestedState)
            let request = Request(sender: try sender(called: computerSystem), owner: owner)
            step = try state.withLock { (state) throws(CodedError) in
                try self.step(requested, request, &state)
            }
        } catch {
            return .refused(error.code, error.description)
        }
        defer {
            advance()
            wake()
        }
        switch step {
        case .answer(let answer): return answer
        case .ask(let job, let requested): return Self.ask(job, requested)
        }
    }

    private static func requestedState(
        _ number: UInt16
    ) throws(CodedError) -> RequestedReplicationState {
        do throws(ReplicationRefusal) {
            return try RequestedReplicationState(number: number)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    private static func ask(_ job: ConcreteJob, _ requested: RequestedJobState) -> MethodAnswer {
        switch job.requestStateChange(requested) {
        case .completed, .transitionStarted, .busy:
            return .started(job)
        case .notSupported, .unknown, .cannotCompleteInTime, .failed, .invalidParameter, .inUse,
            .invalidTransition, .timeoutNotSupported:
            // To end was asked before.
            if requested == .terminate, job.properties.jobState == .shuttingDown {
                return .started(job)
            }
            // It has come so far meanwhile.
            let refusal = ReplicationRefusal.pastCommitPoint
            return job.properties.isCommitted
                ? .refused(ReturnCode(refusal), "\(refusal)")
                : .refused(.invalidState, "the resynchronization is ending")
        }
    }

    private func step(
        _ requested: RequestedReplicationState, _ request: Request, _ state: inout ServiceState
    ) throws(CodedError) -> Step {
        try answer(
            request, &state,
            table: { (state, job) throws(ReplicationRefusal) in
                try state.change(to: requested, beside: job)
            }
        ) { (meeting, state) throws(StoreError) in
            let (relationship, known) = (meeting.relationship, meeting.known)
            switch meeting.action {
            case .resumeReplication, .suspendReplication:
                try change(relationship, by: meeting.action, &state)
                return .answer(MethodAnswer(returnValue: ReturnCode(meeting.action)))
            case .continueJob:
                return try goOn(with: known, request, relationship, &state)
            case .suspendJob:
                guard let known else { preconditionFailure("a job is suspended that there is not") }
                return try suspend(known, relationship, &state)
            case .cancelJob, .cancelWaitingJob:
                return try cancel(known, request, relationship, &state)
            case .startJob, .startOver, .keepJob:
                preconditionFailure("a change of state has led to \(meeting.action)")
            }
        }
    }

    // MARK: Actions

    /// Changes a relationship, and remembers it first.
    private func change(
        _ relationship: StoredRelationship, by action: ReplicationAction,
        _ state: inout ServiceState
    ) throws(StoreError) {
        var relationship = relationship
        if let event = action.event { relationship.follow(event, at: clock.date()) }
        relationship.nextAttemptTime = nil
        try store.write { [relationship] (content) throws(StoreError) in
            try content.put(relationship)
        }
        state.noteStoreChange()
        state.relationships[relationship.id] = relationship
    }

    /// In state 10 again, so that it goes on after a restart too, though it may wait for its turn.
    private func goOn(
        with known: ServiceJob?, _ request: Request, _ relationship: StoredRelationship,
        _ state: inout ServiceState
    ) throws(StoreError) -> Step {
        guard let known else {
            return .answer(.started(try accept(request, relationship, &state)))
        }
        guard known.job.properties.jobState == .suspended else {
            // It waits for its start time, which is now.
            try reschedule(known, to: nil, &state)
            return .answer(.started(known.job))
        }
        try change(relationship, by: .continueJob, &state)
        enqueue(known, dueTime: clock.date(), &state)
        return .answer(.started(known.job))
    }

    private func suspend(
        _ known: ServiceJob, _ relationship: StoredRelationship, _ state: inout ServiceState
    ) throws(StoreError) -> Step {
        guard state.active[known.instanceID] == nil else { return .ask(known.job, .suspend) }
        // It stands still already, and waits for its turn to go on.
        try change(relationship, by: .suspendJob, &state)
        state.queue.remove(known.relationship)
        return .answer(.started(known.job))
    }

    private func cancel(
        _ known: ServiceJob?, _ request: Request, _ relationship: StoredRelationship,
        _ state: inout ServiceState
    ) throws(StoreError) -> Step {
        guard let known else {
            return .answer(.started(try cancelWithoutJob(request, relationship, &state)))
        }
        guard state.active[known.instanceID] == nil else { return .ask(known.job, .terminate) }
        try recordStop(of: known, &state)
        return .answer(.started(known.job))
    }

    /// Somebody is to be given a job: one that is over at once.
    private func cancelWithoutJob(
        _ request: Request, _ relationship: StoredRelationship, _ state: inout ServiceState
    ) throws(StoreError) -> ConcreteJob {
        var relationship = relationship
        relationship.follow(.cancelled, at: clock.date(), "cancelled on request")
        let job = ConcreteJob(
            type: .stoppingResynchronization, elementName: request.sender.machine.elementName,
            owner: request.owner, clock: clock)
        job.start()
        job.complete()
        let known = ServiceJob(job, of: request.id)
        try store.write { [relationship] (content) throws(StoreError) in
            try content.accept(known.stored, disks: [])
            try content.put(relationship)
        }
        state.noteStoreChange()
        state.relationships[request.id] = relationship
        state.add(known)
        tell(.jobAccepted, known, state)
        tell(.jobEnded, known, state)
        return job
    }
}
