internal import FoundationEssentials

// What who watches is told. It is told with the lock held, so in the order in which it happens.

extension ReplicationService {
    /// What has happened to a job.
    func tell(_ kind: ServiceEvent.Kind, _ job: ServiceJob, _ state: ServiceState) {
        observe(
            ServiceEvent(
                kind, machine: senders[job.relationship]?.machine.elementName,
                job: job.job.properties, relationship: state.relationships[job.relationship]))
    }

    /// Each refusal once, though what was refused is tried again.
    func tellStoreError(_ state: inout ServiceState) {
        guard let error = state.storeError, error != state.toldStoreError else { return }
        state.toldStoreError = error
        observe(ServiceEvent(.storeRefused, message: "\(error)"))
    }
}
