internal import Glibc

/// Waits for others to connect.
public final class TCPListener: Sendable {
    /// The port, which the system chose where the address had none.
    public let port: UInt16
    private let name: String
    private let descriptors: StreamDescriptors

    /// How long to wait where the system lacks what a connection takes: others must end first.
    private static let pauseSeconds = 0.1

    /// Listens on an address. One of IPv6 that stands for the whole machine serves IPv4 as well.
    public init(address: ListenAddress) throws(TransportError) {
        name = "\(address)"
        var failure = TransportError.unknownHost(host: address.host, reason: "it has no address")
        var listener: Int32?
        for candidate in try SocketAddress.addresses(toListenOn: address) where listener == nil {
            do throws(TransportError) {
                listener = try TCPSocket.listen(on: candidate, name: name)
            } catch {
                failure = error
            }
        }
        guard let listener else { throw failure }
        port = TCPSocket.localAddress(of: listener)?.port ?? address.port
        descriptors = StreamDescriptors(reading: listener, writing: listener, peerName: name)
    }

    /// Waits for the next connection.
    ///
    /// - Returns: nil after ``stop()``.
    /// - Throws: what ends the listening for good. A client that gives up, or a system that has no
    ///   descriptor or memory left for now, does not.
    public func accept() throws(TransportError) -> TCPConnection? {
        guard let listener = try? descriptors.enter(.reading) else { return nil }
        defer { descriptors.leave(.reading) }
        while !descriptors.isClosed {
            switch TCPSocket.accept(from: listener) {
            case .success((let socket, let address)):
                return TCPConnection(owning: socket, peerName: address?.text ?? "unknown")
            case .failure(let failure):
                guard try waits(after: failure.errno, on: listener) else { return nil }
            }
        }
        return nil
    }

    /// Whether to try again: false once the listening was stopped.
    private func waits(after errno: Int32, on listener: Int32) throws(TransportError) -> Bool {
        switch errno {
        case EAGAIN:
            return try descriptors.wait(for: .reading, on: listener, until: nil) != .closed
        case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
            EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT:
            // What is wrong with one client, accept(2) reports as its own failure.
            return true
        case EMFILE, ENFILE, ENOMEM, ENOBUFS:
            let end = MonotonicTime.now.advanced(bySeconds: Self.pauseSeconds)
            // No descriptor is looked at but the one that wakes: the listener would be ready.
            return try descriptors.wait(for: .reading, on: -1, until: end) != .closed
        default:
            if descriptors.isClosed { return false }
            throw .system(operation: "accept on", peer: name, errno: errno)
        }
    }

    /// Ends the listening, from any thread. Connections that were accepted go on.
    public func stop() {
        descriptors.close()
    }
}
