internal import Resync

/// How fast a run goes now, and how long its phase will still take: averages over the last seconds.
public struct RateEstimator: Sendable {
    private var phase: ResyncPhase?
    private var diskNumber = 1
    private var read = MovingRate()
    private var written = MovingRate()
    private var sent = MovingRate()
    private var done = MovingRate()
    private var bytesLeft: UInt64 = 0

    package init() {}

    package mutating func add(_ sample: ProgressSample) {
        if sample.phase != phase || sample.diskNumber != diskNumber {
            (phase, diskNumber) = (sample.phase, sample.diskNumber)
            read.forget()
            written.forget()
            sent.forget()
            done.forget()
        }
        let counts = sample.counts
        let seconds = sample.elapsedSeconds
        read.add(Double(counts.bytesRead), atSeconds: seconds)
        written.add(Double(counts.bytesWritten), atSeconds: seconds)
        sent.add(Double(counts.bytesSent), atSeconds: seconds)
        done.add(Double(counts.bytesDone), atSeconds: seconds)
        bytesLeft = counts.bytesToDo - min(counts.bytesDone, counts.bytesToDo)
    }

    /// Content that is read from the disks in a second; nil while it is unknown.
    public var bytesReadPerSecond: Double? { read.perSecond }

    /// Content that is written to the replica in a second; nil while it is unknown.
    public var bytesWrittenPerSecond: Double? { written.perSecond }

    /// What crosses the connection from the primary in a second; nil while it is unknown.
    public var bytesSentPerSecond: Double? { sent.perSecond }

    /// What the phase is through with in a second; nil while it is unknown.
    public var bytesDonePerSecond: Double? { done.perSecond }

    /// Seconds until the phase ends, if it goes on like this; nil while that is unknown.
    public var secondsLeft: Double? {
        guard let rate = bytesDonePerSecond, rate > 0 else { return nil }
        return Double(bytesLeft) / rate
    }
}
