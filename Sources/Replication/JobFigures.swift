/// What a resynchronization has compared and found so far. `Msvm_ConcreteJob` has none of it; it
/// stands beside the properties.
public struct JobFigures: Equatable, Sendable {
    /// Virtual bytes that were compared, and those that could be skipped.
    public var bytesCompared: UInt64
    /// Virtual bytes of the blocks that differ.
    public var bytesDiffering: UInt64
    /// What crossed the connection to the other side.
    public var bytesSent: UInt64

    public init(bytesCompared: UInt64 = 0, bytesDiffering: UInt64 = 0, bytesSent: UInt64 = 0) {
        self.bytesCompared = bytesCompared
        self.bytesDiffering = bytesDiffering
        self.bytesSent = bytesSent
    }
}

/// How fast a job goes, from what it reports.
struct JobPace: Sendable {
    private var share = 0.0
    private var shares = MovingRate()
    private var compared = MovingRate()
    private var sent = MovingRate()

    /// More than a century left is as good as unknown.
    private static let longestSecondsLeft = 4e9

    mutating func add(_ figures: JobFigures, share: Double, at time: Duration) {
        self.share = share
        let seconds = time / .seconds(1)
        shares.add(share, atSeconds: seconds)
        compared.add(Double(figures.bytesCompared), atSeconds: seconds)
        sent.add(Double(figures.bytesSent), atSeconds: seconds)
    }

    var bytesComparedPerSecond: Double? { compared.perSecond }
    var bytesSentPerSecond: Double? { sent.perSecond }

    /// Until the end of the work, if it goes on like this.
    var timeLeft: Duration? {
        guard let rate = shares.perSecond, rate > 0 else { return nil }
        let seconds = max(1 - share, 0) / rate
        return seconds < Self.longestSecondsLeft ? .seconds(seconds) : nil
    }
}
