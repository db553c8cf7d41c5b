import Foundation
import Testing

@testable import Replication

@Suite("The window of automatic resynchronizations")
struct AutoResynchronizeWindowTests {
    /// "183000" is 18:30.
    private func window(_ start: String, _ end: String) throws -> AutoResynchronizeWindow {
        try AutoResynchronizeWindow(
            isEnabled: true, start: CIMInterval(parsing: "00000000\(start).000000:000"),
            end: CIMInterval(parsing: "00000000\(end).000000:000"))
    }

    private func instant(_ text: String) throws -> Date {
        try Date(text, strategy: Date.ISO8601FormatStyle())
    }

    private func zone(_ name: String) throws -> TimeZone {
        try #require(TimeZone(identifier: name))
    }

    /// Instants in a zone, whether the window is open, and when it opens next.
    private func check(
        _ window: AutoResynchronizeWindow, _ zone: TimeZone,
        _ cases: [(at: String, opens: String)]
    ) throws {
        for (at, opens) in cases {
            let date = try instant(at)
            let isOpen = at == opens
            #expect(window.contains(date, in: zone) == isOpen, "\(at)")
            #expect(window.nextOpening(at: date, in: zone) == (try instant(opens)), "\(at)")
        }
    }

    @Test("The defaults are those of the class")
    func defaults() {
        let window = AutoResynchronizeWindow.unlessSaid
        #expect(!window.isEnabled)
        #expect("\(window.start)" == "00000000183000.000000:000")
        #expect("\(window.end)" == "00000000060000.000000:000")
        let always = AutoResynchronizeWindow.always
        #expect(always.isEnabled)
        #expect("\(always.start)" == "00000000000000.000000:000")
        #expect("\(always.end)" == "00000000235959.000000:000")
    }

