internal import Glibc
internal import Replication
internal import Storage

/// `vhdresync vm` and `vhdresync job`: what a service that runs on this host is asked for.
struct ControlVerb {
    let invocation: Invocation

    static func run(_ invocation: Invocation) -> ReturnCode {
        let verb = ControlVerb(invocation: invocation)
        do throws(CodedError) {
            return try verb.answered()
        } catch {
            return fail(error, wantsJSON: invocation.wantsJSON)
        }
    }

    private var options: ControlOptions { invocation.control }

    /// What is asked for.
    private var request: ControlRequest {
        let name = options.name
        switch (invocation.verb, options.command) {
        case (.job, .show): return .showJob(name)
        case (.job, .watch): return .watchJob(name)
        case (.job, _): return .listJobs
        case (_, .show): return .showMachine(computerSystem: name)
        case (_, .resync): return .resynchronize(computerSystem: name, startTime: options.startTime)
        case (_, .suspend): return change(to: .suspended)
        case (_, .resume): return change(to: .replicating)
        case (_, .cancel): return change(to: .resynchronizationCancelled)
        case (_, .list), (_, .watch): return .listMachines
        }
    }

    private func change(to state: RequestedReplicationState) -> ControlRequest {
        .requestReplicationStateChange(
            computerSystem: options.name, requestedState: state.rawValue)
    }

    private func answered() throws(CodedError) -> ReturnCode {
        let client = try ControlClient(path: options.socketPath)
        defer { client.close() }
        if case .watchJob(let job) = request { return watch(job, client) }
        let answer = try client.answer(to: request)
        guard answer.reason.value == nil else {
            Output.error(answer.sentence)
            return invocation.wantsJSON ? Output.json(answer, answer.code) : answer.code
        }
        if options.waits, let job = answer.job {
            return watch(job.instanceID, client)
        }
        if invocation.wantsJSON { return Output.json(answer, answer.code) }
        return Output.text(ControlText.text(answer, options.command), answer.code)
    }

    private func watch(_ job: String, _ client: ControlClient) -> ReturnCode {
        JobWatch(invocation: invocation, job: job, client: client).run()
    }

    /// Without an answer of a service.
    static func fail(_ error: CodedError, wantsJSON: Bool) -> ReturnCode {
        Output.error(error.description)
        guard wantsJSON else { return error.code }
        return Output.json(ControlAnswer(error), error.code)
    }
}
