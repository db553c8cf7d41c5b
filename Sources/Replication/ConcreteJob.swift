public import FoundationEssentials
internal import Storage

/// A resynchronization under way or over: `Msvm_ConcreteJob`, a `CIM_ConcreteJob`.
///
/// The one who does the work reports to it; anyone may read it at any time, from any thread.
public final class ConcreteJob: Sendable {
    /// The properties of the job at one instant. Names and types are those of the class.
    public struct Properties: Equatable, Sendable {
        /// The key: a GUID in upper case without braces, as hosts have it.
        public var instanceID: String
        /// Where the job stands.
        public var jobState = JobState.new
        /// What the job does.
        public var jobType: JobType
        /// 0 to 100. It never falls, and is 100 only where the job has completed.
        public var percentComplete: UInt16 = 0
        /// When the job was made.
        public var timeSubmitted: Date
        /// When the work began; nil before that.
        public var startTime: Date?
        /// How long the work has lasted, or did last, by a clock that nobody can set.
        public var elapsedTime = Duration.zero
        /// 0, or the return code of a job that did not complete.
        public var errorCode: UInt16 = 0
        /// Nil unless the job did not complete.
        public var errorDescription: String?
    }

    private struct State {
        var properties: Properties
        var startedAt: Duration?
    }

    private let clock: JobClock
    private let state: Lock<State>

    /// A new job, which has not started.
    public init(type: JobType = .resynchronizing, clock: JobClock = .system) {
        self.clock = clock
        let properties = Properties(
            instanceID: GUID.random().description.uppercased(), jobType: type,
            timeSubmitted: clock.date())
        state = Lock(State(properties: properties))
    }

    /// All properties, taken at one instant.
    public var properties: Properties {
        let now = clock.uptime()
        return state.withLock { state in
            var properties = state.properties
            if !properties.jobState.isFinal, let startedAt = state.startedAt {
                properties.elapsedTime = now - startedAt
            }
            return properties
        }
    }

    /// The work begins.
    ///
    /// - Precondition: it had not begun.
    public func start() {
        let (date, now) = (clock.date(), clock.uptime())
        state.withLock { state in
            Self.advance(&state, through: [.starting, .running])
            state.properties.startTime = date
            state.startedAt = now
        }
    }

    /// How far the work has come. A smaller value than the last, or one after the end, is ignored.
    public func report(percentComplete: UInt16) {
        state.withLock { state in
            guard !state.properties.jobState.isFinal else { return }
            state.properties.percentComplete = max(
                state.properties.percentComplete, min(percentComplete, 99))
        }
    }

    /// The work is done.
    ///
    /// - Precondition: the job was not over.
    public func complete() {
        end { state in
            Self.shutDown(&state, into: .completed)
            state.properties.percentComplete = 100
        }
    }

    /// The work was stopped on request, in an orderly way.
    ///
    /// - Precondition: the job was not over.
    public func terminate(_ code: ReturnCode, _ description: String) {
        end { state in
            Self.shutDown(&state, into: .terminated)
            Self.setError(&state, code, description)
        }
    }

    /// The work ended with an error.
    ///
    /// - Precondition: the job was not over.
    public func fail(_ code: ReturnCode, _ description: String) {
        end { state in
            Self.advance(&state, through: [.exception])
            Self.setError(&state, code, description)
        }
    }

    private func end(_ change: (inout State) -> Void) {
        let now = clock.uptime()
        state.withLock { state in
            if let startedAt = state.startedAt { state.properties.elapsedTime = now - startedAt }
            change(&state)
        }
    }

    private static func shutDown(_ state: inout State, into final: JobState) {
        // Someone may have asked for the end before.
        let isShuttingDown = state.properties.jobState == .shuttingDown
        advance(&state, through: isShuttingDown ? [final] : [.shuttingDown, final])
    }

    private static func setError(
        _ state: inout State, _ code: ReturnCode, _ description: String
    ) {
        state.properties.errorCode = UInt16(code.rawValue)
        state.properties.errorDescription = description
    }

    private static func advance(_ state: inout State, through states: [JobState]) {
        for next in states {
            do throws(JobState.IllegalTransition) {
                try state.properties.jobState.advance(to: next)
            } catch {
                preconditionFailure("a job went from \(error.from) to \(error.to)")
            }
        }
    }
}

/// The clocks that a job reads: one for people, one for durations.
public struct JobClock: Sendable {
    /// The date and time of day.
    public var date: @Sendable () -> Date
    /// Time since some fixed instant; it never goes back.
    public var uptime: @Sendable () -> Duration

    /// Clocks that a test can set.
    public init(date: @escaping @Sendable () -> Date, uptime: @escaping @Sendable () -> Duration) {
        self.date = date
        self.uptime = uptime
    }

    /// The system's clocks.
    public static let system: JobClock = {
        let origin = ContinuousClock.now
        return JobClock(date: { Date.now }, uptime: { ContinuousClock.now - origin })
    }()
}
