internal import Resync
internal import Transport

// Runs over two hosts: what went wrong with the connection or with the other side, and what is known
// of a replica there.

extension ErrorSentence {
    /// What happened. What the other side does is said with its name in front.
    var cause: String {
        switch error {
        case .protocolViolation, .unsupportedProtocol:
            (remote.map { "\($0.host): " } ?? "") + "\(error)"
        default:
            "\(error)"
        }
    }

    /// What the user may do about a connection.
    var remoteRemedy: String {
        guard let remote else { return "" }
        switch error {
        case .connection(.programFailed(_, status: 127)):
            return "'--remote-command' says how vhdresync is started there"
        case .connection(.programMissing):
            return "'--rsh' says which program reaches other hosts"
        case .connection(.invalidFrame):
            return "what prints something there, like a login script, breaks the connection"
        case .connection(let error) where remote.retryCount == 0 && error.isWorthAnotherCall:
            return "'--retry N' calls again, up to N times"
        case .protocolViolation, .unsupportedProtocol:
            return "'vhdresync --version' tells on both hosts whether they have the same"
        case .unknownOutcome:
            return "run the same command again: it finds out, and finishes what is not finished"
        default:
            return ""
        }
    }

    /// What an error means for a replica on another host.
    var remoteConsequence: String {
        guard let remote, remote.role == .replica, !options.isDryRun else { return "" }
        switch error {
        case .peer(_, let failure):
            return consequence(of: failure, on: remote.host)
        case .unknownOutcome:
            return "the replica is as it was, or reads as the primary, or refuses to open until a "
                + "run has finished it"
        default:
            // Where nobody has answered, nothing was begun.
            guard disk.counts.bytesReceived > 0 else { return "" }
            return "\(remote.host) finishes what it has begun to write, and keeps what it has "
                + "received: the same command goes on from there"
        }
    }

    /// The other side's sentence says it in its own words, unless it is of another kind.
    private func consequence(of failure: PeerFailure, on host: String) -> String {
        switch failure.condition {
        case .foundHalfWritten, .halfWritten:
            failure.text.contains("half-written")
                ? "" : "the replica on \(host) is half-written until a run has finished it"
        case .written:
            failure.text.contains("replica") ? "" : "the replica on \(host) was written before that"
        case .untouched: ""
        }
    }
}

extension TransportError {
    /// Whether the same call may succeed at another time.
    fileprivate var isWorthAnotherCall: Bool {
        switch self {
        case .system, .unknownHost, .unreachable, .timedOut, .ended, .closed, .programFailed, .tls:
            true
        case .refused, .credentials, .invalidFrame, .invalidAddress, .programMissing, .outOfMemory:
            false
        }
    }
}
