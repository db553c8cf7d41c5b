internal import FoundationEssentials

/// What a service knows, under its lock. The store has all of it that must survive.
struct ServiceState: Sendable {
    var queue: TransferQueue
    var relationships: [ReplicationRelationshipID: StoredRelationship] = [:]
    /// Those that can be read.
    private(set) var jobs: [String: ServiceJob] = [:]
    /// The job of each relationship that has one which is not over.
    private var unfinished: [ReplicationRelationshipID: String] = [:]
    /// Transfers, by their jobs.
    var active: [String: ActiveTransfer] = [:]
    var isShuttingDown = false
    /// Until then nothing begins, since the store has refused a change.
    var holdTime: Date?
    var storeError: StoreError?
    /// The one that was told last, unless the store has made a change since.
    var toldStoreError: StoreError?
    /// By the clock that nobody can set.
    var progressTime: Duration?
    private var lastNumber = 0

    init(_ service: Inventory.ServiceSettings) {
        queue = TransferQueue(
            limit: service.maximumActiveTransfers,
            limitPerHost: service.maximumActiveTransfersPerHost)
    }

    func unfinishedJob(of id: ReplicationRelationshipID) -> ServiceJob? {
        unfinished[id].flatMap { jobs[$0] }
    }

    var jobsInOrder: [ServiceJob] { jobs.values.sorted { $0.number < $1.number } }

    var unfinishedJobs: [ServiceJob] {
        jobsInOrder.filter { unfinished[$0.relationship] == $0.instanceID }
    }

    var endedJobCount: Int { jobs.count - unfinished.count }

    /// In the order in which they were accepted.
    var endedJobs: [ServiceJob] {
        jobsInOrder.filter { unfinished[$0.relationship] != $0.instanceID }
    }

    mutating func add(_ job: ServiceJob) {
        lastNumber += 1
        var job = job
        job.number = lastNumber
        jobs[job.instanceID] = job
        if !job.job.properties.jobState.isFinal { unfinished[job.relationship] = job.instanceID }
    }

    mutating func noteAttempt(of job: String) {
        jobs[job]?.attemptCount += 1
    }

    /// The job is over, and can still be read.
    mutating func noteEnd(of job: ServiceJob) {
        if unfinished[job.relationship] == job.instanceID { unfinished[job.relationship] = nil }
        active[job.instanceID] = nil
    }

    /// The job is history.
    mutating func forget(_ job: String) {
        jobs[job] = nil
    }
}

/// A job that can be read, and its relationship.
struct ServiceJob: Sendable {
    let job: ConcreteJob
    let instanceID: String
    let relationship: ReplicationRelationshipID
    var attemptCount = 0
    fileprivate(set) var number = 0

    init(_ job: ConcreteJob, of relationship: ReplicationRelationshipID) {
        self.job = job
        self.relationship = relationship
        instanceID = job.properties.instanceID
    }

    /// What is remembered of it.
    var stored: StoredJob { stored(job.properties) }

    func stored(_ properties: ConcreteJob.Properties) -> StoredJob {
        var stored = StoredJob(properties, of: relationship)
        stored.attemptCount = attemptCount
        return stored
    }
}

/// A transfer that has begun, and whose end is not remembered yet.
struct ActiveTransfer: Sendable {
    enum StopReason: Sendable { case suspended, terminated }

    /// Nil while the runner has not returned it.
    var stop: (@Sendable () -> Void)?
    var stopReason: StopReason?
    /// Nil while it is at work.
    var outcome: TransferOutcome?
}

extension StoredRelationship {
    /// What happens to the relationship; nothing where its state does not know of that.
    ///
    /// - Returns: whether it does.
    @discardableResult
    mutating func follow(
        _ event: ReplicationEvent, at date: Date, _ reason: String? = nil
    ) -> Bool {
        guard let next = replicationState.following(event) else { return false }
        if next != replicationState { timeOfLastStateChange = date }
        replicationState = next
        replicationHealth = ReplicationHealth(of: next)
        statusDescription = reason
        return true
    }
}
