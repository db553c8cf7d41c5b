internal import Resync
internal import Storage

/// Something that happens to an agent, with what is known of it.
struct AgentEvent: Equatable, Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case listening
        /// There were too many connections, or the agent is ending.
        case connectionRefused = "connection-refused"
        case handshakeFailed = "handshake-failed"
        /// The authority knows the peer, and the list does not.
        case peerRefused = "peer-refused"
        case peerAllowed = "peer-allowed"
        /// What was asked for is not to be had.
        case runRefused = "run-refused"
        case runBegun = "run-begun"
        case runFinished = "run-finished"
        case connectionClosed = "connection-closed"
        case certificatesReloaded = "certificates-reloaded"
        case certificatesUnusable = "certificates-unusable"
        case stopping
        case stopped

        /// Whether someone causes it whom nobody has let in.
        var isOfStrangers: Bool {
            switch self {
            case .connectionRefused, .handshakeFailed, .peerRefused: true
            case .listening, .peerAllowed, .runRefused, .runBegun, .runFinished,
                .connectionClosed, .certificatesReloaded, .certificatesUnusable, .stopping,
                .stopped:
                false
            }
        }
    }

    var kind: Kind
    /// Where from: "10.0.0.2:40312".
    var peer: String?
    /// Of the peer's certificate.
    var subject: String?
    /// What the disk of this side is: "primary" or "replica".
    var role: Role?
    /// As the client has sent it.
    var path: String?
    var code: ReturnCode?
    /// What crossed the connection in both directions.
    var bytes: UInt64?
    var blocksDiffering: UInt64?
    var bytesRead: UInt64?
    var bytesWritten: UInt64?
    var seconds: Double?
    var message: String?

    init(_ kind: Kind, peer: String? = nil, subject: String? = nil, message: String? = nil) {
        self.kind = kind
        self.peer = peer
        self.subject = subject
        self.message = message
    }
}

extension AgentEvent: LogEvent {
    var line: LogLine {
        var line = LogLine(kind.rawValue, isOfStrangers: kind.isOfStrangers)
        line.add("peer", peer)
        line.add("subject", subject)
        line.add("role", role?.rawValue)
        line.add("path", path)
        line.add("code", code)
        line.add("bytes", bytes)
        line.add("blocksDiffering", blocksDiffering)
        line.add("bytesRead", bytesRead)
        line.add("bytesWritten", bytesWritten)
        line.add("seconds", seconds: seconds)
        line.add("message", message)
        return line
    }
}
