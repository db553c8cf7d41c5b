internal import Glibc
internal import Storage

/// A TCP connection, without secrets.
public final class TCPConnection: Connection {
    public let peerName: String
    let socket: Int32
    let descriptors: StreamDescriptors
    private let sendTimeout = Lock(defaultSendTimeoutSeconds)

    /// Takes a connected socket over.
    init(owning socket: Int32, peerName: String) {
        self.peerName = peerName
        self.socket = socket
        descriptors = StreamDescriptors(reading: socket, writing: socket, peerName: peerName)
    }

    /// Connects to a host, with each of its addresses in turn.
    public static func connect(
        host: String, port: UInt16, timeoutSeconds: Double
    ) throws(TransportError) -> TCPConnection {
        let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        let bracketed = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        let peerName = "\(bracketed):\(port)"
        let addresses = try SocketAddress.addresses(ofHost: host, port: port, until: deadline)
        var failure = TransportError.unknownHost(host: host, reason: "it has no address")
        for (index, address) in addresses.enumerated() {
            // One address that does not answer must leave time for the others.
            let share = deadline.seconds(since: .now) / Double(addresses.count - index)
            do throws(TransportError) {
                let socket = try TCPSocket.connect(
                    to: address, peerName: peerName, until: .now.advanced(bySeconds: share))
                return TCPConnection(owning: socket, peerName: peerName)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// How long the other side may take nothing of what is sent.
    public var sendTimeoutSeconds: Double {
        get { sendTimeout.withLock { $0 } }
        set { sendTimeout.withLock { $0 = newValue } }
    }

    public func send(_ bytes: RawSpan) throws(TransportError) {
        try descriptors.send(bytes, timeoutSeconds: sendTimeoutSeconds)
    }

    public func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        try descriptors.receive(into: &buffer, timeoutSeconds: timeoutSeconds)
    }

    /// At once: a round trip would confirm what the other side has answered already.
    public func finishAnswered(timeoutSeconds: Double) {
        close()
    }

    public func finish(timeoutSeconds: Double) {
        descriptors.finish(timeoutSeconds: timeoutSeconds, mode: .delivered)
    }

    public func close() {
        descriptors.close()
    }
}
