import TestSupport
import Transport

/// Two ends that speak TLS.
enum TLSPair {
    static func good() throws -> (TLSConnection, TLSConnection) {
        let certificates = try Certificates.shared.get()
        return try TLSPair.make(
            client: certificates.context("client"), server: certificates.context("server"))
    }

    static func make(
        client: TLSContext, server: TLSContext, host: String = "localhost"
    ) throws -> (TLSConnection, TLSConnection) {
        let (accepting, listener) = try serve(server)
        let connected = try TLSConnection.connect(
            host: host, port: listener.port, context: client, timeoutSeconds: 10)
        return (connected, try accepting.value())
    }

    /// A server that takes one client.
    static func serve(
        _ context: TLSContext, timeoutSeconds: Double = 10
    ) throws -> (Background<TLSConnection>, TCPListener) {
        let listener = try TCPListener(address: ListenAddress(host: "", port: 0))
        let accepting = Background {
            guard let tcp = try listener.accept() else { throw ConnectionKind.Failure.nobody }
            return try TLSConnection.accept(tcp, context: context, timeoutSeconds: timeoutSeconds)
        }
        return (accepting, listener)
    }
}
