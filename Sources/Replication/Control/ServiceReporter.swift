internal import Dispatch
internal import Storage
internal import Transport

/// Tells the world what happens in a service: its log, the file of figures, the hook, and the manager
/// that has started the process.
final class ServiceReporter: Sendable {
    /// What the inventory says of it.
    private struct Outputs: Sendable {
        var service: ReplicationService?
        var metrics: MetricsFile?
        var hook: JobHook?
    }

    private let log: EventLog?
    private let manager: ServiceManager?
    private let outputs = Lock(Outputs())
    /// For what asks the service, which must not be asked while it tells something.
    private let queue = DispatchQueue(label: "vhdresync.status")

    /// - Parameters:
    ///   - log: Where lines go; nil for nowhere.
    ///   - manager: Who is told how the process is; nil for nobody.
    init(log: EventLog?, manager: ServiceManager?) {
        self.log = log
        self.manager = manager
    }

    /// Reports of this service from now on, or otherwise from now on, as its inventory says.
    func report(on service: ReplicationService) {
        let settings = service.inventory.service
        log?.use(settings.logFormat)
        let metrics = settings.metricsFile.map { path in
            MetricsFile(
                path, text: { () throws(StoreError) in try service.metrics().text },
                failed: { [log] words in log?.note(ServiceEvent(.metricsFailed, message: words)) })
        }
        let hook =
            settings.hookCommand.isEmpty
            ? nil
            : JobHook(
                settings.hookCommand,
                failed: { [log] words in log?.note(ServiceEvent(.hookFailed, message: words)) })
        outputs.withLock { $0 = Outputs(service: service, metrics: metrics, hook: hook) }
    }

    /// Something has happened. It waits for nothing.
    func note(_ event: ServiceEvent) {
        log?.note(event)
        let outputs = outputs.withLock { $0 }
        outputs.metrics?.change()
        if let manager {
            queue.async { if let status = self.status { manager.tell(status) } }
        }
        guard event.kind == .jobEnded, let service = outputs.service, let job = event.job else {
            return
        }
        outputs.hook?.run { HookObject(job.instanceID, event.machine, service)?.line }
    }

    // MARK: The process

    func noteStart(machineCount: Int) {
        note(.machines(.started, machineCount))
        manager?.tellReady(status ?? "")
    }

    /// Reads the configuration again by what it is given, and tells if it cannot be used.
    func reload(_ body: () throws(CodedError) -> Void) throws(CodedError) {
        manager?.tellReloading()
        defer { manager?.tellReady(status ?? "") }
        do throws(CodedError) {
            try body()
        } catch {
            for line in error.description.split(separator: "\n") {
                log?.note(ServiceEvent(.inventoryUnusable, message: String(line)))
            }
            throw error
        }
    }

    func noteStopping() {
        note(ServiceEvent(.stopping))
        manager?.tellStopping("stopping: what is being written is finished")
    }

    /// How much there is to do.
    private var status: String? {
        guard let service = outputs.withLock({ $0.service }) else { return nil }
        let (running, waiting) = service.transferCounts
        return "\(running) running, \(waiting) waiting"
    }

    /// Waits until everything is told, for so long at most. Nothing is told any more.
    func finish(timeoutSeconds: Double) {
        note(ServiceEvent(.stopped))
        // It holds the service, which holds what tells it.
        let outputs = outputs.withLock { outputs in
            defer { outputs = Outputs() }
            return outputs
        }
        outputs.hook?.finish(timeoutSeconds: timeoutSeconds)
        outputs.metrics?.finish()
        log?.flush(timeoutSeconds: timeoutSeconds)
    }
}

/// What the hook is given of a job that has ended.
private struct HookObject: Encodable {
    var job: JobObject
    var machine: MachineObject?

    /// Nil where nothing is known of the job any more.
    init?(_ job: String, _ machine: String?, _ service: ReplicationService) {
        guard let record = try? service.jobRecord(job),
            let disks = try? service.diskResults(of: job)
        else { return nil }
        self.job = JobObject(record, disks: disks)
        // It may not be in the inventory any more.
        let standing = machine.flatMap { try? service.standing(of: $0) }
        self.machine = standing.map(MachineObject.init)
    }

    var line: String { JSONText.line(self) + "\n" }
}