    @Test("A start and an end are times of day")
    func timesOfDay() throws {
        let day = CIMInterval(.seconds(86400))
        let last = CIMInterval(.seconds(86400) - .microseconds(1))
        for (start, end) in [(day, last), (last, day), (CIMInterval.longest, last)] {
            let wrong = start == last ? end : start
            #expect(throws: AutoResynchronizeWindowError.notATimeOfDay(wrong)) {
                try AutoResynchronizeWindow(isEnabled: false, start: start, end: end)
            }
        }
        let error = AutoResynchronizeWindowError.notATimeOfDay(day)
        #expect("\(error)" == "00000001000000.000000:000 is not a time of day")
        #expect(ReturnCode(error) == .invalidParameter)
        _ = try AutoResynchronizeWindow(isEnabled: true, start: last, end: last)
    }

    @Test("A window that is not enabled never opens")
    func disabled() throws {
        var window = AutoResynchronizeWindow.always
        window.isEnabled = false
        for hour in 0..<48 {
            let date = try instant("2026-03-28T12:00:00Z").addingTimeInterval(Double(hour) * 3600)
            #expect(!window.contains(date, in: .gmt))
            #expect(window.nextOpening(at: date, in: .gmt) == nil)
        }
    }

    @Test("Within a day, the second of the end included")
    func withinADay() throws {
        try check(
            window("090000", "170000"), .gmt,
            [
                ("2026-01-01T08:59:59Z", "2026-01-01T09:00:00Z"),
                ("2026-01-01T09:00:00Z", "2026-01-01T09:00:00Z"),
                ("2026-01-01T17:00:00Z", "2026-01-01T17:00:00Z"),
                ("2026-01-01T17:00:01Z", "2026-01-02T09:00:00Z"),
            ])
        let lastMoment = try instant("2026-01-01T17:00:00Z").addingTimeInterval(0.999)
        #expect(try window("090000", "170000").contains(lastMoment, in: .gmt))
    }

    @Test("Over midnight, on local clocks")
    func overMidnight() throws {
        try check(
            window("183000", "060000"), zone("Asia/Kolkata"),
            [
                ("2026-01-01T12:59:59Z", "2026-01-01T13:00:00Z"),
                ("2026-01-01T13:00:00Z", "2026-01-01T13:00:00Z"),
                ("2026-01-01T18:30:00Z", "2026-01-01T18:30:00Z"),
                ("2026-01-02T00:30:00Z", "2026-01-02T00:30:00Z"),
                ("2026-01-02T00:30:01Z", "2026-01-02T13:00:00Z"),
            ])
    }

    @Test("A window that ends where it starts lasts a day")
    func wholeDay() throws {
        let window = try window("180000", "180000")
        for second in stride(from: 0, to: 3 * 86400, by: 1799) {
            let date = try instant("2026-03-28T00:00:00Z").addingTimeInterval(Double(second))
            #expect(window.contains(date, in: try zone("Europe/Berlin")))
        }
    }

    @Test("On the day on which clocks go forward")
    func spring() throws {
        let berlin = try zone("Europe/Berlin")
        // 02:00 becomes 03:00 at 01:00 UTC. The night is an hour shorter.
        try check(
            window("183000", "060000"), berlin,
            [
                ("2026-03-28T17:29:59Z", "2026-03-28T17:30:00Z"),
                ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
                ("2026-03-29T04:00:00Z", "2026-03-29T04:00:00Z"),
                ("2026-03-29T04:00:01Z", "2026-03-29T16:30:00Z"),
            ])
        // It starts in the hour that is skipped.
        try check(
            window("023000", "060000"), berlin,
            [
                ("2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"),
                ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
                ("2026-03-29T04:00:00Z", "2026-03-29T04:00:00Z"),
                ("2026-03-29T04:00:01Z", "2026-03-30T00:30:00Z"),
            ])
        // It ends in it.
        try check(
            window("010000", "023000"), berlin,
            [
                ("2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"),
                ("2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z"),
            ])
        // It lies in it: not that day.
        try check(
            window("021500", "024500"), berlin,
            [
                ("2026-03-28T01:45:00Z", "2026-03-28T01:45:00Z"),
                ("2026-03-28T01:45:01Z", "2026-03-30T00:15:00Z"),
                ("2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"),
            ])
    }

    @Test("On the day on which clocks go back")
    func autumn() throws {
        let berlin = try zone("Europe/Berlin")
        // 03:00 becomes 02:00 at 01:00 UTC. The night is an hour longer.
        try check(
            window("183000", "060000"), berlin,
            [
                ("2026-10-24T16:29:59Z", "2026-10-24T16:30:00Z"),
                ("2026-10-25T05:00:00Z", "2026-10-25T05:00:00Z"),
                ("2026-10-25T05:00:01Z", "2026-10-25T17:30:00Z"),
            ])
        // It starts in the hour that is shown twice: it opens once, and stays open.
        try check(
            window("023000", "060000"), berlin,
            [
                ("2026-10-25T00:29:59Z", "2026-10-25T00:30:00Z"),
                ("2026-10-25T01:00:00Z", "2026-10-25T01:00:00Z"),
                ("2026-10-25T01:29:59Z", "2026-10-25T01:29:59Z"),
                ("2026-10-25T05:00:01Z", "2026-10-26T01:30:00Z"),
            ])
        // It ends in it: at the second time.
        try check(
            window("220000", "023000"), berlin,
            [
                ("2026-10-25T00:45:00Z", "2026-10-25T00:45:00Z"),
                ("2026-10-25T01:30:00Z", "2026-10-25T01:30:00Z"),
                ("2026-10-25T01:30:01Z", "2026-10-25T21:00:00Z"),
            ])
    }

    @Test("Where clocks change at midnight, the window over midnight is open all the same")
    func changeAtMidnight() throws {
        // Cairo, 24 April 2026: 00:00 becomes 01:00 at 22:00 UTC.
        try check(
            window("233000", "003000"), zone("Africa/Cairo"),
            [
                ("2026-04-23T21:29:59Z", "2026-04-23T21:30:00Z"),
                ("2026-04-23T21:59:59Z", "2026-04-23T21:59:59Z"),
                ("2026-04-23T22:00:00Z", "2026-04-24T20:30:00Z"),
            ])
        try check(
            window("000000", "003000"), zone("Africa/Cairo"),
            [("2026-04-23T21:59:59Z", "2026-04-24T21:00:00Z")])
    }

    @Test("A day that did not take place has no window")
    func skippedDay() throws {
        // Samoa had no 30 December 2011; its clocks skipped it at 10:00 UTC.
        try check(
            window("090000", "100000"), zone("Pacific/Apia"),
            [
                ("2011-12-29T20:00:00Z", "2011-12-29T20:00:00Z"),
                ("2011-12-29T20:00:01Z", "2011-12-30T19:00:00Z"),
            ])
    }

    static let zones = [
        "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata",
        "America/Havana", "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu",
    ]

    /// Where the days begin that are looked at closely: three in winter, three in summer, and those
    /// around each change of the clocks.
    private func spans(in zone: TimeZone) throws -> [Date] {
        let start = try instant("2026-01-01T00:00:00Z")
        var spans = [start, try instant("2026-07-01T00:00:00Z")]
        var last = start
        while let change = zone.nextDaylightSavingTimeTransition(after: last),
            change < start.addingTimeInterval(366 * 86400)
        {
            spans.append(change.addingTimeInterval(-36 * 3600))
            last = change
        }
        return spans
    }

    @Test("Zones that change their clocks do so twice in a year", arguments: zones)
    func changes(_ name: String) throws {
        let count = try spans(in: try zone(name)).count - 2
        let isSteady = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia"].contains(name)
        #expect(count == (isSteady ? 0 : 2))
    }

    @Test("Always is always, in every zone", arguments: zones)
    func always(_ name: String) throws {
        let zone = try zone(name)
        for (start, step) in try spans(in: zone).flatMap({ span in (0..<72).map { (span, $0) } }) {
            let date = start.addingTimeInterval(Double(step) * 3600 - 0.25)
            #expect(AutoResynchronizeWindow.always.contains(date, in: zone), "\(date)")
            #expect(AutoResynchronizeWindow.always.nextOpening(at: date, in: zone) == date)
        }
    }

    @Test("It is open when clocks show it, and opens next when it says", arguments: zones)
    func halfHours(_ name: String) throws {
        let zone = try zone(name)
        for (from, to) in [("183000", "060000"), ("013000", "024500"), ("000000", "120000")] {
            let window = try window(from, to)
            for start in try spans(in: zone) { try check(window, zone, threeDaysFrom: start) }
        }
    }

    private func check(
        _ window: AutoResynchronizeWindow, _ zone: TimeZone, threeDaysFrom start: Date
    ) throws {
        var announced: Date?
        for step in 0..<144 {
            let date = start.addingTimeInterval(Double(step) * 1800)
            let isOpen = window.contains(date, in: zone)
            if isOpen != isShown(window, zone.clocks(at: date)) {
                // Open through what clocks show once more, and only then.
                #expect(isOpen, "\(date)")
                let (first, last) = zone.dates(atWhichClocksShow: zone.clocks(at: date))
                #expect(first != last, "\(date)")
            }
            let next = try #require(window.nextOpening(at: date, in: zone))
            #expect((next == date) == isOpen, "\(date)")
            if let announced, announced > date {
                #expect(next == announced, "\(date)")
            } else if let announced {
                #expect(window.contains(announced, in: zone))
                #expect(!window.contains(announced.addingTimeInterval(-1), in: zone))
            }
            announced = isOpen ? nil : next
        }
    }

    /// Whether clocks that show this show a time in the window.
    private func isShown(_ window: AutoResynchronizeWindow, _ shown: Date) -> Bool {
        let time = shown.timeIntervalSince1970.truncatingRemainder(dividingBy: 86400)
        let isAfterStart = window.start.duration / .seconds(1) <= time
        let isBeforeEnd = time < window.end.duration / .seconds(1) + 1
        return window.start.microseconds < window.end.microseconds
            ? isAfterStart && isBeforeEnd : isAfterStart || isBeforeEnd
    }

    @Test(
        "An instant may be as far away as it likes",
        arguments: [-1e300, -1e12, -6e10, 0, 2.5e11, 1e12, 1e300, .infinity, -.infinity, .nan])
    func farAway(_ seconds: Double) throws {
        let date = Date(timeIntervalSince1970: seconds)
        for name in Self.zones {
            let isNear = abs(seconds) < 4e11
            let zone = try zone(name)
            #expect(AutoResynchronizeWindow.always.contains(date, in: zone) == isNear)
            let next = AutoResynchronizeWindow.always.nextOpening(at: date, in: zone)
            #expect(next == (isNear ? date : nil))
        }
    }
}
