import CSystem
import Glibc
import Storage
import TestSupport
import Transport

/// Each kind of connection, as two ends that are connected.
enum ConnectionKind: String, CaseIterable, Sendable {
    case inProcess, pipes, tcp, tls

    /// Two ends, and what has to live as long as they do.
    func pair() throws -> (any Connection, any Connection) {
        switch self {
        case .inProcess: try InProcessConnection.pair()
        case .pipes: try Self.pipes()
        case .tcp: try Self.tcp()
        case .tls: try TLSPair.good()
        }
    }

    private static func pipes() throws -> (any Connection, any Connection) {
        let (there, back) = (try makePipe(), try makePipe())
        return (
            DescriptorConnection(reading: back.0, writing: there.1, peerName: "right"),
            DescriptorConnection(reading: there.0, writing: back.1, peerName: "left")
        )
    }

    static func makePipe() throws -> (Int32, Int32) {
        var (reading, writing): (Int32, Int32) = (-1, -1)
        // Safe: the call fills in two numbers. Programs of other tests do not inherit these ends.
        let status = unsafe csystem_pipe(&reading, &writing)
        guard status == 0 else { throw Failure.system(status) }
        return (reading, writing)
    }

    static func tcp() throws -> (TCPConnection, TCPConnection) {
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        let accepted = Background { try listener.accept() }
        let client = try TCPConnection.connect(
            host: "127.0.0.1", port: listener.port, timeoutSeconds: 10)
        guard let server = try accepted.value() else { throw Failure.nobody }
        return (client, server)
    }

    enum Failure: Error {
        case system(Int32)
        case nobody
    }

    /// How long an end may take nothing.
    static func setSendTimeout(_ seconds: Double, of connection: any Connection) {
        switch connection {
        case let connection as DescriptorConnection: connection.sendTimeoutSeconds = seconds
        case let connection as ProgramConnection: connection.sendTimeoutSeconds = seconds
        case let connection as TCPConnection: connection.sendTimeoutSeconds = seconds
        case let connection as TLSConnection: connection.sendTimeoutSeconds = seconds
        default: fatalError("a connection without a limit")
        }
    }
}

extension Connection {
    func send(_ bytes: [UInt8]) throws(TransportError) {
        try send(bytes.rawSpan)
    }

    /// What comes next, of at most so many bytes; empty at an orderly end.
    func receive(atMost limit: Int, timeoutSeconds: Double? = 20) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        var count = 0
        try buffer.withMutableRawSpan { span throws(TransportError) in
            count = try receive(into: &span, timeoutSeconds: timeoutSeconds)
        }
        return Array(buffer.prefix(count))
    }

    /// All that comes until so many bytes are there, or the end is.
    func receive(exactly count: Int, pieces: Int = 1 << 16) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let piece = try receive(atMost: min(pieces, count - bytes.count))
            if piece.isEmpty { return bytes }
            bytes += piece
        }
        return bytes
    }
}
