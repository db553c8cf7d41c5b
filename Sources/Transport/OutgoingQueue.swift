internal import Storage

/// Frames that wait to be sent, in two rows, of which the urgent one goes first.
struct OutgoingQueue: Sendable {
    /// One row, first in, first out. Counts tell when all that was in it at some time was sent.
    struct Row: Sendable {
        private var frames: [Frame] = []
        private var head = 0
        private(set) var addedCount = 0
        /// Frames that were handed to the connection as a whole.
        var sentCount = 0

        var isEmpty: Bool { head == frames.count }

        mutating func add(_ frame: consuming Frame) {
            frames.append(frame)
            addedCount += 1
        }

        mutating func removeFirst() -> Frame? {
            guard !isEmpty else { return nil }
            let frame = frames[head]
            // The queue must not hold the payload any longer.
            frames[head] = .keepAlive
            head += 1
            if head == frames.count || head > 1024 {
                frames.removeFirst(head)
                head = 0
            }
            return frame
        }

        mutating func removeAll() {
            frames = []
            head = 0
        }
    }

    var urgent = Row()
    var ordered = Row()
    /// Bytes of frames that are not yet handed to the connection; 0 after a failure.
    private(set) var byteCount = 0
    var pacer: Pacer
    /// Why nothing is sent any more.
    private(set) var failure: TransportError?
    private(set) var failureTime: MonotonicTime?
    /// Nothing is taken any more; what is there is still sent.
    var isFinishing = false

    init(pacer: Pacer) {
        self.pacer = pacer
    }

    var hasFrames: Bool { !urgent.isEmpty || !ordered.isEmpty }
    var takesFrames: Bool { failure == nil && !isFinishing }
    var isSent: Bool { byteCount == 0 }

    mutating func add(_ frame: consuming Frame, urgently: Bool) {
        guard takesFrames else { return }
        byteCount += frame.byteCount
        if urgently { urgent.add(frame) } else { ordered.add(frame) }
    }

    /// The frame that is next in turn, and whether it is an urgent one.
    mutating func removeFirst() -> (frame: Frame, isUrgent: Bool)? {
        if let frame = urgent.removeFirst() { return (frame, true) }
        if let frame = ordered.removeFirst() { return (frame, false) }
        return nil
    }

    /// A sign of life, which goes out at once.
    mutating func makeKeepAlive() -> Frame {
        byteCount += Frame.keepAlive.byteCount
        return .keepAlive
    }

    mutating func countSent(byteCount: Int) {
        if failure == nil { self.byteCount -= byteCount }
    }

    /// Ends the sending for the first reason that is given, and forgets what waits.
    mutating func fail(_ reason: TransportError) {
        guard failure == nil else { return }
        failure = reason
        failureTime = .now
        urgent.removeAll()
        ordered.removeAll()
        byteCount = 0
    }
}
