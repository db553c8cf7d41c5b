internal import Dispatch
internal import Storage
internal import Synchronization

/// The sending half of a channel, with a thread of its own.
final class FrameWriter: Sendable {
    let connection: any Connection
    let settings: ChannelSettings
    let queue: ConditionLock<OutgoingQueue>
    let bytesSent = Atomic<UInt64>(0)

    /// As much as is handed to the connection at once: frames that are queued together share it.
    private static let largestWrite = 256 << 10

    init(_ connection: any Connection, settings: ChannelSettings) {
        self.connection = connection
        self.settings = settings
        queue = ConditionLock(OutgoingQueue(pacer: Pacer(bytesPerSecond: settings.bytesPerSecond)))
    }

    func start() {
        DispatchQueue(label: "vhdresync.channel").async { [self] in run() }
    }

    private func run() {
        do throws(TransportError) {
            while let batch = nextBatch() { try write(batch) }
        } catch {
            queue.withLock { $0.fail(error) }
        }
    }

    /// Frames that go out together.
    private struct Batch {
        var frames: [Frame] = []
        var urgentCount = 0
        var orderedCount = 0
    }

    /// Waits for frames, or for the time of a sign of life; nil at the end.
    private func nextBatch() -> Batch? {
        let pause = max(settings.keepAliveSeconds, ChannelSettings.shortestKeepAliveSeconds)
        let next = MonotonicTime.now.advanced(bySeconds: pause)
        return queue.withLock(
            when: { $0.hasFrames || !$0.takesFrames }, orAt: next.nanoseconds
        ) { queue in
            guard queue.failure == nil, queue.hasFrames || !queue.isFinishing else { return nil }
            guard queue.hasFrames else { return Batch(frames: [queue.makeKeepAlive()]) }
            var batch = Batch()
            // With a limit there is less in one batch, so that urgent frames need not wait long.
            var room = queue.pacer.pieceByteCount(atMost: Self.largestWrite)
            while room > 0, let (frame, isUrgent) = queue.removeFirst() {
                room -= frame.byteCount
                batch.frames.append(frame)
                if isUrgent { batch.urgentCount += 1 } else { batch.orderedCount += 1 }
            }
            return batch
        }
    }

    private func write(_ batch: Batch) throws(TransportError) {
        var buffer: [UInt8] = []
        let byteCount = batch.frames.reduce(0) { $0 + $1.byteCount }
        buffer.reserveCapacity(min(byteCount, Self.largestWrite))
        for frame in batch.frames {
            var checksum = CRC32C()
            let header = frame.header
            checksum.update(header.rawSpan)
            try add(header.rawSpan, to: &buffer)
            checksum.update(frame.payload.rawSpan)
            try add(frame.payload.rawSpan, to: &buffer)
            try add(Frame.trailer(checksum).rawSpan, to: &buffer)
        }
        try send(buffer.rawSpan)
        queue.withLock { queue in
            queue.urgent.sentCount += batch.urgentCount
            queue.ordered.sentCount += batch.orderedCount
        }
    }

    /// Adds bytes to the buffer, and sends it each time it is full.
    private func add(_ bytes: RawSpan, to buffer: inout [UInt8]) throws(TransportError) {
        var position = 0
        while position < bytes.byteCount {
            let count = min(Self.largestWrite - buffer.count, bytes.byteCount - position)
            buffer.append(bytes.extracting(position..<(position + count)))
            position += count
            guard buffer.count == Self.largestWrite else { continue }
            try send(buffer.rawSpan)
            buffer.removeAll(keepingCapacity: true)
        }
    }

    /// Hands bytes to the connection, as fast as the limit allows.
    private func send(_ bytes: RawSpan) throws(TransportError) {
        var done = 0
        while done < bytes.byteCount {
            let count = try waitForTurn(atMost: bytes.byteCount - done)
            try connection.send(bytes.extracting(done..<(done + count)))
            done += count
            bytesSent.add(UInt64(count), ordering: .relaxed)
            queue.withLock { $0.countSent(byteCount: count) }
        }
    }

    /// Waits until something may be sent, and counts it as sent.
    private func waitForTurn(atMost limit: Int) throws(TransportError) -> Int {
        var turn: MonotonicTime?
        while true {
            let byteCount = try queue.withLock(
                when: { queue in
                    // Looked at again after each change: the limit may be another one now.
                    queue.failure != nil
                        || queue.pacer.time(
                            for: queue.pacer.pieceByteCount(atMost: limit), now: .now) == nil
                },
                orAt: turn?.nanoseconds ?? 0
            ) { queue throws(TransportError) -> Int? in
                if let failure = queue.failure { throw failure }
                let now = MonotonicTime.now
                let count = queue.pacer.pieceByteCount(atMost: limit)
                turn = queue.pacer.time(for: count, now: now)
                guard turn == nil else { return nil }
                queue.pacer.count(count, now: now)
                return count
            }
            if let byteCount { return byteCount }
        }
    }
}
