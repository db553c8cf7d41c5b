/// Where a job stands: `CIM_ConcreteJob.JobState`, with the values of `Msvm_ConcreteJob`.
///
///     new ──▶ starting ──▶ running ──▶ shutting down ──▶ completed, terminated, killed
///                ▲            │
///                └─ suspended ◀
///
/// From each of these but the last three a job may also end in an exception, and from each before
/// shutting down it may be shut down. It may also complete with warnings.
/// Value 12 (Query Pending) is the CIM class's alone; `Msvm_ConcreteJob` reserves it.
public enum JobState: UInt16, CaseIterable, Sendable {
    case new = 2
    case starting = 3
    case running = 4
    case suspended = 5
    case shuttingDown = 6
    case completed = 7
    /// Stopped on request in an orderly way.
    case terminated = 8
    /// Stopped on request at once; work may be left half done.
    case killed = 9
    /// Ended by an error.
    case exception = 10
    /// Waits for someone to resolve a problem. No job here enters this state by itself.
    case service = 11
    /// Of the numbers for vendors; clients of Hyper-V know this one as a success.
    case completedWithWarnings = 32768

    /// A change of state that the class does not allow.
    public struct IllegalTransition: Error, Equatable {
        /// The state that the job keeps.
        public var from: JobState
        /// The state that was asked for.
        public var to: JobState
    }

    /// Whether the job is over. No state follows.
    public var isFinal: Bool {
        switch self {
        case .new, .starting, .running, .suspended, .shuttingDown, .service: false
        case .completed, .terminated, .killed, .exception, .completedWithWarnings: true
        }
    }

    /// Whether the job is over and has not done what it was for.
    public var isFailure: Bool {
        switch self {
        case .terminated, .killed, .exception: true
        case .new, .starting, .running, .suspended, .shuttingDown, .completed, .service,
            .completedWithWarnings:
            false
        }
    }

    /// The documented name.
    public var name: String {
        switch self {
        case .new: "New"
        case .starting: "Starting"
        case .running: "Running"
        case .suspended: "Suspended"
        case .shuttingDown: "Shutting Down"
        case .completed: "Completed"
        case .terminated: "Terminated"
        case .killed: "Killed"
        case .exception: "Exception"
        case .service: "Service"
        case .completedWithWarnings: "Completed with warnings"
        }
    }

    /// The states that may follow this one.
    public var successors: Set<JobState> {
        switch self {
        case .new, .suspended, .service: [.starting, .shuttingDown, .exception]
        case .starting: [.running, .shuttingDown, .exception]
        case .running: [.suspended, .shuttingDown, .exception]
        case .shuttingDown:
            [.completed, .completedWithWarnings, .terminated, .killed, .exception]
        case .completed, .terminated, .killed, .exception, .completedWithWarnings: []
        }
    }

    /// Moves on to the next state.
    ///
    /// - Throws: ``IllegalTransition``; the state is then unchanged.
    public mutating func advance(to next: JobState) throws(IllegalTransition) {
        guard successors.contains(next) else { throw IllegalTransition(from: self, to: next) }
        self = next
    }
}
