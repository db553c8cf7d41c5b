extension ConcreteJob {
    /// Asks the job for another state: `CIM_ConcreteJob.RequestStateChange`, from any thread.
    /// Whether it has come to it, ``Properties/jobState`` says.
    ///
    /// A `TimeoutPeriod` is not supported, unless it is zero.
    public func requestStateChange(
        _ requested: RequestedJobState, timeout: CIMDateTime? = nil
    ) -> JobRequestCode {
        switch timeout {
        case .timestamp: return .invalidParameter
        case .interval(let interval):
            guard interval.microseconds == 0 else { return .timeoutNotSupported }
        case nil: break
        }
        let (code, action) = change { $0.take(requested, at: $1) }
        // Outside the lock: who does the work may look at the job.
        action?()
        return code
    }

    /// The same with the number of a client: one that the class does not have is an invalid
    /// parameter.
    public func requestStateChange(
        number: UInt16, timeout: CIMDateTime? = nil
    ) -> JobRequestCode {
        guard let requested = RequestedJobState(rawValue: number) else { return .invalidParameter }
        return requestStateChange(requested, timeout: timeout)
    }
}

extension ConcreteJob.State {
    fileprivate mutating func take(
        _ requested: RequestedJobState, at time: JobTime
    ) -> (JobRequestCode, action: (@Sendable () -> Void)?) {
        let code = answer(to: requested)
        guard code == .transitionStarted else { return (code, nil) }
        let isEnd = requested == .terminate || requested == .kill
        if isEnd, isNobodys {
            let final: JobState = requested == .kill ? .killed : .terminated
            end(in: final, at: time, .failed, "stopped before it began", .rerunJob)
            return (.completed, nil)
        }
        guard let action = control?.action(for: requested) else { return (.notSupported, nil) }
        if isEnd, properties.jobState != .shuttingDown {
            advance(through: [.shuttingDown], at: time)
        }
        pending = requested
        return (.transitionStarted, action)
    }
}
