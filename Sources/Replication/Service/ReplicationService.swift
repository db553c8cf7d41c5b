public import FoundationEssentials
internal import Storage

/// The replication service, `Msvm_ReplicationService`, without a way to call it: it takes requests to
/// resynchronize machines, has them wait for their time and for a place, and remembers them.
/// `docs/service.md` says what it promises, and what does not hold yet.
///
/// It has no threads. ``advance()`` does what is due, in the thread of who calls it; a ``ServiceTimer``
/// does so in time. Calls may come from any thread.
public final class ReplicationService: Sendable {
    /// How many jobs are kept as history.
    public static let historyLimit = 10_000
    /// How many jobs that are over can be read: with more, the oldest are history before their time.
    static let endedJobLimit = 1000
    /// What the service asks for by itself has this owner.
    public static let automaticOwner = "vhdresync"
    /// How often the progress of jobs is remembered.
    static let progressInterval = Duration.seconds(10)
    /// When it is tried again to change a store that has refused a change.
    static let storeWait: TimeInterval = 10

    /// A machine with the relationship in which it is the sender.
    struct Sender: Sendable {
        var machine: Inventory.Machine
        var relationship: Inventory.Relationship
    }

    /// What a person has configured, which may be replaced at any time.
    struct Configuration: Sendable {
        let inventory: Inventory
        let senders: [ReplicationRelationshipID: Sender]

        init(_ inventory: Inventory) {
            self.inventory = inventory
            var senders: [ReplicationRelationshipID: Sender] = [:]
            for machine in inventory.machines {
                guard let relationship = machine.relationship else { continue }
                senders[relationship.id] = Sender(machine: machine, relationship: relationship)
            }
            self.senders = senders
        }
    }

    let configuration: Lock<Configuration>
    let store: StateStore
    let runner: any TransferRunner
    let clock: JobClock
    let zone: TimeZone
    let wake: @Sendable () -> Void
    let observe: @Sendable (ServiceEvent) -> Void
    let state: Lock<ServiceState>
    /// Requests to jobs, which must not wait for the store: carried out by ``advance()``.
    let requests = Lock<[JobRequest]>([])

    /// A service that goes on from what its store says: what was at work goes on, what waits for its
    /// time waits on, and no relationship stays in state 10. Nothing begins before ``advance()``.
    ///
    /// - Parameters:
    ///   - inventory: The machines. Jobs of others end with 32777 when their turn comes.
    ///   - store: Of this service alone.
    ///   - runner: Who does the work.
    ///   - clock: What time it is.
    ///   - zone: What the server's clocks show.
    ///   - wake: Is called when ``advance()`` is to be called soon; it must not do so itself.
    ///   - observe: Is told what happens, in its order. It must neither wait nor call the service.
    /// - Throws: ``StoreError`` where the store cannot be read or changed.
    public init(
        _ inventory: Inventory, store: StateStore, runner: any TransferRunner,
        clock: JobClock = .system, zone: TimeZone = .current,
        wake: @escaping @Sendable () -> Void = {},
        observe: @escaping @Sendable (ServiceEvent) -> Void = { _ in }
    ) throws(StoreError) {
        let configuration = Configuration(inventory)
        self.configuration = Lock(configuration)
        self.store = store
        self.runner = runner
        self.clock = clock
        self.zone = zone
        self.wake = wake
        self.observe = observe
        let recovered = try store.write { (content) throws(StoreError) in
            try ServiceState(
                recovering: &content, relationships: Array(configuration.senders.keys),
                service: inventory.service, clock: clock)
        }
        state = Lock(recovered)
        state.withLock { state in
            for job in state.jobs.values { install(in: job.job) }
            for job in state.unfinishedJobs { enqueue(job, &state) }
            for machine in inventory.machines {
                guard let id = machine.relationship?.id else { continue }
                enqueueAttempt(id, &state)
            }
        }
    }

