internal import Glibc
internal import Storage

/// What can go wrong between two processes.
public enum TransportError: Error, Equatable, Sendable {
    /// A call of the system failed.
    case system(operation: String, peer: String, errno: Int32)
    /// Nothing is known under the name of a host.
    case unknownHost(host: String, reason: String)
    /// No connection could be made.
    case unreachable(peer: String, errno: Int32)
    /// The other side did nothing for so long.
    case timedOut(peer: String, seconds: Double)
    /// The other side ended in the midst of something.
    case ended(peer: String)
    /// This side has ended the connection.
    case closed
    /// One side does not accept the other's certificate.
    case refused(peer: String, reason: String)
    /// Anything else that is wrong with TLS: a peer that speaks something else, for one.
    case tls(peer: String, reason: String)
    /// A certificate, a key or a file of authorities cannot be read or used.
    case credentials(path: String, reason: String)
    /// The other side sent what is no frame.
    case invalidFrame(peer: String, what: String)
    /// The text is no place of a disk and no address. The reason is a clause.
    case invalidAddress(String)
    /// A program that carries the stream ended with a status other than 0, or with 128 and the
    /// number of a signal.
    case programFailed(command: String, status: Int32)
    /// A program could not be started.
    case programMissing(command: String, errno: Int32)
    case outOfMemory
    /// Somebody listens at the path of a socket.
    case occupied(path: String)
    /// What stands under the path of a socket is none.
    case inTheWay(path: String)
}

extension TransportError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop, and without control characters:
    /// parts of it may be the other side's.
    public var description: String { sentence.printable }

    private var sentence: String {
        switch self {
        case .system(let operation, let peer, let errno):
            "cannot \(operation) \(peer): \(String(describingErrno: errno))"
        case .unknownHost(let host, let reason):
            "cannot find the host \(host): \(reason)"
        case .unreachable(let peer, let errno):
            "cannot reach \(peer): \(String(describingErrno: errno))"
        case .timedOut(let peer, let seconds):
            "no sign of life from \(peer) for \(Self.text(seconds)) s"
        case .ended(let peer):
            "the connection with \(peer) broke off"
        case .closed:
            "the connection was closed"
        case .refused(let peer, let reason):
            "no trust between this side and \(peer): \(reason)"
        case .tls(let peer, let reason):
            "no secure connection with \(peer): \(reason)"
        case .credentials(let path, let reason):
            "cannot use \(path): \(reason)"
        case .invalidFrame(let peer, let what):
            "\(peer) sent an invalid frame: \(what)"
        case .invalidAddress(let reason):
            reason
        case .programFailed(let command, let status):
            "\(command) \(Self.text(programStatus: status))"
        case .programMissing(let command, let errno):
            "cannot start \(command): \(String(describingErrno: errno))"
        case .outOfMemory:
            "out of memory"
        case .occupied(let path):
            "another program listens at \(path)"
        case .inTheWay(let path):
            "cannot listen at \(path): something else is there, and no socket"
        }
    }

    private static func text(_ seconds: Double) -> String {
        seconds == seconds.rounded() && abs(seconds) < 1e15 ? "\(Int(seconds))" : "\(seconds)"
    }

    private static func text(programStatus status: Int32) -> String {
        switch status {
        case 127: "ended with status 127: the other side does not know the command"
        case 129...192: "was ended by signal \(status - 128)"
        default: "ended with status \(status)"
        }
    }
}

extension TransportError {
    /// What an error number means on a connection that was there.
    static func lost(_ operation: String, _ peer: String, _ errno: Int32) -> TransportError {
        switch errno {
        case ECONNRESET, EPIPE, ECONNABORTED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN,
            ENETRESET, ENOTCONN:
            .ended(peer: peer)
        case ENOMEM, ENOBUFS:
            .outOfMemory
        default:
            .system(operation: operation, peer: peer, errno: errno)
        }
    }

    /// Whether nobody listens at the path of a socket.
    public var isNobodyListening: Bool {
        guard case .unreachable(_, let errno) = self else { return false }
        return errno == ECONNREFUSED || errno == ENOENT
    }

    /// Whether the system does not let this user connect.
    public var isForbidden: Bool {
        guard case .unreachable(_, let errno) = self else { return false }
        return errno == EACCES || errno == EPERM
    }
}
