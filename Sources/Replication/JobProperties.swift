public import FoundationEssentials

extension ConcreteJob {
    /// The properties of a job at one instant. Names are those of `Msvm_ConcreteJob`; a `datetime`
    /// is a date or a duration here, of which ``CIMTimestamp`` and ``CIMInterval`` are made.
    public struct Properties: Equatable, Sendable {
        /// The key: a GUID in upper case without braces, as hosts have it.
        public var instanceID: String
        /// What the job works on, for people.
        public var elementName: String
        /// Who has asked for it, if that is known.
        public var owner: String?
        /// Where the job stands.
        public var jobState = JobState.new
        /// What the job does.
        public var jobType: JobType
        /// 0 to 100. It never falls, and is 100 only where the job has completed.
        public var percentComplete: UInt16 = 0
        /// When the job was made.
        public var timeSubmitted: Date
        /// When it is to begin; nil for at once.
        public var scheduledStartTime: Date?
        /// When the work began; nil before that.
        public var startTime: Date?
        /// How long the work has lasted, or did last, by a clock that nobody can set; without the
        /// time in which it was suspended.
        public var elapsedTime = Duration.zero
        /// When ``jobState`` became what it is.
        public var timeOfLastStateChange: Date
        /// What the job is doing, or has to say, in words of its own; nil for the name of its
        /// state.
        public var activity: String?
        /// 0, or the return code of a job that did not complete.
        public var errorCode: UInt16 = 0
        /// Nil unless the job did not complete.
        public var errorDescription: String?
        /// What is to be done about a job that did not complete.
        public var recoveryAction = JobRecoveryAction.unknown
        /// Whether a request to terminate would be taken now.
        public var cancellable = false

        /// Whether the replica is being written to, which can only be finished.
        public var isCommitted = false
        public var figures = JobFigures()
        /// Nil where the job is not at work, or has not been for long enough.
        public var bytesComparedPerSecond: Double?
        public var bytesSentPerSecond: Double?
        public var timeLeft: Duration?
    }
}

/// `CIM_Job.RecoveryAction`: what is to be done about a job that did not complete.
public enum JobRecoveryAction: UInt16, CaseIterable, Sendable {
    case unknown = 0
    case other = 1
    case doNotContinue = 2
    case continueWithNextJob = 3
    case rerunJob = 4
    /// Here: `vhdresync recover`, which finishes a replica that is half-written.
    case runRecoveryJob = 5
}

/// `CIM_ManagedSystemElement.OperationalStatus`, as far as a job has it.
public enum JobOperationalStatus: UInt16, Sendable {
    case ok = 2
    case error = 6
    case aborted = 14
}

/// `CIM_ManagedSystemElement.HealthState`, as far as a job has it.
public enum JobHealthState: UInt16, Sendable {
    case ok = 5
    case degraded = 10
    case majorFailure = 20
}

// What follows from the others, or is the same for all jobs.
extension ConcreteJob.Properties {
    public var name: String { jobType.name }
    public var caption: String { jobType.name }
    public var description: String { "\(jobType.name): \(elementName)" }
    /// Jobs are not installed.
    public var installDate: Date? { nil }

    /// Its reference says that it is always OK; by it ``ConcreteJob/getError()`` tells whether
    /// there is an error, so it says here whether the job did what it was for.
    public var operationalStatus: [JobOperationalStatus] {
        switch jobState {
        case .exception: [.error]
        case .terminated, .killed: [.aborted]
        case .new, .starting, .running, .suspended, .shuttingDown, .completed, .service,
            .completedWithWarnings:
            [.ok]
        }
    }

    /// One for each ``operationalStatus``.
    public var statusDescriptions: [String] {
        if jobState == .completedWithWarnings { return [jobStatus] }
        return [jobState.isFailure ? errorDescription ?? jobState.name : "OK"]
    }

    /// The older form of ``operationalStatus``.
    public var status: String {
        switch healthState {
        case .ok: jobState.isFailure ? "Error" : "OK"
        case .degraded: "Degraded"
        case .majorFailure: "Error"
        }
    }

    public var healthState: JobHealthState {
        switch jobState {
        case .exception: .majorFailure
        case .completedWithWarnings: .degraded
        case .new, .starting, .running, .suspended, .shuttingDown, .completed, .terminated,
            .killed, .service:
            .ok
        }
    }

    public var jobStatus: String { activity ?? jobState.name }

    /// A time limit of a job is not its own.
    public var untilTime: Date? { nil }
    public var notify: String? { nil }
    public var priority: UInt32 { 0 }
    public var otherRecoveryAction: String? { nil }

    /// The name of the return code of a job that did not complete.
    public var errorSummaryDescription: String? {
        errorCode == 0 ? nil : ReturnCode(rawValue: UInt32(errorCode))?.name
    }

    /// A job goes by itself when ``timeBeforeRemoval`` has passed.
    public var deleteOnCompletion: Bool { true }
    public var timeBeforeRemoval: Duration { ConcreteJob.timeBeforeRemoval }

    /// ``scheduledStartTime`` alone says when a job runs, so these say nothing.
    public var jobRunTimes: UInt32 { 1 }
    public var runMonth: UInt8? { nil }
    public var runDay: Int8? { nil }
    public var runDayOfWeek: Int8? { nil }
    public var runStartInterval: Duration? { nil }
    /// 2: times are in UTC.
    public var localOrUtcTime: UInt16 { 2 }

    /// How far the job is for requests to its relationship.
    public var standing: RelationshipJob {
        switch jobState {
        case .new: .waiting
        case .starting, .running, .suspended, .shuttingDown, .service:
            isCommitted ? .committed : .underWay
        case .completed, .terminated, .killed, .exception, .completedWithWarnings: .none
        }
    }
}
