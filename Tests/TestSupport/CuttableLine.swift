internal import Dispatch
internal import Storage
internal import Transport

/// A line between two processes that a test can cut: it passes on what comes to its port, and does
/// what it was told when so many bytes have passed.
package final class CuttableLine: Sendable {
    package enum Direction: CaseIterable, Sendable {
        case toServer, toClient
    }

    fileprivate struct Trap {
        var direction: Direction
        var byteCount: UInt64
        var action: @Sendable () -> Void
    }

    fileprivate struct State {
        var serverPort: UInt16
        var connections: [TCPConnection] = []
        var connectionCount = 0
        var byteCounts: [Direction: UInt64] = [:]
        var trap: Trap?
    }

    /// Where clients connect to.
    package let port: UInt16
    private let listener: TCPListener
    private let state: Lock<State>

    /// A line to a server at a port of 127.0.0.1.
    package init(to serverPort: UInt16) throws {
        listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        port = listener.port
        state = Lock(State(serverPort: serverPort))
        let (listener, state) = (listener, state)
        DispatchQueue(label: "test.line").async {
            while let client = try? listener.accept() { Self.connect(client, state) }
        }
    }

    deinit {
        listener.stop()
        cut()
    }

    /// How many connections the server has got since the line leads to it.
    package var connectionCount: Int { state.withLock { $0.connectionCount } }

    /// What has passed since the last trap was laid or taken away.
    package func byteCount(_ direction: Direction) -> UInt64 {
        state.withLock { $0.byteCounts[direction, default: 0] }
    }

    /// Connections that come from now on are with another server.
    package func lead(to serverPort: UInt16) {
        state.withLock { ($0.serverPort, $0.connectionCount) = (serverPort, 0) }
    }

    /// Does something when so many more bytes have passed in a direction, and before any other.
    package func setTrap(
        _ direction: Direction, after byteCount: UInt64, _ action: @escaping @Sendable () -> Void
    ) {
        state.withLock { state in
            state.byteCounts = [:]
            state.trap = Trap(direction: direction, byteCount: byteCount, action: action)
        }
    }

    package func removeTrap() {
        state.withLock { ($0.byteCounts, $0.trap) = ([:], nil) }
    }

    /// Ends all connections at once. Others may come.
    package func cut() {
        Self.cut(state)
    }

    private static func cut(_ state: Lock<State>) {
        let connections = state.withLock { state in
            defer { state.connections = [] }
            return state.connections
        }
        for connection in connections { connection.close() }
    }

    private static func connect(_ client: TCPConnection, _ state: Lock<State>) {
        let port = state.withLock { $0.serverPort }
        let server: TCPConnection
        do throws(TransportError) {
            server = try TCPConnection.connect(host: "127.0.0.1", port: port, timeoutSeconds: 10)
        } catch {
            return client.close()
        }
        state.withLock { state in
            state.connections += [client, server]
            state.connectionCount += 1
        }
        for (direction, from, to) in [
            (Direction.toServer, client, server), (.toClient, server, client),
        ] {
            DispatchQueue(label: "test.line").async { pass(direction, from, to, state) }
        }
    }

    /// Passes bytes on until one side ends, which ends the other.
    private static func pass(
        _ direction: Direction, _ from: TCPConnection, _ to: TCPConnection, _ state: Lock<State>
    ) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        do throws(TransportError) {
            while true {
                var count = 0
                try buffer.withMutableRawSpan { (span) throws(TransportError) in
                    count = try from.receive(into: &span, timeoutSeconds: nil)
                }
                guard count > 0 else { return to.finish(timeoutSeconds: 10) }
                let (passing, action) = state.withLock { $0.note(count, direction) }
                if passing > 0 { try to.send(buffer.rawSpan.extracting(0..<passing)) }
                action?()
                if passing < count { try to.send(buffer.rawSpan.extracting(passing..<count)) }
            }
        } catch {
            from.close()
            to.close()
        }
    }
}

extension CuttableLine.State {
    /// Counts bytes that have come.
    ///
    /// - Returns: how many of them pass before the trap acts, and what that does where it does.
    fileprivate mutating func note(
        _ count: Int, _ direction: CuttableLine.Direction
    ) -> (passing: Int, action: (@Sendable () -> Void)?) {
        let before = byteCounts[direction, default: 0]
        byteCounts[direction] = before + UInt64(count)
        guard let trap, trap.direction == direction, before + UInt64(count) >= trap.byteCount
        else { return (count, nil) }
        self.trap = nil
        return (Int(trap.byteCount - min(before, trap.byteCount)), trap.action)
    }
}
