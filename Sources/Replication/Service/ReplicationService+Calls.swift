internal import FoundationEssentials
internal import Storage

extension ReplicationService {
    /// What a call of Resynchronize asks for, once its parameters are checked.
    struct Request {
        var sender: Sender
        /// Nil for now.
        var startTime: Date?
        var owner: String?

        var id: ReplicationRelationshipID { sender.relationship.id }
    }

    /// `Msvm_ReplicationService.Resynchronize`: makes the replica of a machine read as it again, and of
    /// a replica its extended one.
    ///
    /// When it returns 4096 the job is in the store. It may have begun already.
    ///
    /// - Parameters:
    ///   - computerSystem: The machine's GUID or its name in the inventory.
    ///   - startTime: A CIM `datetime`; nil for now.
    ///   - owner: Who asks, if that is known.
    /// - Returns: the code, and the job where it is 4096.
    public func resynchronize(
        computerSystem: String, startTime: String? = nil, owner: String? = nil
    ) -> MethodAnswer {
        let answer: MethodAnswer
        do throws(CodedError) {
            let request = try checked(computerSystem, startTime, owner)
            let job = try state.withLock { (state) throws(CodedError) in
                try answered(request, &state)
            }
            answer = .started(job)
        } catch {
            return .refused(error.code, error.description)
        }
        advance()
        wake()
        return answer
    }

    // MARK: Parameters

