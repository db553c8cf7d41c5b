/// How fast a count grows: the average over the last seconds.
package struct MovingRate: Sendable {
    /// Long enough to smooth a device that stalls, short enough to follow a disk that begins with
    /// data and ends with empty space.
    private static let windowSeconds = 10.0
    /// A shorter time says nothing.
    private static let shortestSeconds = 0.5

    private struct Point {
        var count: Double
        var seconds: Double
    }

    private var points: [Point] = []

    package init() {}

    /// Notes a count, and when it was that.
    package mutating func add(_ count: Double, atSeconds seconds: Double) {
        points.append(Point(count: count, seconds: seconds))
        // The last point before the window stays, so that the window is covered.
        while points.count > 2, points[1].seconds <= seconds - Self.windowSeconds {
            points.removeFirst()
        }
    }

    /// What was before no longer counts.
    package mutating func forget() {
        points.removeAll(keepingCapacity: true)
    }

    /// Nil while it is unknown; 0 for a count that has fallen.
    package var perSecond: Double? {
        guard let first = points.first, let last = points.last else { return nil }
        let seconds = last.seconds - first.seconds
        guard seconds >= Self.shortestSeconds else { return nil }
        return max(last.count - first.count, 0) / seconds
    }
}
