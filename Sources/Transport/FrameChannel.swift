internal import Storage
internal import Synchronization

/// How a channel behaves.
public struct ChannelSettings: Sendable {
    /// After so long without another frame the other side gets a sign of life.
    public var keepAliveSeconds = 10.0
    /// After so long without a byte the other side counts as dead.
    public var idleTimeoutSeconds = 60.0
    /// How many bytes to send in a second; nil for no limit.
    public var bytesPerSecond: UInt64?
    /// How many bytes may be queued before a sender of bulk has to wait.
    public var bulkByteLimit = 16 << 20

    public init() {}

    public init(
        keepAliveSeconds: Double = 10, idleTimeoutSeconds: Double = 60,
        bytesPerSecond: UInt64? = nil, bulkByteLimit: Int = 16 << 20
    ) {
        self.keepAliveSeconds = keepAliveSeconds
        self.idleTimeoutSeconds = idleTimeoutSeconds
        self.bytesPerSecond = bytesPerSecond
        self.bulkByteLimit = bulkByteLimit
    }

    /// More often would be what the other side takes for a flood.
    static let shortestKeepAliveSeconds = 0.02
}

/// Frames to another process and back, over a connection that the channel owns.
///
/// A thread of the channel's own sends, so that callers wait only where they want to. All calls but
/// ``receive()`` may come from any thread.
public final class FrameChannel: Sendable {
    private let connection: any Connection
    private let settings: ChannelSettings
    private let writer: FrameWriter
    private let input: Lock<FrameInput>
    private let receivedByteCount = Atomic<UInt64>(0)

    /// Starts to send signs of life at once.
    ///
    /// - Parameters:
    ///   - connection: what carries the frames; the channel closes it.
    ///   - settings: times and limits.
    ///   - maximumPayload: the limit for the payload of a kind of frame that is received; nil for a
    ///     kind that there is none of.
    public init(
        _ connection: any Connection, settings: ChannelSettings,
        maximumPayload: @escaping @Sendable (UInt8) -> Int?
    ) {
        self.connection = connection
        self.settings = settings
        let decoder = FrameDecoder(peerName: connection.peerName, maximumPayload: maximumPayload)
        input = Lock(FrameInput(decoder: decoder, peerName: connection.peerName))
        writer = FrameWriter(connection, settings: settings)
        writer.start()
    }

    deinit {
        close()
    }

    /// What to call the other side in a message.
    public var peerName: String { connection.peerName }

    /// Bytes that were handed to the connection, of frames and of signs of life.
    public var bytesSent: UInt64 { writer.bytesSent.load(ordering: .relaxed) }

    /// Bytes that came from the connection.
    public var bytesReceived: UInt64 { receivedByteCount.load(ordering: .relaxed) }

    /// Bytes of frames that are not yet handed to the connection.
    public var queuedByteCount: Int { writer.queue.peek { $0.byteCount } }

    /// Changes the limit, at once; nil for none.
    public func setBytesPerSecond(_ bytesPerSecond: UInt64?) {
        writer.queue.withLock { $0.pacer.bytesPerSecond = bytesPerSecond }
    }
}

// MARK: - Sending

extension FrameChannel {
    /// Queues a frame behind those before it, and returns at once. After a failure it is dropped.
    public func send(_ frame: Frame) {
        writer.queue.withLock { $0.add(frame, urgently: false) }
    }

    /// Queues a frame before all that are not urgent and that are not being sent yet.
    public func sendUrgent(_ frame: Frame) {
        writer.queue.withLock { $0.add(frame, urgently: true) }
    }

    /// Queues a frame behind those before it, and waits while too many bytes are queued.
    ///
    /// - Throws: what ended the sending, if that happened.
    public func sendBulk(_ frame: consuming Frame) throws(TransportError) {
        let limit = settings.bulkByteLimit
        let frame = frame
        try writer.queue.withLock(when: { $0.byteCount <= limit || !$0.takesFrames }) {
            queue throws(TransportError) in
            if let failure = queue.failure { throw failure }
            if queue.isFinishing { throw .closed }
            queue.add(frame, urgently: false)
        }
    }

