public import FoundationEssentials
internal import Storage

/// A resynchronization to come, under way or over: `Msvm_ConcreteJob`, a `CIM_ConcreteJob`.
///
/// The one who does the work reports to it; anyone may read it at any time, from any thread, and
/// ask it for another state (``requestStateChange(_:timeout:)``).
public final class ConcreteJob: Sendable {
    struct State {
        var properties: Properties
        /// The work before ``workingSince``.
        var worked = Duration.zero
        /// Nil where the job is not at work.
        var workingSince: Duration?
        var endedAt: Duration?
        var pace = JobPace()
        var control: JobControl?
        /// What was asked for and has not happened yet.
        var pending: RequestedJobState?
    }

    /// How long a job stays when it is over, whatever its end: `TimeBeforeRemoval`.
    public static let timeBeforeRemoval = Duration.seconds(5 * 60)

    let clock: JobClock
    let state: Lock<State>

    /// A new job, which has not started.
    public init(
        type: JobType = .resynchronizing, elementName: String? = nil, owner: String? = nil,
        scheduledStartTime: Date? = nil, clock: JobClock = .system
    ) {
        self.clock = clock
        let date = clock.date()
        let properties = Properties(
            instanceID: GUID.random().description.uppercased(),
            elementName: elementName ?? type.name, owner: owner, jobType: type,
            timeSubmitted: date, scheduledStartTime: scheduledStartTime,
            timeOfLastStateChange: date)
        state = Lock(State(properties: properties))
    }

    init(_ state: State, clock: JobClock) {
        self.clock = clock
        self.state = Lock(state)
    }

    /// All properties, taken at one instant.
    public var properties: Properties {
        let now = clock.uptime()
        return state.withLock { $0.properties(at: now) }
    }

    /// Why the job did not complete: `GetError`, which returns 0 whatever it has found. Nil unless
    /// the job is over and did not complete.
    public func getError() -> JobError? { JobError(properties) }

    /// Whether the job has been over for ``timeBeforeRemoval``, by the clock that nobody can set:
    /// it is history then.
    public func isToBeRemoved(at uptime: Duration) -> Bool {
        guard let endedAt = state.withLock({ $0.endedAt }) else { return false }
        return uptime - endedAt >= Self.timeBeforeRemoval
    }

    // MARK: For who does the work

    /// Takes requests from now on, in place of who took them before.
    public func install(_ control: JobControl) {
        state.withLock { $0.control = control }
    }

    /// Another time at which the job is to begin; nil for at once. False where it has begun, or is
    /// over.
    @discardableResult
    public func reschedule(to date: Date?) -> Bool {
        state.withLock { state in
            guard state.properties.jobState == .new else { return false }
            state.properties.scheduledStartTime = date
            return true
        }
    }

    /// The work begins. False where somebody has asked for its end before: it must not begin then.
    ///
    /// - Precondition: it had not begun.
    @discardableResult
    public func start() -> Bool {
        change { state, time in
            guard state.properties.startTime != nil || !state.isEnding else { return false }
            state.advance(through: [.starting, .running], at: time)
            state.properties.startTime = time.date
            state.begin(at: time)
            return true
        }
    }

    /// How far the work has come. A smaller value than the last, or one after the end, is ignored.
    public func report(percentComplete: UInt16) {
        state.withLock { $0.report(percentComplete) }
    }

    /// How far the work has come: its share from 0 to 1, and what was done for it.
    public func report(_ figures: JobFigures, share: Double, activity: String? = nil) {
        let now = clock.uptime()
        state.withLock { state in
            guard !state.properties.jobState.isFinal else { return }
            // Not a number is no progress.
            let share = share > 0 ? min(share, 1) : 0
            state.report(UInt16(share * 100))
            state.properties.figures = figures
            state.properties.activity = activity
            if state.workingSince != nil { state.pace.add(figures, share: share, at: now) }
        }
    }

    /// What was done can be undone up to here, and only be finished afterwards. False where
    /// somebody has asked for a suspension or an end before: that comes first then.
    ///
    /// - Precondition: the job runs, or was asked to end.
    public func passCommitPoint() -> Bool {
        state.withLock { state in
            precondition(
                state.workingSince != nil, "a job without work has passed its commit point")
            guard state.pending == nil else { return false }
            state.properties.isCommitted = true
            return true
        }
    }

    /// What can only be finished is finished, or was not begun: what follows can be undone again.
    func withdrawCommitPoint() {
        state.withLock { $0.properties.isCommitted = false }
    }

    /// The work stands still. False where somebody has asked for its end meanwhile.
    ///
    /// - Precondition: the job runs, and has not passed the commit point.
    @discardableResult
    public func suspend() -> Bool {
        change { state, time in
            precondition(!state.properties.isCommitted, "a job was suspended past its commit point")
            guard !state.isEnding else { return false }
            state.advance(through: [.suspended], at: time)
            state.pause(at: time)
            return true
        }
    }

    /// The work goes on. False where somebody has asked for its end meanwhile.
    ///
    /// - Precondition: the job is suspended.
    @discardableResult
    public func resume() -> Bool {
        change { state, time in
            guard !state.isEnding else { return false }
            precondition(
                state.properties.jobState == .suspended, "a job went on that stood not still")
            state.advance(through: [.starting, .running], at: time)
            state.begin(at: time)
            return true
        }
    }

    /// The work is done; with a warning, in a state of its own, if there is something to say about
    /// it.
    ///
    /// - Precondition: the job was not over.
    public func complete(warning: String? = nil) {
        change { state, time in
            state.end(in: warning == nil ? .completed : .completedWithWarnings, at: time)
            state.properties.percentComplete = 100
            state.properties.activity = warning
        }
    }

    /// The work was stopped on request, in an orderly way.
    ///
    /// - Precondition: the job was not over.
    public func terminate(_ code: ReturnCode, _ description: String) {
        change { $0.end(in: .terminated, at: $1, code, description, .rerunJob) }
    }

    /// The work was stopped on request, at once.
    ///
    /// - Precondition: the job was not over.
    public func kill(_ code: ReturnCode, _ description: String) {
        change { state, time in
            let recovery: JobRecoveryAction =
                state.properties.isCommitted ? .runRecoveryJob : .rerunJob
            state.end(in: .killed, at: time, code, description, recovery)
        }
    }

    /// The work ended with an error. What is to be done about it follows from the code, unless it
    /// is said.
    ///
    /// - Precondition: the job was not over.
    public func fail(
        _ code: ReturnCode, _ description: String, recovery: JobRecoveryAction? = nil
    ) {
        let usual: JobRecoveryAction =
            RetryClass(code) == .transient ? .rerunJob : .doNotContinue
        change { $0.end(in: .exception, at: $1, code, description, recovery ?? usual) }
    }

    /// Both clocks, read before the lock is taken.
    func change<Result>(_ body: (inout State, JobTime) -> Result) -> Result {
        let time = JobTime(date: clock.date(), uptime: clock.uptime())
        return state.withLock { body(&$0, time) }
    }
}

/// When something happened to a job, by both clocks.
struct JobTime {
    var date: Date
    var uptime: Duration
}
