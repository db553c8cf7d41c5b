internal import FoundationEssentials
internal import Storage

// What a service that remembers its jobs needs of them.

extension ConcreteJob {
    /// A job as it was remembered. One that was at work stands still until ``resume()``.
    convenience init(restoring properties: Properties, clock: JobClock) {
        var properties = properties
        switch properties.jobState {
        case .starting, .running, .service:
            properties.jobState = .suspended
            properties.timeOfLastStateChange = clock.date()
        case .new, .suspended, .shuttingDown, .completed, .terminated, .killed, .exception,
            .completedWithWarnings:
            break
        }
        var state = State(properties: properties)
        state.worked = properties.elapsedTime
        if properties.jobState.isFinal {
            // By the only clock that goes on while no service runs; one that was set back counts as none.
            let age = clock.date().timeIntervalSince(properties.timeOfLastStateChange)
            state.endedAt = clock.uptime() - .seconds(max(age, 0))
        }
        self.init(state, clock: clock)
    }

    /// When it is history, by the clock that nobody can set; nil before its end.
    var removalTime: Duration? {
        state.withLock { $0.endedAt }.map { $0 + Self.timeBeforeRemoval }
    }

    /// What the job would be after a change, which is not made: to be remembered first.
    func state(after change: (ConcreteJob) -> Void) -> State {
        let copy = ConcreteJob(state.withLock { $0 }, clock: clock)
        change(copy)
        return copy.state.withLock { $0 }
    }

    /// Makes such a change.
    func become(_ new: State) {
        state.withLock { $0 = new }
    }
}
