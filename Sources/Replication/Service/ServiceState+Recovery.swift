internal import FoundationEssentials

extension ServiceState {
    /// What a store says at the start of a service, after the end of another one at any moment.
    ///
    /// What was at work stands still, its relationship in state 9, until its turn comes; a job that was
    /// suspended on request stays so, with its relationship in state 11; one whose end was asked for
    /// has it. Relationships that the store does not know need a resynchronization: nothing is known
    /// of their replicas.
    init(
        recovering content: inout StoreContent, relationships ids: [ReplicationRelationshipID],
        service: Inventory.ServiceSettings, clock: JobClock
    ) throws(StoreError) {
        self.init(service)
        let now = clock.date()
        for relationship in try content.relationships() {
            relationships[relationship.id] = relationship
        }
        for new in unknown(ids, at: now) {
            relationships[new.id] = new
            try content.put(new)
        }
        let decided = Set(try content.decisionsToCarryOut().map(\.job))
        for var stored in try content.jobs() {
            // Who was stopped between its commit point and the decision has not passed it.
            if !stored.properties.jobState.isFinal {
                stored.properties.isCommitted = decided.contains(stored.instanceID)
            }
            let job = ConcreteJob(restoring: stored.properties, clock: clock)
            if stored.properties.jobState == .shuttingDown {
                job.terminate(.failed, "stopped on request, as the service ended")
            }
            var known = ServiceJob(job, of: stored.relationship)
            known.attemptCount = stored.attemptCount
            add(known)
            if job.properties.jobState != stored.properties.jobState {
                try content.update(known.stored)
            }
        }
        for var relationship in Array(relationships.values)
        where relationship.replicationState == .resynchronizing {
            relationship.follow(.interrupted, at: now, "the service has ended in the midst of it")
            relationships[relationship.id] = relationship
            try content.put(relationship)
        }
    }

    /// Relationships that the store does not know yet: nothing is known of their replicas.
    func unknown(
        _ ids: [ReplicationRelationshipID], at now: Date
    ) -> [StoredRelationship] {
        ids.filter { relationships[$0] == nil }.map { id in
            StoredRelationship(
                id: id, replicationState: .waitingToStartResynchronization,
                replicationHealth: .critical, timeOfLastStateChange: now)
        }
    }
}
