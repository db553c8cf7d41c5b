internal import Dispatch
internal import Resync
internal import Storage
internal import Transport

/// Whom a connection of an agent is with.
struct AgentPeer: Equatable, Sendable {
    /// Where from: "10.0.0.2:40312".
    var name: String
    /// Of the certificate.
    var subject: String
}

/// What an agent lets the client of one connection have.
struct AgentHost: ServiceHost {
    let agent: Agent
    let id: UInt64
    let peer: AgentPeer
    let channel: PeerChannel
    private let current = Lock(Current())

    private struct Current {
        /// What the client has asked for last.
        var path = ""
        var startedAt: UInt64 = 0
        /// What had crossed the connection when the run began.
        var byteCount: UInt64 = 0
    }

    init(agent: Agent, id: UInt64, peer: AgentPeer, channel: PeerChannel) {
        self.agent = agent
        self.id = id
        self.peer = peer
        self.channel = channel
    }

    func open(_ request: ServiceRequest) throws(ResyncError) -> ServedDisk {
        let byteCount = channel.bytesSent + channel.bytesReceived
        current.withLock { current in
            current.path = request.path
            current.startedAt = DispatchTime.now().uptimeNanoseconds
            current.byteCount = byteCount
        }
        do throws(ResyncError) {
            guard request.role == .primary || !agent.configuration.isReadOnly else {
                throw .accessDenied(
                    path: request.path, reason: "this agent serves primaries alone")
            }
            let path = try agent.folder.realPath(of: request.path, request.role)
            let monitor = ResyncMonitor()
            try agent.connections.withLock { (connections) throws(ResyncError) in
                try connections.begin(monitor, on: id)
            }
            agent.log.note(event(.runBegun, request))
            var options = agent.configuration.options
            // A client may have written the image byte by byte, its mark included.
            options.trustsJournalPathOfMark = false
            return ServedDisk(path: path, options: options, monitor: monitor)
        } catch {
            var event = event(.runRefused, request)
            event.code = ReturnCode(error)
            event.message = "\(error)"
            agent.log.note(event)
            agent.connections.withLock { $0.endRun(on: id, hasFailed: true) }
            throw error
        }
    }

    func finished(_ disk: ServedDisk, _ request: ServiceRequest, failure: ResyncError?) {
        let current = current.withLock { $0 }
        let counts = disk.monitor.counts
        var event = event(.runFinished, request)
        event.code = failure.map { ReturnCode($0) } ?? .completed
        event.bytes = channel.bytesSent + channel.bytesReceived - current.byteCount
        event.blocksDiffering = counts.blocksDiffering
        event.bytesRead = counts.bytesRead
        event.bytesWritten = counts.bytesWritten
        event.seconds = Double(DispatchTime.now().uptimeNanoseconds - current.startedAt) / 1e9
        event.message = failure.map { "\($0)" }
        agent.log.note(event)
        // Where the run has failed, the client is told why before the connection ends.
        if failure == nil, agent.connections.withLock({ $0.stop }) == .orderly {
            channel.finish()
        }
        agent.connections.withLock { $0.endRun(on: id, hasFailed: failure != nil) }
    }

    func failure(for error: ResyncError, _ monitor: ResyncMonitor?) -> PeerFailure {
        PeerFailure(
            code: ReturnCode(error).rawValue, condition: monitor?.condition ?? .untouched,
            text: agent.describe(error, monitor, current.withLock { $0.path }))
    }

    private func event(_ kind: AgentEvent.Kind, _ request: ServiceRequest) -> AgentEvent {
        var event = AgentEvent(kind, peer: peer.name, subject: peer.subject)
        event.role = request.role
        event.path = request.path
        return event
    }
}
