public import FoundationEssentials

/// The clocks that a job reads: one for people, one for durations.
public struct JobClock: Sendable {
    /// The date and time of day.
    public var date: @Sendable () -> Date
    /// Time since some fixed instant; it never goes back.
    public var uptime: @Sendable () -> Duration

    /// Clocks that a test can set.
    public init(date: @escaping @Sendable () -> Date, uptime: @escaping @Sendable () -> Duration) {
        self.date = date
        self.uptime = uptime
    }

    /// The system's clocks.
    public static let system: JobClock = {
        let origin = ContinuousClock.now
        return JobClock(date: { Date.now }, uptime: { ContinuousClock.now - origin })
    }()
}
