internal import Storage

/// A connection over two descriptors that it owns: pipes, or one socket.
public final class DescriptorConnection: Connection {
    public let peerName: String
    private let descriptors: StreamDescriptors
    private let sendTimeout: Lock<Double>

    /// Takes the descriptors over; both may be one socket.
    ///
    /// Pipes and terminals are made non-blocking, and get their flags back at the end: other
    /// processes may share them. Sockets keep theirs.
    public init(
        reading: Int32, writing: Int32, peerName: String,
        sendTimeoutSeconds: Double = defaultSendTimeoutSeconds
    ) {
        self.peerName = peerName
        descriptors = StreamDescriptors(reading: reading, writing: writing, peerName: peerName)
        sendTimeout = Lock(sendTimeoutSeconds)
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

    public func finish(timeoutSeconds: Double) {
        descriptors.finish(timeoutSeconds: timeoutSeconds, mode: .delivered)
    }

    public func close() {
        descriptors.close()
    }
}
