// The rules of docs/replication-states.md, with whose tables a test compares them. No switch has a
// default, so that a state that is added does not compile until someone has decided.

extension ReplicationState {
    /// What a state is to a resynchronization.
    private enum Standing {
        case replicating, suspended
        /// Replication has failed, or has lost its baseline.
        case broken
        case resynchronizing, resynchronizationSuspended
        /// Something else is going on, or there is no baseline yet.
        case other
    }

    private var standing: Standing {
        switch self {
        case .replicating: .replicating
        case .suspended: .suspended
        case .critical, .waitingToStartResynchronization: .broken
        case .resynchronizing: .resynchronizing
        case .resynchronizationSuspended: .resynchronizationSuspended
        case .disabled, .readyForReplication, .waitingToCompleteInitialReplication,
            .syncedReplicationComplete, .recovered, .committed, .failoverInProgress,
            .failbackInProgress, .failbackComplete, .diskUpdateInProgress, .diskUpdateCritical,
            .unknown, .repurposeReplicationInProgress, .preparedForSyncReplication,
            .preparedForGroupReverseReplication, .firedrillInProgress:
            .other
        }
    }

    // MARK: Requests

    /// What `Msvm_ReplicationService.Resynchronize` does in this state.
    ///
    /// - Throws: ``ReplicationRefusal``.
    public func resynchronize(
        beside job: RelationshipJob
    ) throws(ReplicationRefusal) -> ReplicationAction {
        switch standing {
        case .replicating, .other: throw .state(self)
        case .suspended, .broken, .resynchronizing: return job == .none ? .startJob : .keepJob
        case .resynchronizationSuspended:
            switch job {
            case .none: return .startJob
            case .underWay: return .startOver
            case .waiting, .committed: return .keepJob
            }
        }
    }

    /// What `Msvm_ComputerSystem.RequestReplicationStateChangeEx` does in this state.
    ///
    /// - Throws: ``ReplicationRefusal``.
    public func change(
        to requested: RequestedReplicationState, beside job: RelationshipJob
    ) throws(ReplicationRefusal) -> ReplicationAction {
        switch requested {
        case .replicating: try resume()
        case .suspended: try suspend(beside: job)
        case .resynchronizationCancelled: try cancel(beside: job)
        }
    }

    /// Value 3. What has failed for other reasons than its baseline may be resumed.
    private func resume() throws(ReplicationRefusal) -> ReplicationAction {
        switch standing {
        case .suspended: return .resumeReplication
        case .broken:
            guard self == .critical else { throw .state(self) }
            return .resumeReplication
        case .resynchronizationSuspended: return .continueJob
        case .replicating, .resynchronizing, .other: throw .state(self)
        }
    }

    /// Value 7.
    private func suspend(
        beside job: RelationshipJob
    ) throws(ReplicationRefusal) -> ReplicationAction {
        switch standing {
        case .replicating: return .suspendReplication
        case .resynchronizing:
            switch job {
            case .underWay: return .suspendJob
            case .committed: throw .pastCommitPoint
            case .none, .waiting: throw .state(self)
            }
        case .suspended, .broken, .resynchronizationSuspended, .other: throw .state(self)
        }
    }

    /// Value 9.
    private func cancel(
        beside job: RelationshipJob
    ) throws(ReplicationRefusal) -> ReplicationAction {
        switch standing {
        case .replicating, .suspended, .broken:
            guard job == .waiting else { throw .state(self) }
            return .cancelWaitingJob
        case .resynchronizing, .resynchronizationSuspended:
            guard job != .committed else { throw .pastCommitPoint }
            return .cancelJob
        case .other: throw .state(self)
        }
    }

    // MARK: Events

    /// The state that follows. Nil where this cannot happen, or no longer concerns the
    /// relationship: an unplanned failover, for one, ends its resynchronization. The state then
    /// stays.
    public func following(_ event: ReplicationEvent) -> ReplicationState? {
        switch standing {
        case .replicating:
            event == .replicationSuspended ? .suspended : nil
        case .suspended, .broken:
            switch event {
            case .started: .resynchronizing
            case .replicationResumed:
                self == .waitingToStartResynchronization ? nil : .replicating
            case .succeeded, .failedForNow, .failed, .suspended, .continued, .cancelled,
                .interrupted, .replicationSuspended:
                nil
            }
        case .resynchronizing:
            switch event {
            case .started: .resynchronizing
            case .succeeded: .replicating
            case .failedForNow, .cancelled, .interrupted: .waitingToStartResynchronization
            case .failed: .critical
            case .suspended: .resynchronizationSuspended
            case .continued, .replicationSuspended, .replicationResumed: nil
            }
        case .resynchronizationSuspended:
            switch event {
            case .started, .continued: .resynchronizing
            case .failedForNow, .cancelled: .waitingToStartResynchronization
            case .failed: .critical
            case .interrupted: .resynchronizationSuspended
            case .succeeded, .suspended, .replicationSuspended, .replicationResumed: nil
            }
        case .other: nil
        }
    }
}
