internal import FoundationEssentials
internal import Storage

extension ReplicationService {
    /// Other machines and settings from now on.
    ///
    /// What is at work goes on as it was begun. What waits begins as the new inventory says, and jobs of
    /// machines that are not in it end with 32777 when their turn comes. Relationships that are new are
    /// in state 9.
    ///
    /// - Throws: ``StoreError`` where the store does not take the new relationships; everything stays
    ///   as it was then.
    public func replaceInventory(_ new: Inventory) throws(StoreError) {
        let configuration = Configuration(new)
        try state.withLock { (state) throws(StoreError) in
            let relationships = state.unknown(
                Array(configuration.senders.keys), at: clock.date())
            try store.write { (content) throws(StoreError) in
                for relationship in relationships { try content.put(relationship) }
            }
            for relationship in relationships {
                state.relationships[relationship.id] = relationship
            }
            self.configuration.withLock { $0 = configuration }
            waitAnew(new, &state)
            observe(.machines(.inventoryReloaded, new.machines.count))
        }
        wake()
    }

    /// Who waits does so for what the inventory says now, in the place that it had.
    private func waitAnew(_ inventory: Inventory, _ state: inout ServiceState) {
        state.queue.setLimits(
            inventory.service.maximumActiveTransfers,
            perHost: inventory.service.maximumActiveTransfersPerHost)
        for id in state.relationships.keys {
            guard let entry = state.queue.waitingEntry(of: id) else { continue }
            if state.unfinishedJob(of: id) != nil {
                var entry = entry
                entry.host = host(of: id)
                state.queue.add(entry)
            } else {
                state.queue.remove(id)
            }
        }
        for machine in inventory.machines {
            guard let id = machine.relationship?.id else { continue }
            enqueueAttempt(id, &state)
        }
    }
}
