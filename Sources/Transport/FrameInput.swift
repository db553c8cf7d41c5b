internal import Storage

/// The receiving half of a channel: bytes that came, and the frames in them.
struct FrameInput: Sendable {
    private var decoder: FrameDecoder
    private let peerName: String
    private var buffer: [UInt8] = []
    private var start = 0
    private var end = 0
    private(set) var hasEnded = false
    var failure: TransportError?

    /// Signs of life that the other side may still send before they count as a flood.
    private var keepAliveAllowance = Self.keepAlivesPerSecond
    private var allowanceTime = MonotonicTime.now

    private static let bufferByteCount = 256 << 10
    private static let keepAlivesPerSecond = 100.0

    init(decoder: FrameDecoder, peerName: String) {
        self.decoder = decoder
        self.peerName = peerName
    }

    var isInsideFrame: Bool { decoder.isInsideFrame }

    /// The next frame of what has come, or nil where more is needed.
    mutating func take() throws(TransportError) -> Frame? {
        guard start < end else { return nil }
        let bytes = buffer
        var position = start
        defer { start = position }
        return try decoder.next(from: bytes.rawSpan.extracting(0..<end), at: &position)
    }

    /// Waits for bytes, once ``take()`` has none left.
    ///
    /// - Returns: how many came; 0 at an orderly end.
    mutating func fill(
        from connection: any Connection, timeoutSeconds: Double
    ) throws(TransportError) -> Int {
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferByteCount) }
        var count = 0
        try buffer.withMutableRawSpan { buffer throws(TransportError) in
            count = try connection.receive(into: &buffer, timeoutSeconds: timeoutSeconds)
        }
        start = 0
        end = count
        hasEnded = count == 0
        return count
    }

    /// Notes that frames are received again. Signs of life that came while nobody received may
    /// be many, and all right.
    mutating func resume() {
        let now = MonotonicTime.now
        keepAliveAllowance += now.seconds(since: allowanceTime) * Self.keepAlivesPerSecond
        allowanceTime = now
    }

    /// - Throws: ``TransportError/invalidFrame(peer:what:)`` for a flood of them.
    mutating func countKeepAlive() throws(TransportError) {
        let now = MonotonicTime.now
        if keepAliveAllowance < Self.keepAlivesPerSecond {
            let new = now.seconds(since: allowanceTime) * Self.keepAlivesPerSecond
            keepAliveAllowance = min(keepAliveAllowance + new, Self.keepAlivesPerSecond)
        }
        allowanceTime = now
        keepAliveAllowance -= 1
        guard keepAliveAllowance >= 0 else {
            throw .invalidFrame(peer: peerName, what: "too many signs of life in a second")
        }
    }
}
