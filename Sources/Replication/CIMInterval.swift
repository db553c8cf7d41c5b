/// A CIM `datetime` that is an interval: `ddddddddHHMMSS.mmmmmm:000`.
public struct CIMInterval: Hashable, Sendable {
    /// In whole microseconds, which is what the form can say.
    public let microseconds: Int64

    /// 99999999 days, 23:59:59.999999.
    public static let longest = CIMInterval(microseconds: 8_640_000_000_000_000_000 - 1)

    private static let microsecondsInSecond: Int64 = 1_000_000

    private init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Of a duration; what is less than a microsecond is left out. One below zero becomes none, and
    /// one that the form cannot say the longest.
    public init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard duration > .zero else {
            self.init(microseconds: 0)
            return
        }
        guard seconds <= Self.longest.microseconds / Self.microsecondsInSecond else {
            self = .longest
            return
        }
        self.init(
            microseconds: seconds * Self.microsecondsInSecond + attoseconds / 1_000_000_000_000)
    }

    init(_ reader: CIMFieldReader) throws(CIMDateTimeError) {
        let days = try reader.number(.days, at: 0..<8, in: 0...99_999_999)
        let hours = try reader.number(.hour, at: 8..<10, in: 0...23)
        let minutes = try reader.number(.minute, at: 10..<12, in: 0...59)
        let seconds = try reader.number(.second, at: 12..<14, in: 0...59)
        try reader.expect(".", at: CIMDateTime.pointPlace)
        let fraction = try reader.number(.microsecond, at: 15..<21, in: 0...999_999)
        try reader.expect(":", at: CIMDateTime.signPlace)
        for place in 22..<CIMDateTime.characterCount { try reader.expect("0", at: place) }
        let total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        microseconds = Int64(total) * Self.microsecondsInSecond + Int64(fraction)
    }

    /// - Throws: ``CIMDateTimeError``; a point in time is an unexpected character in place 21.
    public init(parsing text: String) throws(CIMDateTimeError) {
        try self.init(try CIMFieldReader(text))
    }

    public var duration: Duration {
        .seconds(microseconds / Self.microsecondsInSecond)
            + .microseconds(microseconds % Self.microsecondsInSecond)
    }
}

extension CIMInterval: CustomStringConvertible {
    /// The 25 characters.
    public var description: String {
        let (seconds, fraction) = microseconds.quotientAndRemainder(
            dividingBy: Self.microsecondsInSecond)
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400)
        return days.digits(8) + (hours % 24).digits(2) + (minutes % 60).digits(2)
            + (seconds % 60).digits(2) + "." + fraction.digits(6) + ":000"
    }
}
