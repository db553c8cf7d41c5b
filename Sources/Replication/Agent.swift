internal import Dispatch
public import Resync
internal import Storage
public import Transport

/// Serves the disks of one folder to clients that show a certificate, until it is stopped.
///
/// Each connection has a thread of its own. A client goes through this, in order: the limit of
/// connections, the handshake, the list of peers, and only then what it asks for.
public final class Agent: Sendable {
    /// Says for people what an error means: of a run, where there is a monitor, on the disk with this
    /// path, which is the client's.
    public typealias Describe =
        @Sendable (
            _ error: ResyncError, _ monitor: ResyncMonitor?, _ path: String
        ) -> String

    let configuration: AgentConfiguration
    let folder: ServedFolder
    let log: EventLog
    let describe: Describe
    let connections: ConditionLock<AgentConnections>
    private let tls: TLSConfiguration
    private let context: Lock<TLSContext>
    private let listener = Lock<TCPListener?>(nil)

    /// How often runs are looked at that are to end as soon as they may.
    private static let secondsBetweenLooks = 0.1
    /// How long the last lines of the log may take.
    private static let secondsForLog = 2.0

    /// An agent that is ready to listen.
    ///
    /// - Throws: ``ResyncError/invalidOption(_:)``; ``ResyncError/file(_:)`` for the folder;
    ///   ``ResyncError/connection(_:)`` for the certificates.
    public init(
        _ configuration: AgentConfiguration, tls: TLSConfiguration, log: EventLog,
        describe: @escaping Describe = { error, _, _ in "\(error)" }
    ) throws(ResyncError) {
        try configuration.check()
        self.configuration = configuration
        self.tls = tls
        self.log = log
        self.describe = describe
        folder = try ServedFolder(opening: configuration.root)
        context = Lock(try Self.context(tls))
        connections = ConditionLock(
            AgentConnections(
                limit: configuration.connectionLimit, runLimit: configuration.runLimit))
    }

    private static func context(_ tls: TLSConfiguration) throws(ResyncError) -> TLSContext {
        do throws(TransportError) {
            return try TLSContext(tls)
        } catch {
            throw .connection(error)
        }
    }

    /// Serves until ``stop(atOnce:)``, and returns when all connections have ended.
    ///
    /// - Throws: what ended the listening, where nobody has asked for the end: connections are ended
    ///   as in an orderly stop then.
    public func run(_ listener: TCPListener) throws(TransportError) {
        self.listener.withLock { $0 = listener }
        if connections.withLock({ $0.stop }) != .none { listener.stop() }
        log.note(
            AgentEvent(.listening, message: "port \(listener.port), folder \(folder.path)"))
        var failure: TransportError?
        do throws(TransportError) {
            while let tcp = try listener.accept() { take(tcp) }
        } catch {
            failure = error
        }
        if connections.withLock({ $0.stop }) == .none { stop(atOnce: false) }
        waitForConnections()
        self.listener.withLock { $0 = nil }
        log.note(AgentEvent(.stopped, message: failure.map { "\($0)" }))
        log.flush(timeoutSeconds: Self.secondsForLog)
        if let failure { throw failure }
    }

    private func waitForConnections() {
        while true {
            let nanoseconds = UInt64(Self.secondsBetweenLooks * 1e9)
            let end = DispatchTime.now().uptimeNanoseconds + nanoseconds
            let isOver = connections.withLock(when: { $0.isEmpty }, orAt: end, { $0.isEmpty })
            if isOver { return }
            endWhatMay()
        }
    }

    /// Ends the agent, from any thread: no connection is taken any more, comparisons are stopped, and
    /// what they have recorded stays; what is being written to a replica is finished.
    ///
    /// At once, or a second time, nothing is finished: a replica that is being written to stays
    /// half-written, with a journal that finishes it.
    public func stop(atOnce: Bool = false) {
        let stop = connections.withLock { connections in
            connections.stop(atOnce: atOnce)
            return connections.stop
        }
        log.note(
            AgentEvent(
                .stopping,
                message: stop == .atOnce
                    ? "at once" : "when what is being written is finished"))
        listener.withLock { $0 }?.stop()
        endWhatMay()
    }

