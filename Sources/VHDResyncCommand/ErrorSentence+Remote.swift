internal import Replication
internal import Resync
internal import Transport

// Runs over two hosts: what may be done where something is wrong with the connection or with the
// other side.

extension ErrorSentence {
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
}

extension TransportError {
    /// Whether the same call may succeed at another time.
    fileprivate var isWorthAnotherCall: Bool {
        switch self {
        case .system, .unknownHost, .unreachable, .timedOut, .ended, .closed, .programFailed, .tls:
            true
        case .refused, .credentials, .invalidFrame, .invalidAddress, .programMissing, .outOfMemory,
            .occupied, .inTheWay:
            false
        }
    }
}