    // MARK: For who watches

    public var inventory: Inventory { configuration.withLock { $0.inventory } }
    var senders: [ReplicationRelationshipID: Sender] { configuration.withLock { $0.senders } }

    /// The jobs that can be read, in the order in which they were accepted.
    public var jobs: [ConcreteJob] {
        state.withLock { $0.jobsInOrder.map(\.job) }
    }

    /// A job that can be read; nil for what is history, and for none.
    public func job(_ instanceID: String) -> ConcreteJob? {
        state.withLock { $0.jobs[instanceID]?.job }
    }

    /// Where a relationship stands.
    public func relationship(_ id: ReplicationRelationshipID) -> StoredRelationship? {
        state.withLock { $0.relationships[id] }
    }

    /// Why the store has refused the last change; nil where it has made it. What was refused is tried
    /// again.
    public var storeError: StoreError? {
        state.withLock { $0.storeError }
    }

    /// How many relationships have a transfer, and how many wait for one.
    public var transferCounts: (running: Int, waiting: Int) {
        state.withLock { ($0.queue.runningCount, $0.queue.waitingCount) }
    }

    /// Whether nothing is at work.
    public var isIdle: Bool {
        state.withLock { $0.active.isEmpty }
    }

    // MARK: What is due

    /// Does what is due: begins transfers, remembers how others have ended, moves old jobs to the
    /// history.
    ///
    /// - Returns: When it is to be called again at the latest; nil where nothing is to come.
    @discardableResult
    public func advance() -> Date? {
        let (transfers, stops, next) = state.withLock { state in
            let now = clock.date()
            let stops = carryOutRequests(&state)
            recordEnds(&state)
            moveToHistory(&state)
            saveProgress(&state)
            let transfers = beginDue(&state, at: now)
            tellStoreError(&state)
            return (transfers, stops, nextTime(state, after: now))
        }
        // Outside the lock: a runner may call back.
        for stop in stops { stop() }
        for transfer in transfers { begin(transfer) }
        return next
    }

    /// Begins nothing any more, and stops what is at work, which goes on when there is a service
    /// again. ``isIdle`` says when it is over.
    public func shutDown() {
        let stops = state.withLock { state in
            state.isShuttingDown = true
            return state.active.values.compactMap(\.stop)
        }
        for stop in stops { stop() }
    }

    private func begin(_ transfer: Transfer) {
        let id = transfer.job.properties.instanceID
        let stop = runner.begin(transfer)
        let isToStop = state.withLock { state in
            // It may be over already.
            state.active[id]?.stop = stop
            return state.active[id]?.stopReason != nil || state.isShuttingDown
        }
        if isToStop { stop() }
    }

    private func nextTime(_ state: ServiceState, after now: Date) -> Date? {
        // What is overdue then is so because the store refuses it.
        if let hold = state.holdTime { return hold > now ? hold : now + Self.storeWait }
        var times = [state.queue.nextDueTime(after: now)].compactMap(\.self)
        if !state.active.isEmpty { times.append(now + Self.progressInterval / .seconds(1)) }
        let uptime = clock.uptime()
        for job in state.jobs.values {
            guard let removalTime = job.job.removalTime else { continue }
            times.append(now + max((removalTime - uptime) / .seconds(1), 0))
        }
        return times.min()
    }

    func install(in job: ConcreteJob) {
        let id = job.properties.instanceID
        func note(_ requested: RequestedJobState) -> @Sendable () -> Void {
            { [weak self] in
                self?.requests.withLock { $0.append(JobRequest(job: id, requested: requested)) }
                self?.wake()
            }
        }
        // To kill at once is not possible while the work is done in this process.
        job.install(
            JobControl(
                start: note(.start), suspend: note(.suspend), terminate: note(.terminate)))
    }
}

/// What a job was asked for.
struct JobRequest: Sendable {
    var job: String
    var requested: RequestedJobState
}