    private func checked(
        _ computerSystem: String, _ startTime: String?, _ owner: String?
    ) throws(CodedError) -> Request {
        guard !computerSystem.isEmpty else { throw .invalid("no virtual machine is named") }
        let start: StartTime
        do throws(StartTimeError) {
            start = try StartTime(startTime, now: clock.date(), zone: zone)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
        let sender = try sender(called: computerSystem)
        switch start {
        case .now: return Request(sender: sender, owner: owner)
        case .at(let date): return Request(sender: sender, startTime: date, owner: owner)
        }
    }

    /// The machine with its GUID or its name, and the relationship in which it is the sender.
    func sender(called computerSystem: String) throws(CodedError) -> Sender {
        guard !computerSystem.isEmpty else { throw .invalid("no virtual machine is named") }
        guard let machine = inventory.machine(called: computerSystem) else {
            throw CodedError(
                .systemNotAvailable, "there is no virtual machine '\(computerSystem.printable)'")
        }
        do throws(ReplicationRefusal) {
            _ = try machine.replicationMode.relationship(
                hasExtended: machine.extendedRelationship != nil)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
        guard let relationship = machine.relationship else {
            throw CodedError(.invalidState, "\(machine.elementName) has no relationship")
        }
        return Sender(machine: machine, relationship: relationship)
    }

    // MARK: The answer

    /// What a request meets, and what the table of states says of it.
    struct Meeting {
        var relationship: StoredRelationship
        /// The job of the relationship that is not over.
        var known: ServiceJob?
        var action: ReplicationAction
    }

    /// Asks the table, and does what it says.
    ///
    /// - Throws: also the code of a store that refuses the change.
    func answer<Answer>(
        _ request: Request, _ state: inout ServiceState,
        table: (ReplicationState, RelationshipJob) throws(ReplicationRefusal) -> ReplicationAction,
        action: (Meeting, inout ServiceState) throws(StoreError) -> Answer
    ) throws(CodedError) -> Answer {
        let meeting = try meeting(request, state, table)
        do throws(StoreError) {
            return try action(meeting, &state)
        } catch {
            state.note(error, at: clock.date())
            tellStoreError(&state)
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    private func meeting(
        _ request: Request, _ state: ServiceState,
        _ table: (ReplicationState, RelationshipJob) throws(ReplicationRefusal) -> ReplicationAction
    ) throws(CodedError) -> Meeting {
        guard !state.isShuttingDown else {
            throw CodedError(.systemNotAvailable, "the service is ending")
        }
        guard let relationship = state.relationships[request.id] else {
            throw CodedError(.systemNotAvailable, "there is no relationship \(request.id)")
        }
        let known = state.unfinishedJob(of: request.id)
        do throws(ReplicationRefusal) {
            let action = try table(
                relationship.replicationState, known?.job.properties.standing ?? .none)
            return Meeting(relationship: relationship, known: known, action: action)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    private func answered(
        _ request: Request, _ state: inout ServiceState
    ) throws(CodedError) -> ConcreteJob {
        try answer(
            request, &state,
            table: { (state, job) throws(ReplicationRefusal) in
                try state.resynchronize(beside: job)
            }
        ) { (meeting, state) throws(StoreError) in
            let (relationship, known) = (meeting.relationship, meeting.known)
            switch meeting.action {
            case .startJob:
                return try accept(request, relationship, &state)
            case .startOver:
                return try accept(request, relationship, insteadOf: known, &state)
            case .keepJob:
                guard let known else { preconditionFailure("a job was kept that there is not") }
                try reschedule(known, to: request.startTime, &state)
                return known.job
            case .continueJob, .suspendJob, .cancelJob, .cancelWaitingJob, .resumeReplication,
                .suspendReplication:
                preconditionFailure("Resynchronize has led to \(meeting.action)")
            }
        }
    }

    /// A new job, in place of one that is suspended.
    func accept(
        _ request: Request, _ relationship: StoredRelationship, insteadOf old: ServiceJob? = nil,
        _ state: inout ServiceState
    ) throws(StoreError) -> ConcreteJob {
        var relationship = relationship
        relationship.retrySchedule.reset()
        relationship.nextAttemptTime = nil
        let job = newJob(
            of: request.sender, owner: request.owner, scheduledStartTime: request.startTime)
        let end = old.map { old in
            old.job.state { $0.terminate(.failed, "another resynchronization was asked for") }
        }
        let ended = old.flatMap { old in
            end.map { old.stored($0.properties(at: clock.uptime())) }
        }
        let disks = disks(of: job, request.sender)
        try store.write { [relationship] (content) throws(StoreError) in
            if let ended { try content.update(ended) }
            try content.accept(job.stored, disks: disks)
            try content.put(relationship)
        }
        if let old, let end {
            old.job.become(end)
            state.noteEnd(of: old)
        }
        state.relationships[request.id] = relationship
        state.noteStoreChange()
        state.add(job)
        if let old, end != nil { tell(.jobEnded, old, state) }
        tell(.jobAccepted, job, state)
        enqueue(job, &state)
        return job.job
    }

    /// Another start time of a job that waits. One that is to begin at once and waits for its turn keeps
    /// that.
    func reschedule(
        _ known: ServiceJob, to date: Date?, _ state: inout ServiceState
    ) throws(StoreError) {
        let properties = known.job.properties
        guard properties.jobState == .new, properties.scheduledStartTime != date else { return }
        let wasDue = (properties.scheduledStartTime ?? properties.timeSubmitted) <= clock.date()
        let new = known.job.state { $0.reschedule(to: date) }
        let stored = known.stored(new.properties(at: clock.uptime()))
        try store.write { (content) throws(StoreError) in try content.update(stored) }
        known.job.reschedule(to: date)
        if date == nil, wasDue { return }
        enqueue(known, dueTime: date ?? clock.date(), &state)
    }

    // MARK: Jobs

    func newJob(
        of sender: Sender, owner: String?, scheduledStartTime: Date? = nil
    ) -> ServiceJob {
        let job = ConcreteJob(
            type: JobType(resynchronizing: sender.relationship.id.kind),
            elementName: sender.machine.elementName, owner: owner,
            scheduledStartTime: scheduledStartTime, clock: clock)
        install(in: job)
        return ServiceJob(job, of: sender.relationship.id)
    }

    func disks(of job: ServiceJob, _ sender: Sender) -> [StoredDiskResult] {
        zip(sender.machine.disks, sender.relationship.replicas).enumerated().map { position, disk in
            StoredDiskResult(
                job: job.instanceID, position: position, name: disk.0.name, primary: disk.0.path,
                replica: "\(disk.1)")
        }
    }
}
