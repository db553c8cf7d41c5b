internal import Dispatch
internal import Storage
public import Transport

/// The life of a replication service in a process: its store, its timer, the socket at which others
/// control it, and what tells them how it goes.
///
///     let host = try ReplicationHost(inventory, stateFolder: "/var/lib/vhdresync")
///     host.start()
///     // In another thread: host.stop()
///     try host.wait()
public final class ReplicationHost: Sendable {
    /// How far it is.
    private struct Life: Sendable {
        var isStarted = false
        var isStopping = false
        /// Grows with whatever has happened in the service.
        var changeCount: UInt64 = 0
        /// What has ended the listening.
        var failure: TransportError?
    }

    public let service: ReplicationService
    /// Where others reach it.
    public let socketPath: String
    private let timer: ServiceTimer
    private let server: ControlServer
    private let desk: ControlDesk
    private let reporter: ServiceReporter
    private let life: ConditionLock<Life>

    /// How often it is looked, in the end, whether a transfer has ended of which nothing was heard.
    private static let secondsBetweenLooks = 1.0
    /// How long the end waits for the hook, and for who reads the log.
    private static let farewellSeconds = 60.0

    /// A service that has its store and its socket. Nothing begins, and nobody is answered, before
    /// ``start()``.
    ///
    /// - Parameters:
    ///   - inventory: The machines.
    ///   - stateFolder: Of the store; made where it is missing.
    ///   - socketPath: Where others reach it; `service.sock` in that folder unless told.
    ///   - runner: Who does the work.
    ///   - log: What happens is written there; nil for nowhere.
    ///   - manager: Who is told how the process is; nil for nobody.
    /// - Throws: the code of a store that cannot be used: 32774 where another service has it; 32773 for a
    ///   path that no socket can have; 32774 where another program listens there; 32775 where something
    ///   else is there.
    public init(
        _ inventory: Inventory, stateFolder: String, socketPath: String? = nil,
        runner: any TransferRunner = DiskTransferRunner(), log: EventLog? = nil,
        manager: ServiceManager? = nil
    ) throws(CodedError) {
        let path = socketPath ?? ControlProtocol.socket(inStateFolder: stateFolder)
        let life = ConditionLock(Life())
        let timer = ServiceTimer()
        let reporter = ServiceReporter(log: log, manager: manager)
        let wake: @Sendable () -> Void = {
            timer.wake()
            life.withLock { $0.changeCount += 1 }
        }
        // The lock of the store says whether another service is alive, so it comes first.
        let store = try Self.store { () throws(StoreError) in
            try StateStore(opening: stateFolder)
        }
        let listener: UnixListener
        do throws(TransportError) {
            listener = try UnixListener(path: path)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
        do throws(CodedError) {
            service = try Self.store { () throws(StoreError) in
                try ReplicationService(
                    inventory, store: store, runner: runner, wake: wake,
                    observe: { event in reporter.note(event) })
            }
        } catch {
            listener.stop()
            throw error
        }
        self.socketPath = path
        self.timer = timer
        self.life = life
        self.reporter = reporter
        desk = ControlDesk(service)
        server = ControlServer(desk, listener)
        reporter.report(on: service)
    }

    /// The same with the inventory in a file.
    ///
    /// - Throws: also 32773 for an inventory with mistakes, all of which are told, a line each.
    public convenience init(
        configuration path: String, stateFolder: String, socketPath: String? = nil
    ) throws(CodedError) {
        try self.init(
            try Self.inventory(at: path), stateFolder: stateFolder, socketPath: socketPath)
    }

    private static func inventory(at path: String) throws(CodedError) -> Inventory {
        do throws(InventoryError) {
            return try Inventory(contentsOf: path)
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    private static func store<Value>(
        _ body: () throws(StoreError) -> Value
    ) throws(CodedError) -> Value {
        do throws(StoreError) {
            return try body()
        } catch {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    /// Begins with what is due, and answers requests, in threads of its own. To be called once.
    public func start() {
        let isEnding = life.withLock { life in
            precondition(!life.isStarted, "a service was started twice")
            life.isStarted = true
            return life.isStopping
        }
        guard !isEnding else { return }
        timer.start { [service] in service.advance() }
        server.start { [self] error in
            life.withLock { $0.failure = error }
            stop()
        }
        reporter.noteStart(machineCount: service.inventory.machines.count)
    }

    /// Takes the inventory in a file from now on, ``ReplicationService/replaceInventory(_:)``.
    ///
    /// - Throws: 32773 for one with mistakes, the code of a file that cannot be read, or of a store that
    ///   refuses the change: the inventory before stays in use.
    public func reload(_ path: String) throws(CodedError) {
        try reporter.reload { () throws(CodedError) in
            let inventory = try Self.inventory(at: path)
            try Self.store { () throws(StoreError) in try service.replaceInventory(inventory) }
            reporter.report(on: service)
        }
    }

    /// The answer to a request, one line as `docs/control.md` has it.
    package func answer(to line: String, from owner: String) -> ControlAnswer {
        do throws(CodedError) {
            let request = try ControlRequest(parsing: Array(line.utf8))
            return desk.answer(to: request, from: owner)
        } catch {
            return ControlAnswer(error)
        }
    }

    /// Asks for the end, from any thread, any number of times: nothing begins any more, and what is at
    /// work stops in an orderly way, to go on with the next service.
    public func stop() {
        let isFirst = life.withLock { life in
            defer { life.isStopping = true }
            return !life.isStopping
        }
        if isFirst { reporter.noteStopping() }
        service.shutDown()
    }

    /// Waits for the end that somebody asks for: until nothing is at work, and nobody is answered any
    /// more. The socket is removed then.
    ///
    /// - Throws: what has ended the listening, where nobody has asked for the end; the code of a store
    ///   that has refused how a job has ended. That job goes on with the next service.
    public func wait() throws(CodedError) {
        life.withLock(when: { $0.isStopping }) { _ in }
        waitForTransfers()
        timer.stop()
        server.stop()
        // What the store has refused gets another try.
        service.advance()
        reporter.finish(timeoutSeconds: Self.farewellSeconds)
        // Threads that are about to end may know it for a moment longer.
        defer { service.store.close() }
        if let failure = life.withLock({ $0.failure }) {
            throw CodedError(ReturnCode(failure), "\(failure)")
        }
        if !service.isIdle, let error = service.storeError {
            throw CodedError(ReturnCode(error), "\(error)")
        }
    }

    /// The service's own lock is never asked for under the one of this life, since it is the other way
    /// round where the service wakes.
    private func waitForTransfers() {
        var changeCount = life.withLock { $0.changeCount }
        while service.isAtWork {
            let seen = changeCount
            let nanoseconds = UInt64(Self.secondsBetweenLooks * 1e9)
            let end = DispatchTime.now().uptimeNanoseconds + nanoseconds
            changeCount = life.withLock(when: { $0.changeCount != seen }, orAt: end) {
                $0.changeCount
            }
        }
    }

    /// Takes the socket away, where the process is about to end without more ado.
    public func abandon() {
        server.abandon()
    }
}
