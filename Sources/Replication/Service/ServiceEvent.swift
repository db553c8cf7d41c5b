internal import FoundationEssentials

/// Something that happens in a replication service, for who logs it, counts it, or acts on it.
public struct ServiceEvent: Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// Calls are answered, with so many machines.
        case started
        /// Somebody has asked for it, or the service itself; it waits for its time and its turn.
        case jobAccepted = "job-accepted"
        /// Its work begins, or goes on.
        case jobBegun = "job-begun"
        case jobSuspended = "job-suspended"
        /// Whatever its end is.
        case jobEnded = "job-ended"
        /// The store has refused a change, which is tried again.
        case storeRefused = "store-refused"
        case inventoryReloaded = "inventory-reloaded"
        /// It has mistakes, and the one before stays in use.
        case inventoryUnusable = "inventory-unusable"
        /// The command that is run at the end of a job could not be run, or has failed.
        case hookFailed = "hook-failed"
        /// The file of figures could not be written.
        case metricsFailed = "metrics-failed"
        case stopping
        case stopped
    }

    public var kind: Kind
    /// What people call the machine.
    public var machine: String?
    /// The job, with its properties at that time.
    public var job: ConcreteJob.Properties?
    /// Where the relationship stands after it.
    public var relationship: StoredRelationship?
    /// How many machines there are.
    public var machineCount: Int?
    public var message: String?

    init(
        _ kind: Kind, machine: String? = nil, job: ConcreteJob.Properties? = nil,
        relationship: StoredRelationship? = nil
    ) {
        self.kind = kind
        self.machine = machine
        self.job = job
        self.relationship = relationship
    }

    init(_ kind: Kind, message: String?) {
        self.init(kind)
        self.message = message
    }

    static func machines(_ kind: Kind, _ count: Int) -> ServiceEvent {
        var event = ServiceEvent(kind)
        event.machineCount = count
        return event
    }
}

extension ServiceEvent: LogEvent {
    var line: LogLine {
        var line = LogLine(kind.rawValue)
        line.add("machine", machine)
        line.add("relationship", relationship.map { "\($0.id)" })
        line.add("job", job?.instanceID)
        if let job { add(job, to: &line) }
        line.add("replicationState", relationship?.replicationState.name)
        line.add("replicationHealth", relationship?.replicationHealth.name)
        line.add("nextAttemptTime", relationship?.nextAttemptTime?.formatted(.iso8601))
        line.add("machines", machineCount.map(UInt64.init))
        line.add("message", message ?? job?.errorDescription)
        return line
    }

    private func add(_ job: ConcreteJob.Properties, to line: inout LogLine) {
        line.add("jobState", job.jobState.name)
        line.add("owner", job.owner)
        switch kind {
        case .jobAccepted:
            line.add("scheduledStartTime", job.scheduledStartTime?.formatted(.iso8601))
        case .jobEnded, .jobSuspended:
            line.add("code", UInt64(job.errorCode))
            line.add("bytesCompared", job.figures.bytesCompared)
            line.add("bytesDiffering", job.figures.bytesDiffering)
            line.add("bytesSent", job.figures.bytesSent)
            line.add("seconds", seconds: job.elapsedTime / .seconds(1))
        case .started, .jobBegun, .storeRefused, .inventoryReloaded, .inventoryUnusable,
            .hookFailed, .metricsFailed, .stopping, .stopped:
            break
        }
    }
}
