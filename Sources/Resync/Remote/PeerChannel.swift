internal import Dispatch
internal import Storage
internal import Synchronization
public import Transport

/// Messages to the other side of a run and from it.
public final class PeerChannel: Sendable {
    private let frames: FrameChannel
    /// What to call the other side in a message.
    public let peerName: String
    private let hasEnded = Atomic<Bool>(false)
    /// Of the other side.
    private let greeting = Lock<Hello?>(nil)
    /// Whether the last message was the other side's answer to all before.
    private let isAnswered = Atomic<Bool>(false)

    /// A channel over a connection, which it owns.
    public init(_ connection: any Connection, settings: ChannelSettings) {
        peerName = connection.peerName
        frames = FrameChannel(connection, settings: settings) { kind in
            Message.Kind(rawValue: kind).map(Message.maximumByteCount)
        }
    }

    /// What crossed the connection, in bytes.
    public var bytesSent: UInt64 { frames.bytesSent }
    public var bytesReceived: UInt64 { frames.bytesReceived }

    /// Whether more records can be sent without waiting long.
    var hasRoom: Bool { frames.queuedByteCount < RemoteGeometry.queuedByteCount }

    func setBytesPerSecond(_ limit: UInt64) {
        if limit > 0 { frames.setBytesPerSecond(limit) }
    }

    /// Greets the other side, and learns which version both speak.
    ///
    /// - Throws: ``ResyncError/unsupportedProtocol(oldest:newest:)``.
    package func checkGreeting() throws(ResyncError) {
        guard case .hello(let hello) = try next() else {
            throw .protocolViolation("no greeting")
        }
        _ = try Hello().commonVersion(with: hello)
        greeting.withLock { $0 = hello }
    }

    /// Checks that the other side, which has greeted, speaks a version.
    ///
    /// - Throws: ``ResyncError/unsupportedProtocol(oldest:newest:)``.
    func check(version: UInt16) throws(ResyncError) {
        guard let hello = greeting.withLock({ $0 }) else {
            throw .protocolViolation("no greeting")
        }
        guard hello.version >= version else {
            throw .unsupportedProtocol(oldest: hello.oldest, newest: hello.version)
        }
    }

    func send(_ message: Message) {
        isAnswered.store(false, ordering: .releasing)
        frames.send(Frame(kind: message.kind.rawValue, payload: message.encoded()))
    }

    /// Before everything that waits to be sent.
    func sendUrgently(_ message: Message) {
        frames.sendUrgent(Frame(kind: message.kind.rawValue, payload: message.encoded()))
    }

    /// Waits until there is room.
    func sendWaiting(_ message: Message) throws(ResyncError) {
        do throws(TransportError) {
            try frames.sendBulk(Frame(kind: message.kind.rawValue, payload: message.encoded()))
        } catch {
            throw .connection(error)
        }
    }

    /// Waits until everything is handed to the system.
    func flush() throws(ResyncError) {
        do throws(TransportError) {
            try frames.flush()
        } catch {
            throw .connection(error)
        }
    }

    /// The next message; nil where the other side has ended between two of them.
    ///
    /// - Throws: ``ResyncError/peer(name:failure:)`` where it has failed.
    package func receive() throws(ResyncError) -> Message? {
        let frame: Frame?
        do throws(TransportError) {
            frame = try frames.receive()
        } catch {
            throw .connection(error)
        }
        guard let frame else { return nil }
        guard let kind = Message.Kind(rawValue: frame.kind) else {
            throw .protocolViolation("a message of kind \(frame.kind)")
        }
        let message = try Message(kind, frame.payload)
        if case .result = message { isAnswered.store(true, ordering: .releasing) }
        if case .failure(let failure) = message {
            throw .peer(name: peerName, failure: failure)
        }
        return message
    }

    /// The next message, which there must be.
    func next() throws(ResyncError) -> Message {
        guard let message = try receive() else { throw .connection(.ended(peer: peerName)) }
        return message
    }

    /// Tells the other side why this one cannot go on, and ends soon: what the other side has sent
    /// meanwhile is still taken, and dropped, so that it gets to know the reason.
    func end(telling failure: PeerFailure?) {
        guard !hasEnded.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if let failure { sendUrgently(.failure(failure)) }
        closeSoon()
    }

    /// Ends after some seconds, whatever the other side does.
    func closeSoon() {
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.secondsToEnd) { [frames] in
            frames.close()
        }
    }

    /// Takes what still comes until the other side has ended.
    func drain() {
        while (try? receive()) != nil {}
        frames.close()
    }

    /// Ends when everything was sent.
    public func finish() {
        hasEnded.store(true, ordering: .releasing)
        frames.finish(isAnswered: isAnswered.load(ordering: .acquiring))
    }

    /// Ends at once.
    public func close() {
        hasEnded.store(true, ordering: .releasing)
        frames.close()
    }

    private static let secondsToEnd = 5.0
}

/// What differs, on its way to the other side.
struct RecordSender: ~Copyable, RecordOutput {
    let channel: PeerChannel
    private(set) var endBlock: UInt64 = 0
    private(set) var byteCount: UInt64 = 0

    init(_ channel: PeerChannel) {
        self.channel = channel
    }

    var path: String { channel.peerName }

    mutating func append(_ records: borrowing DeltaRecordBuffer) throws(ResyncError) {
        guard records.recordCount > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: records.byteCount)
        records.withBytes { source in bytes.withMutableRawSpan { $0.copy(source) } }
        // Where it fails, another thread may try the same once more, and gets the same error.
        try channel.sendWaiting(.records(bytes))
        byteCount += UInt64(bytes.count)
        endBlock = records.endBlock
    }

    mutating func append(zeros blocks: Range<UInt64>) throws(ResyncError) {
        let bytes = DeltaRecord.encodedZeros(blocks)
        try channel.sendWaiting(.records(bytes))
        byteCount += UInt64(bytes.count)
        endBlock = blocks.upperBound
    }

    mutating func flush() throws(ResyncError) {}
}
