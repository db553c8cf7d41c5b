/// What a relationship does on a request. All but the changes of replication alone concern its job.
public enum ReplicationAction: CaseIterable, Sendable {
    /// A new job begins, or waits for its start time.
    case startJob
    /// A new job begins at the beginning; the one that is suspended ends.
    case startOver
    /// The job that there is goes on as before. One that waits gets the new start time.
    case keepJob
    /// The job goes on where it was suspended, or a new one does.
    case continueJob
    case suspendJob
    case cancelJob
    case cancelWaitingJob
    case resumeReplication
    case suspendReplication

    /// What happens to the relationship. Nil: nothing, as far as its state shows.
    public var event: ReplicationEvent? {
        switch self {
        case .startJob, .startOver: .started
        case .continueJob: .continued
        case .suspendJob: .suspended
        case .cancelJob: .cancelled
        case .resumeReplication: .replicationResumed
        case .suspendReplication: .replicationSuspended
        case .keepJob, .cancelWaitingJob: nil
        }
    }
}

extension ReturnCode {
    /// The code of a call that leads to this: 4096 with the job, or 0 where there is none to wait
    /// for.
    public init(_ action: ReplicationAction) {
        switch action {
        case .startJob, .startOver, .keepJob, .continueJob, .suspendJob, .cancelJob,
            .cancelWaitingJob:
            self = .jobStarted
        case .resumeReplication, .suspendReplication:
            self = .completed
        }
    }
}
