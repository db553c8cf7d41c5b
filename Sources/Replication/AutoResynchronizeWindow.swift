public import FoundationEssentials

/// When a relationship that needs it is resynchronized without being asked:
/// `Msvm_ReplicationSettingData.AutoResynchronizeEnabled`, `AutoResynchronizeIntervalStart` and
/// `AutoResynchronizeIntervalEnd`.
///
/// The window opens once a day when the server's clocks first show its start, and closes when they
/// have last shown its end, whose second belongs to it: 00:00:00 to 23:59:59 is always. A window
/// that ends before it starts goes over midnight, and one that ends where it starts lasts a day. Of
/// a window that begins in an hour which clocks skip, the start is when they do; one that lies
/// wholly in that hour does not open that day.
public struct AutoResynchronizeWindow: Equatable, Sendable {
    public var isEnabled: Bool
    /// A time of day.
    public let start: CIMInterval
    /// A time of day.
    public let end: CIMInterval

    private static let secondsInDay: TimeInterval = 86400

    /// - Throws: ``AutoResynchronizeWindowError``.
    public init(
        isEnabled: Bool, start: CIMInterval, end: CIMInterval
    ) throws(AutoResynchronizeWindowError) {
        for time in [start, end] where time.duration >= .seconds(Self.secondsInDay) {
            throw .notATimeOfDay(time)
        }
        self.init(isEnabled, start, end)
    }

    private init(_ isEnabled: Bool, _ start: CIMInterval, _ end: CIMInterval) {
        (self.isEnabled, self.start, self.end) = (isEnabled, start, end)
    }

    /// The class's defaults: not enabled; from 18:30 to 06:00.
    public static let unlessSaid = AutoResynchronizeWindow(
        false, CIMInterval(.seconds(18 * 3600 + 30 * 60)), CIMInterval(.seconds(6 * 3600)))

    public static let always = AutoResynchronizeWindow(
        true, CIMInterval(.zero), CIMInterval(.seconds(secondsInDay - 1)))

    /// Whether the window is open at an instant, in the server's zone.
    public func contains(_ date: Date, in zone: TimeZone) -> Bool {
        openings(onDays: -2...1, from: date, in: zone).contains { $0.contains(date) }
    }

    /// The instant itself if the window is open, and otherwise the next one at which it opens. Nil
    /// if it is not enabled, and thousands of years from now.
    public func nextOpening(at date: Date, in zone: TimeZone) -> Date? {
        contains(date, in: zone) ? date : opening(after: date, in: zone)
    }

    /// The next instant at which it opens, whether it is open now or not. Nil as above.
    func opening(after date: Date, in zone: TimeZone) -> Date? {
        // It may not open on a day or two, but never for a week.
        openings(onDays: 0...7, from: date, in: zone).map(\.lowerBound).filter { $0 > date }.min()
    }

    /// When the window is open that begins on these days; 0 is what clocks show at the date.
    private func openings(
        onDays days: ClosedRange<Int>, from date: Date, in zone: TimeZone
    ) -> [Range<Date>] {
        guard isEnabled, abs(date.timeIntervalSince1970) < TimeZone.farthest else { return [] }
        let shown = zone.clocks(at: date).timeIntervalSince1970
        let today = (shown / Self.secondsInDay).rounded(.down)
        return days.compactMap { opening(onDay: today + Double($0), in: zone) }
    }

    /// When the window is open that begins on a day, counted from 1 January 1970; nil for never.
    private func opening(onDay day: Double, in zone: TimeZone) -> Range<Date>? {
        let midnight = Date(timeIntervalSince1970: day * Self.secondsInDay)
        let (first, last) = (start.duration / .seconds(1), end.duration / .seconds(1))
        let length = last > first ? last : last + Self.secondsInDay
        let opens = zone.dates(atWhichClocksShow: midnight.addingTimeInterval(first)).first
        let closes = zone.dates(atWhichClocksShow: midnight.addingTimeInterval(length + 1)).last
        return opens < closes ? opens..<closes : nil
    }
}

/// Why a window cannot be.
public enum AutoResynchronizeWindowError: Error, Equatable {
    /// A start or an end of a day or more.
    case notATimeOfDay(CIMInterval)
}

extension AutoResynchronizeWindowError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notATimeOfDay(let interval): "\(interval) is not a time of day"
        }
    }
}

extension ReturnCode {
    /// The code of settings with such a window.
    public init(_ error: AutoResynchronizeWindowError) {
        switch error {
        case .notATimeOfDay: self = .invalidParameter
        }
    }
}
