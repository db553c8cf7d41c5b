/// Spreads what is sent over time, so that it stays within a rate.
///
/// Each byte moves the time at which all before it would have been sent at the rate. That time
/// may be ahead of the clock by the burst, a tenth of a second, and no more: so any span of time
/// carries its own share and a tenth of a second's worth at most. Time in which nothing was sent is
/// not made up for.
struct Pacer: Sendable {
    /// Bytes in a second; nil for no limit.
    var bytesPerSecond: UInt64? {
        didSet { sentUntil = nil }
    }
    /// When all that was sent would have been sent at the rate.
    private var sentUntil: MonotonicTime?

    private static let burstSeconds = 0.1
    /// Pieces of half a burst leave no gap while the next one is waited for.
    private static let pieceSeconds = 0.05

    init(bytesPerSecond: UInt64?) {
        self.bytesPerSecond = bytesPerSecond
    }

    /// How many bytes to send at once at most.
    func pieceByteCount(atMost limit: Int) -> Int {
        guard let rate else { return limit }
        return max(1, Int(min(Double(limit), rate * Self.pieceSeconds)))
    }

    /// The time from which on so many bytes may be sent; nil for at once.
    func time(for byteCount: Int, now: MonotonicTime) -> MonotonicTime? {
        guard let rate, let sentUntil else { return nil }
        let excess = sentUntil.seconds(since: now) + Double(byteCount) / rate - Self.burstSeconds
        // A byte that takes longer than the burst waits until all before it are through.
        let wait = min(excess, sentUntil.seconds(since: now))
        return wait > 0 ? now.advanced(bySeconds: wait) : nil
    }

    /// Notes that bytes are sent now.
    mutating func count(_ byteCount: Int, now: MonotonicTime) {
        guard let rate else { return }
        sentUntil = max(sentUntil ?? now, now).advanced(bySeconds: Double(byteCount) / rate)
    }

    /// No rate is 0: that would be a stop.
    private var rate: Double? { bytesPerSecond.map { Double(max($0, 1)) } }
}
