// What changes in a job, under its lock.

extension ConcreteJob.State {
    /// Whether the job is over, or was asked to be.
    var isEnding: Bool {
        properties.jobState == .shuttingDown || properties.jobState.isFinal
    }

    /// The properties, with what changes by itself.
    func properties(at now: Duration) -> ConcreteJob.Properties {
        var properties = properties
        properties.elapsedTime = worked(at: now)
        properties.cancellable = isTaken(.terminate)
        if workingSince != nil {
            properties.bytesComparedPerSecond = pace.bytesComparedPerSecond
            properties.bytesSentPerSecond = pace.bytesSentPerSecond
            properties.timeLeft = pace.timeLeft
        }
        return properties
    }

    private func worked(at now: Duration) -> Duration {
        // The other clock reading may be the older one.
        worked + (workingSince.map { max(now - $0, .zero) } ?? .zero)
    }

    /// Whether nobody has taken the job on, so that nobody need be asked.
    var isNobodys: Bool { properties.jobState == .new && control == nil }

    func answer(to requested: RequestedJobState) -> JobRequestCode {
        properties.jobState.answer(
            to: requested, isCommitted: properties.isCommitted, pending: pending)
    }

    private func isTaken(_ requested: RequestedJobState) -> Bool {
        guard answer(to: requested) == .transitionStarted else { return false }
        return isNobodys || control?.action(for: requested) != nil
    }

    mutating func report(_ percentComplete: UInt16) {
        guard !properties.jobState.isFinal else { return }
        properties.percentComplete = max(properties.percentComplete, min(percentComplete, 99))
    }

    mutating func begin(at time: JobTime) {
        workingSince = time.uptime
        pace = JobPace()
        pending = nil
    }

    mutating func pause(at time: JobTime) {
        worked = worked(at: time.uptime)
        workingSince = nil
        pending = nil
    }

    /// Ends the job, by way of shutting down where that is the way.
    mutating func end(
        in final: JobState, at time: JobTime, _ code: ReturnCode = .completed,
        _ description: String? = nil, _ recovery: JobRecoveryAction = .unknown
    ) {
        // Someone may have asked for the end before.
        let isDirect = final == .exception || properties.jobState == .shuttingDown
        advance(through: isDirect ? [final] : [.shuttingDown, final], at: time)
        pause(at: time)
        endedAt = time.uptime
        properties.activity = nil
        properties.errorCode = UInt16(code.rawValue)
        properties.errorDescription = description
        properties.recoveryAction = recovery
    }

    mutating func advance(through states: [JobState], at time: JobTime) {
        for next in states {
            do throws(JobState.IllegalTransition) {
                try properties.jobState.advance(to: next)
            } catch {
                preconditionFailure("a job went from \(error.from) to \(error.to)")
            }
        }
        properties.timeOfLastStateChange = time.date
    }
}