    /// Waits until everything that is queued now is handed to the connection.
    ///
    /// - Throws: what ended the sending, if that happened.
    public func flush() throws(TransportError) {
        let (urgentCount, orderedCount) = writer.queue.peek {
            ($0.urgent.addedCount, $0.ordered.addedCount)
        }
        try writer.queue.withLock(
            when: { queue in
                queue.failure != nil
                    || queue.urgent.sentCount >= urgentCount
                        && queue.ordered.sentCount >= orderedCount
            }
        ) { queue throws(TransportError) in
            if let failure = queue.failure { throw failure }
        }
    }
}

// MARK: - Receiving

extension FrameChannel {
    /// Waits for a frame. One thread.
    ///
    /// Where the sending has failed, what the other side sent before is still received, for as long
    /// as silence would be borne: it may say why.
    ///
    /// - Returns: nil where the other side has ended orderly, between two frames.
    /// - Throws: ``TransportError/ended(peer:)`` where it ended inside a frame,
    ///   ``TransportError/timedOut(peer:seconds:)`` where it was silent for too long,
    ///   ``TransportError/invalidFrame(peer:what:)`` where it sent what is none; from then on the
    ///   same each time. After an invalid frame this side can still send, to say so.
    public func receive() throws(TransportError) -> Frame? {
        try input.withLock { input throws(TransportError) in
            if let failure = input.failure { throw failure }
            input.resume()
            do throws(TransportError) {
                return try next(&input)
            } catch {
                input.failure = reason(for: error)
                throw input.failure ?? error
            }
        }
    }

    /// What ends the channel, where receiving has failed.
    private func reason(for error: TransportError) -> TransportError {
        // With this side still able to send, it can say so.
        if case .invalidFrame = error { return error }
        return writer.queue.withLock { queue in
            // A shorter wait than else, for the last words of a peer that could not be sent to.
            if case .timedOut = error, let failure = queue.failure { return failure }
            queue.fail(error)
            return error
        }
    }

    private func next(_ input: inout FrameInput) throws(TransportError) -> Frame? {
        while true {
            while let frame = try input.take() {
                if frame.kind != Frame.keepAliveKind { return frame }
                try input.countKeepAlive()
            }
            if input.hasEnded { return nil }
            let count = try input.fill(from: connection, timeoutSeconds: try timeoutSeconds())
            guard count > 0 else {
                guard !input.isInsideFrame else { throw .ended(peer: connection.peerName) }
                return nil
            }
            receivedByteCount.add(UInt64(count), ordering: .relaxed)
        }
    }

    /// How long to wait for the next bytes.
    private func timeoutSeconds() throws(TransportError) -> Double {
        let (failure, time) = writer.queue.peek { ($0.failure, $0.failureTime) }
        guard let failure, let time else { return settings.idleTimeoutSeconds }
        // A peer that sends and never reads must not be listened to for ever.
        let left = settings.idleTimeoutSeconds - MonotonicTime.now.seconds(since: time)
        guard left > 0, failure != .closed else { throw failure }
        return left
    }
}

// MARK: - End

extension FrameChannel {
    /// Ends everything at once. Callers that wait get ``TransportError/closed``.
    public func close() {
        writer.queue.withLock { $0.fail(.closed) }
        connection.close()
    }

    /// Sends what is queued, for as long as silence would be borne, and closes the connection in
    /// such a way that it arrives. What is sent meanwhile is dropped, what comes is thrown away.
    ///
    /// Where the other side has answered all of it, nothing has to be confirmed.
    public func finish(isAnswered: Bool = false) {
        let deadline = MonotonicTime.now.advanced(bySeconds: settings.idleTimeoutSeconds)
        writer.queue.withLock { $0.isFinishing = true }
        let isSent = writer.queue.withLock(
            when: { $0.isSent || $0.failure != nil }, orAt: deadline.nanoseconds
        ) { $0.failure == nil && $0.isSent }
        if isSent {
            let timeoutSeconds = deadline.seconds(since: .now)
            if isAnswered {
                connection.finishAnswered(timeoutSeconds: timeoutSeconds)
            } else {
                connection.finish(timeoutSeconds: timeoutSeconds)
            }
        }
        close()
    }
}
