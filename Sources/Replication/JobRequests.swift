/// What `CIM_ConcreteJob.RequestStateChange` is asked for: its parameter `RequestedState`.
public enum RequestedJobState: UInt16, CaseIterable, Sendable {
    /// Begin before the start time, or go on after a suspension.
    case start = 2
    case suspend = 3
    /// End in an orderly way, and keep what was done so far.
    case terminate = 4
    /// End at once.
    case kill = 5
    case service = 6
}

/// What `CIM_ConcreteJob.RequestStateChange` returns; a set of codes of its own.
public enum JobRequestCode: UInt32, CaseIterable, Sendable {
    case completed = 0
    case notSupported = 1
    case unknown = 2
    case cannotCompleteInTime = 3
    case failed = 4
    case invalidParameter = 5
    case inUse = 6
    /// It was asked of the one who does the work, and happens as soon as may be.
    case transitionStarted = 4096
    case invalidTransition = 4097
    case timeoutNotSupported = 4098
    /// The same, or the opposite, was asked for before and has not happened yet.
    case busy = 4099

    /// The documented name.
    public var name: String {
        switch self {
        case .completed: "Completed with No Error"
        case .notSupported: "Not Supported"
        case .unknown: "Unknown/Unspecified Error"
        case .cannotCompleteInTime: "Can NOT complete within Timeout Period"
        case .failed: "Failed"
        case .invalidParameter: "Invalid Parameter"
        case .inUse: "In Use"
        case .transitionStarted: "Method Parameters Checked - Transition Started"
        case .invalidTransition: "Invalid State Transition"
        case .timeoutNotSupported: "Use of Timeout Parameter Not Supported"
        case .busy: "Busy"
        }
    }
}

extension JobState {
    /// The code that a request gets in this state from a job that can do all of it; the rule of
    /// docs/jobs.md. `pending` is what was asked for before and has not happened yet.
    ///
    /// Past the commit point a job cannot be suspended nor terminated, since what it writes can
    /// only be finished. It can be killed: the journal finishes it then.
    func answer(
        to requested: RequestedJobState, isCommitted: Bool, pending: RequestedJobState?
    ) -> JobRequestCode {
        switch requested {
        case .start, .suspend:
            guard successors.contains(requested == .start ? .starting : .suspended) else {
                return isChangingOver(pending) ? .busy : .invalidTransition
            }
            if isChangingOver(pending) { return .busy }
            return requested == .suspend && isCommitted ? .invalidTransition : .transitionStarted
        case .terminate:
            return !isCommitted && successors.contains(.shuttingDown)
                ? .transitionStarted : .invalidTransition
        case .kill:
            guard !isFinal else { return .invalidTransition }
            return pending == .kill ? .busy : .transitionStarted
        case .service:
            return .notSupported
        }
    }

    private func isChangingOver(_ pending: RequestedJobState?) -> Bool {
        pending == .start || pending == .suspend
    }
}
