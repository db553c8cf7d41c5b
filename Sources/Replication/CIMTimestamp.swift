public import FoundationEssentials

/// A CIM `datetime` that is a point in time: `yyyymmddHHMMSS.mmmmmmsUUU`.
///
/// Asterisks in place of a whole field say that it is not given; it is nil here. Without an offset
/// the time is what the server's clocks show.
public struct CIMTimestamp: Hashable, Sendable {
    /// 0 to 9999.
    public let year: Int?
    public let month: Int?
    public let day: Int?
    public let hour: Int?
    public let minute: Int?
    /// 0 to 59: the form has no leap seconds.
    public let second: Int?
    public let microsecond: Int?
    /// East of Greenwich is positive. Up to 999, which no zone has: the form says no less.
    public let offsetMinutes: Int?

    init(_ reader: CIMFieldReader) throws(CIMDateTimeError) {
        year = try reader.numberIfAny(.year, at: 0..<4, in: 0...9999)
        month = try reader.numberIfAny(.month, at: 4..<6, in: 1...12)
        let dayCount = CalendarDay.count(ofMonth: month, in: year)
        day = try reader.numberIfAny(.day, at: 6..<8, in: 1...dayCount)
        hour = try reader.numberIfAny(.hour, at: 8..<10, in: 0...23)
        minute = try reader.numberIfAny(.minute, at: 10..<12, in: 0...59)
        second = try reader.numberIfAny(.second, at: 12..<14, in: 0...59)
        try reader.expect(".", at: CIMDateTime.pointPlace)
        microsecond = try reader.numberIfAny(.microsecond, at: 15..<21, in: 0...999_999)
        let sign = reader.character(at: CIMDateTime.signPlace)
        guard sign == "+" || sign == "-" else {
            throw .unexpectedCharacter(sign, at: CIMDateTime.signPlace)
        }
        let minutes = try reader.numberIfAny(
            .offset, at: 22..<CIMDateTime.characterCount, in: 0...999)
        offsetMinutes = minutes.map { sign == "-" ? -$0 : $0 }
    }

    /// - Throws: ``CIMDateTimeError``; an interval is an unexpected character in place 21.
    public init(parsing text: String) throws(CIMDateTimeError) {
        try self.init(try CIMFieldReader(text))
    }
}

// MARK: - Dates

extension CIMTimestamp {
    private static let microsecondsInDay: Int64 = 86_400_000_000
    /// From 1 January 1970 to 1 January 2001, from which dates count.
    private static let secondsBefore2001: Int64 = 978_307_200
    /// What the form can say, in microseconds since 1970.
    private static let microsecondRange: ClosedRange<Int64> = {
        let first = Int64(CalendarDay(year: 0, month: 1, day: 1).daysSince1970)
        let end = Int64(CalendarDay(year: 10_000, month: 1, day: 1).daysSince1970)
        return first * microsecondsInDay...end * microsecondsInDay - 1
    }()

    /// Of a date, as clocks show it so far from UTC. Rounded to microseconds; dates before the year
    /// 0 and after 9999 become the first and the last that the form can say.
    ///
    /// - Precondition: the offset has three digits.
    public init(_ date: Date, offsetMinutes: Int = 0) {
        precondition((-999...999).contains(offsetMinutes))
        let range = Self.microsecondRange
        let shown = Self.microseconds(date) + Int64(offsetMinutes) * 60_000_000
        let microseconds = min(max(shown, range.lowerBound), range.upperBound)
        let dayNumber = microseconds.flooredQuotient(Self.microsecondsInDay)
        let rest = Int(microseconds - dayNumber * Self.microsecondsInDay)
        let calendarDay = CalendarDay(daysSince1970: Int(dayNumber))
        (year, month, day) = (calendarDay.year, calendarDay.month, calendarDay.day)
        (hour, minute) = (rest / 3_600_000_000, rest / 60_000_000 % 60)
        (second, microsecond) = (rest / 1_000_000 % 60, rest % 1_000_000)
        self.offsetMinutes = offsetMinutes
    }

    /// Since 1970, and as many as the form can say.
    static func microseconds(_ date: Date) -> Int64 {
        let range = microsecondRange
        let seconds = date.timeIntervalSinceReferenceDate + Double(secondsBefore2001)
        // Not a number is not more than the first either.
        guard seconds * 1e6 > Double(range.lowerBound) else { return range.lowerBound }
        guard seconds * 1e6 < Double(range.upperBound) else { return range.upperBound }
        // From the date's own number, which says microseconds for centuries around 2001.
        return Int64((date.timeIntervalSinceReferenceDate * 1e6).rounded())
            + secondsBefore2001 * 1_000_000
    }

    /// Since 1970.
    static func date(microseconds: Int64) -> Date {
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return Date(
            timeIntervalSinceReferenceDate: Double(seconds - secondsBefore2001)
                + Double(rest) / 1e6)
    }

    /// The instant; microseconds that are not given are 0. Nil where another field is not given.
    ///
    /// A date is exact to the microsecond for some centuries around 2001, and to 32 in the year
    /// 9999.
    ///
    /// A time without an offset is what clocks in the server's zone show. What they skip is the
    /// instant at which they do, and what they show twice is the first of both.
    public func date(inZoneOfServer zone: TimeZone) -> Date? {
        guard let year, let month, let day, let hour, let minute, let second else { return nil }
        let days = Int64(CalendarDay(year: year, month: month, day: day).daysSince1970)
        let seconds = days * 86400 + Int64((hour * 60 + minute) * 60 + second)
        let shown = Self.date(microseconds: seconds * 1_000_000 + Int64(microsecond ?? 0))
        guard let offsetMinutes else { return zone.dates(atWhichClocksShow: shown).first }
        return shown.addingTimeInterval(TimeInterval(-60 * offsetMinutes))
    }
}

// MARK: - Text

extension CIMTimestamp: CustomStringConvertible {
    /// The 25 characters.
    public var description: String {
        let date = Self.text(year, 4) + Self.text(month, 2) + Self.text(day, 2)
        let time = Self.text(hour, 2) + Self.text(minute, 2) + Self.text(second, 2)
        let sign = (offsetMinutes ?? 0) < 0 ? "-" : "+"
        let offset = Self.text(offsetMinutes.map(abs), 3)
        return "\(date)\(time).\(Self.text(microsecond, 6))\(sign)\(offset)"
    }

    private static func text(_ number: Int?, _ count: Int) -> String {
        number?.digits(count) ?? String(repeating: "*", count: count)
    }
}
