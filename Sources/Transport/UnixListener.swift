/// Waits for others on this host to connect to a path.
public final class UnixListener: Sendable {
    /// Who has connected.
    public struct Client: Sendable {
        public var connection: DescriptorConnection
        /// Nil where the system does not say.
        public var user: SystemUser?
    }

    public let path: String
    private let identity: UnixSocket.Identity?
    private let descriptors: StreamDescriptors

    /// Makes the socket, for this user alone. What a listener that is no more has left under the path is
    /// replaced.
    ///
    /// - Throws: ``TransportError/occupied(path:)`` where somebody listens there;
    ///   ``TransportError/invalidAddress(_:)`` where no address holds the path.
    public init(path: String) throws(TransportError) {
        try UnixSocket.check(path)
        if let found = UnixSocket.identity(of: path) {
            guard found.isSocket else { throw .inTheWay(path: path) }
            guard Self.isDead(path) else { throw .occupied(path: path) }
            try UnixSocket.remove(path)
        }
        let listener = try UnixSocket.listen(at: path)
        self.path = path
        identity = UnixSocket.identity(of: path)
        descriptors = StreamDescriptors(reading: listener, writing: listener, peerName: path)
    }

    /// Whether nobody listens at a socket.
    private static func isDead(_ path: String) -> Bool {
        do throws(TransportError) {
            let connection = try DescriptorConnection.connect(toPath: path, timeoutSeconds: 1)
            connection.close()
            return false
        } catch {
            return error.isNobodyListening
        }
    }

    /// Waits for the next connection.
    ///
    /// - Returns: nil after ``stop()``.
    /// - Throws: what ends the listening for good.
    public func accept() throws(TransportError) -> Client? {
        guard let listener = try? descriptors.enter(.reading) else { return nil }
        defer { descriptors.leave(.reading) }
        while !descriptors.isClosed {
            // The socket itself may block.
            guard try descriptors.wait(for: .reading, on: listener, until: nil) != .closed else {
                return nil
            }
            switch UnixSocket.accept(from: listener) {
            case .success(let socket):
                return Client(
                    connection: DescriptorConnection(
                        reading: socket, writing: socket, peerName: path),
                    user: UnixSocket.peerUser(of: socket).map(SystemUser.init))
            case .failure(let failure):
                guard try descriptors.waits(afterAccepting: failure.errno, on: listener) else {
                    return nil
                }
            }
        }
        return nil
    }

    /// Ends the listening, from any thread, and removes the socket, where it is still this one.
    /// Connections that were accepted go on.
    public func stop() {
        if let identity, UnixSocket.identity(of: path) == identity {
            try? UnixSocket.remove(path)
        }
        descriptors.close()
    }
}

extension DescriptorConnection {
    /// Connects to a socket of this host.
    ///
    /// - Throws: ``TransportError/unreachable(peer:errno:)``; ``TransportError/invalidAddress(_:)``.
    public static func connect(
        toPath path: String, timeoutSeconds: Double
    ) throws(TransportError) -> DescriptorConnection {
        let socket = try UnixSocket.connect(to: path, timeoutSeconds: timeoutSeconds)
        return DescriptorConnection(reading: socket, writing: socket, peerName: path)
    }
}
