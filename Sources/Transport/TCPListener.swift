/// Waits for others to connect.
public final class TCPListener: Sendable {
    /// The port, which the system chose where the address had none.
    public let port: UInt16
    private let descriptors: StreamDescriptors

    /// Listens on an address. One of IPv6 that stands for the whole machine serves IPv4 as well.
    public init(address: ListenAddress) throws(TransportError) {
        let name = "\(address)"
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
                guard try descriptors.waits(afterAccepting: failure.errno, on: listener) else {
                    return nil
                }
            }
        }
        return nil
    }

    /// Ends the listening, from any thread. Connections that were accepted go on.
    public func stop() {
        descriptors.close()
    }
}
