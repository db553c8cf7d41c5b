internal import Resync

/// How fast a run goes now, and how long its phase will still take: averages over the last seconds.
struct RateEstimator {
    /// Long enough to smooth a device that stalls, short enough to follow a disk that begins with
    /// data and ends with empty space.
    private static let windowSeconds = 10.0
    /// A shorter time says nothing.
    private static let shortestSeconds = 0.5

    private struct Point {
        var seconds: Double
        var bytesRead: UInt64
        var bytesWritten: UInt64
        var bytesSent: UInt64
        var bytesDone: UInt64
    }

    private var phase: ResyncPhase?
    private var diskNumber = 1
    private var points: [Point] = []
    private var bytesToDo: UInt64 = 0

    mutating func add(_ sample: ProgressSample) {
        if sample.phase != phase || sample.diskNumber != diskNumber {
            (phase, diskNumber) = (sample.phase, sample.diskNumber)
            points.removeAll(keepingCapacity: true)
        }
        bytesToDo = sample.counts.bytesToDo
        points.append(
            Point(
                seconds: sample.elapsedSeconds, bytesRead: sample.counts.bytesRead,
                bytesWritten: sample.counts.bytesWritten,
                bytesSent: sample.counts.bytesSent,
                bytesDone: sample.counts.bytesDone))
        let start = sample.elapsedSeconds - Self.windowSeconds
        // The last point before the window stays, so that the window is covered.
        while points.count > 2, points[1].seconds <= start { points.removeFirst() }
    }

    /// Content that is read from the disks in a second; nil while it is unknown.
    var bytesReadPerSecond: Double? {
        rate(\.bytesRead)
    }

    /// Content that is written to the replica in a second; nil while it is unknown.
    var bytesWrittenPerSecond: Double? {
        rate(\.bytesWritten)
    }

    /// What crosses the connection from the primary in a second; nil while it is unknown.
    var bytesSentPerSecond: Double? {
        rate(\.bytesSent)
    }

    /// What the phase is through with in a second; nil while it is unknown.
    var bytesDonePerSecond: Double? {
        rate(\.bytesDone)
    }

    /// Seconds until the phase ends, if it goes on like this; nil while that is unknown.
    var secondsLeft: Double? {
        guard let rate = bytesDonePerSecond, rate > 0, let last = points.last else { return nil }
        return Double(bytesToDo - min(last.bytesDone, bytesToDo)) / rate
    }

    private func rate(_ bytes: KeyPath<Point, UInt64>) -> Double? {
        guard let first = points.first, let last = points.last else { return nil }
        let seconds = last.seconds - first.seconds
        guard seconds >= Self.shortestSeconds else { return nil }
        let count = last[keyPath: bytes] - min(first[keyPath: bytes], last[keyPath: bytes])
        return Double(count) / seconds
    }
}
