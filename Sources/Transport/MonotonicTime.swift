internal import Dispatch

/// A time of the monotonic clock, which nobody sets and which stands still while the system sleeps.
struct MonotonicTime: Comparable, Sendable {
    var nanoseconds: UInt64

    static var now: MonotonicTime {
        MonotonicTime(nanoseconds: DispatchTime.now().uptimeNanoseconds)
    }

    /// A century: longer waits are none that end.
    private static let longestSeconds = 3e9

    func advanced(bySeconds seconds: Double) -> MonotonicTime {
        let bounded = seconds > 0 ? min(seconds, Self.longestSeconds) : 0
        return MonotonicTime(nanoseconds: nanoseconds &+ UInt64(bounded * 1e9))
    }

    /// Seconds from another time to this one; negative where that is later.
    func seconds(since other: MonotonicTime) -> Double {
        (Double(nanoseconds) - Double(other.nanoseconds)) / 1e9
    }

    /// Milliseconds that are left until this time, as `poll(2)` wants them: never too few.
    var remainingMilliseconds: Int32 {
        let now = Self.now
        guard self > now else { return 0 }
        return Int32(clamping: (nanoseconds - now.nanoseconds + 999_999) / 1_000_000)
    }

    static func < (first: MonotonicTime, second: MonotonicTime) -> Bool {
        first.nanoseconds < second.nanoseconds
    }
}
