internal import FoundationEssentials
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
        /// Lines that are not there.
        case linesLeftOut = "lines-left-out"

        /// Whether someone causes it whom nobody has let in.
        var isOfStrangers: Bool {
            switch self {
            case .connectionRefused, .handshakeFailed, .peerRefused: true
            case .listening, .peerAllowed, .runRefused, .runBegun, .runFinished,
                .connectionClosed, .certificatesReloaded, .certificatesUnusable, .stopping,
                .stopped, .linesLeftOut:
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

    static func more(_ count: Int, _ kind: Kind) -> AgentEvent {
        AgentEvent(.linesLeftOut, message: "\(count) more: \(kind.rawValue)")
    }

    static func lost(_ count: Int) -> AgentEvent {
        AgentEvent(.linesLeftOut, message: "\(count) lost: nobody reads them fast enough")
    }
}

// MARK: - Lines

extension AgentEvent {
    /// Characters of a text that somebody else made: longer ones are cut.
    private static let longestText = 1024

    private enum Value {
        case text(String)
        case number(String)
    }

    /// What is known, in the order of a line.
    private var fields: [(name: String, value: Value)] {
        var fields: [(String, Value)] = []
        func add(_ name: String, _ text: String?) {
            if let text { fields.append((name, .text(Self.harmless(text)))) }
        }
        func add(_ name: String, _ number: UInt64?) {
            if let number { fields.append((name, .number("\(number)"))) }
        }
        add("peer", peer)
        add("subject", subject)
        add("role", role?.rawValue)
        add("path", path)
        add("code", code.map { UInt64($0.rawValue) })
        add("bytes", bytes)
        add("blocksDiffering", blocksDiffering)
        add("bytesRead", bytesRead)
        add("bytesWritten", bytesWritten)
        if let seconds {
            let thousandths = UInt64((max(0, min(seconds, 1e12)) * 1000).rounded())
            let rest = String(thousandths % 1000 + 1000).dropFirst()
            fields.append(("seconds", .number("\(thousandths / 1000).\(rest)")))
        }
        add("message", message)
        return fields
    }

    /// One line: a word for the event and `name=value` pairs, or a JSON object.
    func line(_ format: AgentLog.Format, at date: Date) -> String {
        let time = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        switch format {
        case .text:
            let pairs = fields.map { name, value in
                switch value {
                case .text(let text): "\(name)=\(Self.quoted(text))"
                case .number(let number): "\(name)=\(number)"
                }
            }
            return ([time, kind.rawValue] + pairs).joined(separator: " ")
        case .json:
            let first = ["\"time\":\"\(time)\"", "\"event\":\"\(kind.rawValue)\""]
            let pairs = fields.map { name, value in
                switch value {
                case .text(let text): "\"\(name)\":\(Self.quoted(text))"
                case .number(let number): "\"\(name)\":\(number)"
                }
            }
            return "{" + (first + pairs).joined(separator: ",") + "}"
        }
    }

    /// A text that steers no terminal and has one line: what has no shape of its own is written out.
    static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(longestText) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate,
                .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > longestText ? result + "…" : result
    }

    /// In quotes, as JSON has it.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
