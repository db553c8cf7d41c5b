internal import Storage
internal import Synchronization
public import Transport

/// Another host, and the connection with it, which runs on several disks share.
public final class RemotePeer: Sendable {
    /// What to call it in a message: "backup-host".
    public let name: String
    private let settings: ChannelSettings
    private let connect: @Sendable () throws(TransportError) -> any Connection
    private let current = Lock<PeerChannel?>(nil)
    /// What crossed the connections that are over.
    private let former = Lock<(sent: UInt64, received: UInt64)>((0, 0))

    /// A host that is called when it is needed first, and again when the connection broke.
    public init(
        name: String, settings: ChannelSettings,
        connect: @escaping @Sendable () throws(TransportError) -> any Connection
    ) {
        self.name = name
        self.settings = settings
        self.connect = connect
    }

    /// What crossed all connections so far, in bytes.
    public var traffic: (sent: UInt64, received: UInt64) {
        let former = former.withLock { $0 }
        let channel = current.withLock { $0 }
        return (
            former.sent + (channel?.bytesSent ?? 0), former.received + (channel?.bytesReceived ?? 0)
        )
    }

    /// Ends the connection.
    public func close() {
        drop { $0.finish() }
    }

    /// The connection that is there, or a new one, on which this side has greeted.
    ///
    /// - Returns: also whether it is new, so that the other side's greeting comes first.
    func channel() throws(ResyncError) -> (channel: PeerChannel, isNew: Bool) {
        if let channel = current.withLock({ $0 }) { return (channel, false) }
        let connection: any Connection
        do throws(TransportError) {
            connection = try connect()
        } catch {
            throw .connection(error)
        }
        let channel = PeerChannel(connection, settings: settings)
        channel.send(.hello(Hello()))
        current.withLock { $0 = channel }
        return (channel, true)
    }

    /// Gives up a connection that is of no more use.
    func drop(_ end: (PeerChannel) -> Void = { $0.close() }) {
        let channel = current.withLock { current in
            defer { current = nil }
            return current
        }
        guard let channel else { return }
        end(channel)
        former.withLock { former in
            former.sent += channel.bytesSent
            former.received += channel.bytesReceived
        }
    }
}