    private func endWhatMay() {
        for action in connections.withLock({ $0.endWhatMay() }) { action() }
    }

    /// Reads the certificates again. New connections use them; those that are there go on.
    ///
    /// - Throws: ``TransportError/credentials(path:reason:)``; the ones read before stay in use.
    public func reloadCertificates() throws(TransportError) {
        do throws(TransportError) {
            let new = try TLSContext(tls)
            context.withLock { $0 = new }
        } catch {
            log.note(AgentEvent(.certificatesUnusable, message: "\(error)"))
            throw error
        }
        log.note(AgentEvent(.certificatesReloaded))
    }

    // MARK: Connections

    private func take(_ tcp: TCPConnection) {
        let host = Self.host(of: tcp.peerName)
        // Meanwhile the system keeps so many, and turns the others away.
        let admission = connections.withLock(when: { !$0.isCrowded }) { connections in
            connections.admit(from: host) { tcp.close() }
        }
        switch admission {
        case .refused:
            tcp.close()
            noteRefusal(of: tcp, "too many connections")
        case .admitted(let id):
            start(tcp, id)
        case .admittedFor(let former, let id):
            former.close()
            start(tcp, id)
        }
    }

    /// "10.0.0.2:40312" without the port.
    static func host(of peerName: String) -> String {
        guard let colon = peerName.utf8.lastIndex(of: UInt8(ascii: ":")) else { return peerName }
        return String(peerName[..<colon])
    }

    private func start(_ tcp: TCPConnection, _ id: UInt64) {
        DispatchQueue(label: "vhdresync.agent").async { [self] in
            defer { connections.withLock { $0.remove(id) } }
            serve(tcp, id)
        }
    }

    private func serve(_ tcp: TCPConnection, _ id: UInt64) {
        let connection: TLSConnection
        do throws(TransportError) {
            connection = try TLSConnection.accept(
                tcp, context: context.withLock { $0 },
                timeoutSeconds: configuration.handshakeTimeoutSeconds)
        } catch {
            // Who had to give way, or was cut off by the end of the agent, has not failed.
            guard error != .closed else {
                return noteRefusal(of: tcp, "it gave way to another connection")
            }
            return log.note(
                AgentEvent(.handshakeFailed, peer: tcp.peerName, message: "\(error)"))
        }
        let peer = AgentPeer(name: tcp.peerName, subject: connection.peerIdentity.subject)
        let channel = PeerChannel(connection, settings: configuration.channel)
        let service = RemoteService(
            channel, host: AgentHost(agent: self, id: id, peer: peer, channel: channel))
        guard isAllowed(connection.peerIdentity) else {
            log.note(
                AgentEvent(
                    .peerRefused, peer: peer.name, subject: peer.subject,
                    message: "fingerprint \(connection.peerIdentity.fingerprint)"))
            return service.refuse(with: .peerNotAllowed(peer.subject))
        }
        guard connections.withLock({ $0.letIn(id) { channel.close() } }) else {
            return channel.close()
        }
        log.note(AgentEvent(.peerAllowed, peer: peer.name, subject: peer.subject))
        var reason: String?
        do throws(ResyncError) {
            try service.run()
        } catch {
            reason = "\(error)"
        }
        let isStopping = connections.withLock { $0.stop } != .none
        log.note(
            AgentEvent(
                .connectionClosed, peer: peer.name, subject: peer.subject,
                message: isStopping ? nil : reason))
    }

    private func noteRefusal(of tcp: TCPConnection, _ reason: String) {
        let isEnding = connections.withLock { $0.stop } != .none
        log.note(
            AgentEvent(
                .connectionRefused, peer: tcp.peerName,
                message: isEnding ? "the agent is ending" : reason))
    }

    private func isAllowed(_ identity: PeerIdentity) -> Bool {
        configuration.allowedPeers.isEmpty
            || configuration.allowedPeers.contains(where: identity.matches)
    }
}
