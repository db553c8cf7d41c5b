extension ReplicationHealth {
    /// Of a relationship that has come to a state by what this service does.
    init(of state: ReplicationState) {
        switch state {
        case .replicating: self = .ok
        case .suspended, .resynchronizing, .resynchronizationSuspended: self = .warning
        case .critical, .waitingToStartResynchronization: self = .critical
        case .disabled, .readyForReplication, .waitingToCompleteInitialReplication,
            .syncedReplicationComplete, .recovered, .committed, .failoverInProgress,
            .failbackInProgress, .failbackComplete, .diskUpdateInProgress, .diskUpdateCritical,
            .unknown, .repurposeReplicationInProgress, .preparedForSyncReplication,
            .preparedForGroupReverseReplication, .firedrillInProgress:
            self = .notApplicable
        }
    }
}
