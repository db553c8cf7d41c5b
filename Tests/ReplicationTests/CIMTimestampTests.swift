import Foundation
import Testing

@testable import Replication

@Suite("CIM points in time, intervals, and dates")
struct CIMTimestampTests {
    static let berlin = TimeZone(identifier: "Europe/Berlin") ?? .gmt

    private func date(_ text: String, _ zone: TimeZone = .gmt) throws -> Date? {
        try CIMTimestamp(parsing: text).date(inZoneOfServer: zone)
    }

    private func instant(_ text: String) throws -> Date {
        try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: false))
    }

    @Test("The offset is minutes east of Greenwich")
    func offsets() throws {
        #expect(try date("20260101020000.000000-480") == instant("2026-01-01T10:00:00Z"))
        #expect(try date("20260101020000.000000+330") == instant("2025-12-31T20:30:00Z"))
        #expect(
            try date("20260101020000.000000+000", Self.berlin) == instant("2026-01-01T02:00:00Z"))
        #expect(try date("20260101020000.******+000") == instant("2026-01-01T02:00:00Z"))
    }

    @Test("Microseconds are kept")
    func microseconds() throws {
        for year in [1900, 1969, 1970, 2000, 2001, 2026, 2200] {
            for microsecond in [0, 1, 499_999, 500_000, 999_999] {
                for offset in ["+000", "-999", "+999", "+001"] {
                    let text = "\(year)1231235959.\(microsecond.digits(6))\(offset)"
                    let read = try CIMTimestamp(parsing: text)
                    let date = try #require(read.date(inZoneOfServer: .gmt))
                    let minutes = try #require(read.offsetMinutes)
                    #expect("\(CIMTimestamp(date, offsetMinutes: minutes))" == text)
                }
            }
        }
    }

    @Test("Every day of four centuries is as the calendar has it, and those around the ends")
    func days() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let spans = [-135_140...10_957, -719_528 ... -719_000, 2_932_000...2_932_896]
        for number in spans.joined() {
            let day = CalendarDay(daysSince1970: number)
            #expect(day.daysSince1970 == number)
            guard number > -130_000, number.isMultiple(of: 7) || number > 2_932_800 else {
                continue
            }
            let date = Date(timeIntervalSince1970: Double(number) * 86400)
            let parts = calendar.dateComponents([.year, .month, .day], from: date)
            #expect([day.year, day.month, day.day] == [parts.year, parts.month, parts.day])
        }
        #expect(CalendarDay(daysSince1970: -719_528) == CalendarDay(year: 0, month: 1, day: 1))
        #expect(
            CalendarDay(daysSince1970: 2_932_896) == CalendarDay(year: 9999, month: 12, day: 31))
    }

    @Test("A date that the form cannot say becomes the nearest that it can")
    func farDates() {
        let first = "00000101000000.000000+000"
        let last = "99991231235959.999999+000"
        for seconds in [-1e11, -1e15, -1e300, -Double.infinity, -.greatestFiniteMagnitude, .nan] {
            #expect("\(CIMTimestamp(Date(timeIntervalSince1970: seconds)))" == first, "\(seconds)")
        }
        for seconds in [1e12, 1e15, 1e300, Double.infinity, .greatestFiniteMagnitude] {
            #expect("\(CIMTimestamp(Date(timeIntervalSince1970: seconds)))" == last, "\(seconds)")
        }
        #expect("\(CIMTimestamp(.distantPast))" == "00001230000000.000000+000")
        #expect("\(CIMTimestamp(.distantFuture))" == "40010101000000.000000+000")
        // The offset leads past the end.
        #expect(
            "\(CIMTimestamp(Date(timeIntervalSince1970: 1e15), offsetMinutes: 60))"
                == "99991231235959.999999+060")
        #expect(
            "\(CIMTimestamp(Date(timeIntervalSince1970: -1e15), offsetMinutes: -60))"
                == "00000101000000.000000-060")
    }

    @Test("Dates at the ends are there, in each zone")
    func ends() throws {
        for text in ["00000101000000.000000", "99991231235959.999999"] {
            for zone in TimeZone.knownTimeZoneIdentifiers.compactMap(TimeZone.init(identifier:)) {
                for offset in ["+000", "+999", "-999", "+***"] {
                    #expect(try date(text + offset, zone) != nil)
                }
            }
        }
    }

    @Test("Where a field but microseconds and offset is missing, there is no date")
    func incomplete() throws {
        for places in [0..<4, 4..<6, 6..<8, 8..<10, 10..<12, 12..<14] {
            var characters = Array("20260101020000.000000+000")
            for place in places { characters[place] = "*" }
            #expect(try date(String(characters)) == nil)
        }
    }

    @Test("An interval is a duration of microseconds, from nothing to the longest")
    func intervals() {
        let cases: [(Duration, String)] = [
            (.zero, "00000000000000.000000:000"), (.seconds(-1), "00000000000000.000000:000"),
            (.nanoseconds(-1), "00000000000000.000000:000"),
            (.nanoseconds(999), "00000000000000.000000:000"),
            (.nanoseconds(1999), "00000000000000.000001:000"),
            (.seconds(300), "00000000000500.000000:000"),
            (.seconds(131_432), "00000001123032.000000:000"),
            (.milliseconds(1500), "00000000000001.500000:000"),
            (.seconds(8_639_999_999_999), "99999999235959.000000:000"),
            (.seconds(8_640_000_000_000), "99999999235959.999999:000"),
            (.seconds(Int64.max), "99999999235959.999999:000"),
            (.seconds(Int64.min), "00000000000000.000000:000"),
        ]
        for (duration, text) in cases {
            #expect("\(CIMInterval(duration))" == text)
        }
        #expect(CIMInterval(CIMInterval.longest.duration) == .longest)
    }

    @Test("Without an offset the server's clocks count, on the days of their change as well")
    func localClocks() throws {
        let cases = [
            ("20260115120000.000000+***", "2026-01-15T11:00:00Z"),
            ("20260715120000.000000+***", "2026-07-15T10:00:00Z"),
            // On 29 March 02:00 becomes 03:00, on 25 October 03:00 becomes 02:00.
            ("20260329015959.000000+***", "2026-03-29T00:59:59Z"),
            ("20260329020000.000000+***", "2026-03-29T01:00:00Z"),
            ("20260329023000.000000+***", "2026-03-29T01:00:00Z"),
            ("20260329030000.000000+***", "2026-03-29T01:00:00Z"),
            ("20260329033000.000000+***", "2026-03-29T01:30:00Z"),
            ("20261025015959.000000+***", "2026-10-24T23:59:59Z"),
            ("20261025020000.000000+***", "2026-10-25T00:00:00Z"),
            ("20261025023000.000000+***", "2026-10-25T00:30:00Z"),
            ("20261025030000.000000+***", "2026-10-25T02:00:00Z"),
        ]
        for (text, expected) in cases {
            #expect(try date(text, Self.berlin) == instant(expected), "\(text)")
        }
        let apia = try #require(TimeZone(identifier: "Pacific/Apia"))
        // 30 December 2011 did not take place.
        #expect(try date("20111230120000.000000+***", apia) == instant("2011-12-30T10:00:00Z"))
    }

    @Test("Every hour of a year is shown by clocks at an instant that shows it")
    func everyHour() throws {
        let zones = [
            "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "America/Havana",
            "Africa/Casablanca", "Antarctica/Troll", "Africa/Cairo", "UTC",
        ]
        let start = try instant("2026-01-01T00:00:00Z")
        for name in zones {
            let zone = try #require(TimeZone(identifier: name))
            var doubled = 0
            var skipped = 0
            for hour in 0..<(366 * 24) {
                let shown = start.addingTimeInterval(Double(hour) * 3600)
                let (first, last) = zone.dates(atWhichClocksShow: shown)
                if first != last { doubled += 1 }
                if zone.clocks(at: first) != shown {
                    skipped += 1
                    #expect(zone.clocks(at: first.addingTimeInterval(-1)) < shown, "\(name)")
                    #expect(zone.clocks(at: first) > shown, "\(name)")
                }
                #expect(zone.clocks(at: last) == zone.clocks(at: first), "\(name)")
            }
            #expect(doubled == skipped, "\(name)")
        }
    }
}
