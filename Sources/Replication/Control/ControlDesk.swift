internal import Transport

/// Answers requests with what a service says. It has no threads and no connections.
package struct ControlDesk: Sendable {
    package let service: ReplicationService

    package init(_ service: ReplicationService) {
        self.service = service
    }

    /// The answer; of ``ControlRequest/watchJob(_:)`` the first one.
    package func answer(to request: ControlRequest, from owner: String) -> ControlAnswer {
        do throws(CodedError) {
            return try answered(request, owner)
        } catch {
            return ControlAnswer(error)
        }
    }

    private func answered(
        _ request: ControlRequest, _ owner: String
    ) throws(CodedError) -> ControlAnswer {
        var answer = ControlAnswer(.completed)
        switch request {
        case .listMachines:
            answer.machines = service.standings.map(MachineObject.init)
        case .showMachine(let computerSystem):
            answer.machine = MachineObject(try service.standing(of: computerSystem))
        case .resynchronize(let computerSystem, let startTime):
            return try self.answer(
                service.resynchronize(
                    computerSystem: computerSystem, startTime: startTime, owner: owner))
        case .requestReplicationStateChange(let computerSystem, let requestedState):
            answer = try self.answer(
                service.requestReplicationStateChange(
                    computerSystem: computerSystem, to: requestedState, owner: owner))
            if answer.reason.value == nil {
                answer.machine = MachineObject(try service.standing(of: computerSystem))
            }
        case .getReplicationStatistics(let computerSystem):
            answer.statistics = StatisticsObject(
                try service.replicationStatistics(computerSystem: computerSystem))
        case .listJobs:
            answer.jobs = service.jobRecords.map { JobObject($0) }
        case .showJob(let job):
            answer.job = try object(of: try service.jobRecord(job))
        case .watchJob(let job):
            return try watched(job)
        case .requestStateChange(let job, let requestedState):
            return try requestStateChange(of: job, to: requestedState)
        case .listHistory(let computerSystem, let limit):
            answer.jobs = try service.history(
                of: computerSystem, limit: limit ?? ControlProtocol.usualHistoryLimit
            ).map { JobObject($0) }
        }
        return answer
    }

    private func object(of job: StoredJob) throws(CodedError) -> JobObject {
        JobObject(job, disks: try service.diskResults(of: job.instanceID))
    }

    private func answer(_ method: MethodAnswer) throws(CodedError) -> ControlAnswer {
        var answer = ControlAnswer(method.returnValue, method.reason)
        if let job = method.job?.properties.instanceID {
            answer.job = try object(of: try service.jobRecord(job))
        }
        return answer
    }

    private func requestStateChange(
        of instanceID: String, to requestedState: UInt16
    ) throws(CodedError) -> ControlAnswer {
        guard let job = service.job(instanceID) else {
            // One of the history is over.
            _ = try service.jobRecord(instanceID)
            return ControlAnswer(JobRequestCode.invalidTransition)
        }
        let code = job.requestStateChange(number: requestedState)
        service.advance()
        var answer = ControlAnswer(code)
        answer.job = try object(of: try service.jobRecord(instanceID))
        return answer
    }

    // MARK: Watching

    /// How a job stands that is watched, with its disks in the end.
    package func watched(_ instanceID: String) throws(CodedError) -> ControlAnswer {
        let job = try service.jobRecord(instanceID)
        let isLast = job.properties.jobState.isFinal
        var answer = ControlAnswer(.completed)
        answer.job = isLast ? try object(of: job) : JobObject(job)
        answer.isLast = isLast
        return answer
    }

    /// What is told whoever watches a job when the service ends.
    static var farewell: ControlAnswer {
        var answer = ControlAnswer(
            .systemNotAvailable,
            "the service is ending: the job goes on when there is a service again")
        answer.isLast = true
        return answer
    }
}
