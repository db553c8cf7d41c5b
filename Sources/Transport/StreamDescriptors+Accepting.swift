internal import Glibc

extension StreamDescriptors {
    /// How long to wait where the system lacks what a connection takes: others must end first.
    private static let pauseSeconds = 0.1

    /// Whether to try again to accept a connection: false once the listening was stopped.
    ///
    /// - Throws: what ends the listening for good.
    func waits(afterAccepting errno: Int32, on listener: Int32) throws(TransportError) -> Bool {
        switch errno {
        case EAGAIN:
            return try wait(for: .reading, on: listener, until: nil) != .closed
        case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
            EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT:
            // What is wrong with one client, accept(2) reports as its own failure.
            return true
        case EMFILE, ENFILE, ENOMEM, ENOBUFS:
            let end = MonotonicTime.now.advanced(bySeconds: Self.pauseSeconds)
            // No descriptor is looked at but the one that wakes: the listener would be ready.
            return try wait(for: .reading, on: -1, until: end) != .closed
        default:
            if isClosed { return false }
            throw .system(operation: "accept on", peer: peerName, errno: errno)
        }
    }
}
