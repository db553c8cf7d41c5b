internal import Dispatch
internal import Storage
internal import Transport

/// The life of a replication service in a process: its store, its timer, and the socket at which others
/// control it.
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
    private let life: ConditionLock<Life>

    /// How often it is looked, in the end, whether a transfer has ended of which nothing was heard.
    private static let secondsBetweenLooks = 1.0

    /// A service that has its store and its socket. Nothing begins, and nobody is answered, before
    /// ``start()``.
    ///
    /// - Parameters:
    ///   - inventory: The machines.
    ///   - stateFolder: Of the store; made where it is missing.
    ///   - socketPath: Where others reach it; `service.sock` in that folder unless told.
    ///   - runner: Who does the work.
    /// - Throws: the code of a store that cannot be used: 32774 where another service has it; 32773 for a
    ///   path that no socket can have; 32774 where another program listens there; 32775 where something
    ///   else is there.
    public init(
        _ inventory: Inventory, stateFolder: String, socketPath: String? = nil,
        runner: any TransferRunner = DiskTransferRunner()
    ) throws(CodedError) {
        let path = socketPath ?? ControlProtocol.socket(inStateFolder: stateFolder)
        let life = ConditionLock(Life())
        let timer = ServiceTimer()
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
                try ReplicationService(inventory, store: store, runner: runner, wake: wake)
            }
        } catch {
            listener.stop()
            throw error
        }
        self.socketPath = path
        self.timer = timer
        self.life = life
        server = ControlServer(ControlDesk(service), listener)
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
    }

    /// Asks for the end, from any thread, any number of times: nothing begins any more, and what is at
    /// work stops in an orderly way, to go on with the next service.
    public func stop() {
        life.withLock { $0.isStopping = true }
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
