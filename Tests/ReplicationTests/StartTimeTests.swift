import Foundation
import Testing

@testable import Replication

@Suite("StartTime of Resynchronize")
struct StartTimeTests {
    /// 1 January 2026, 12:00 UTC.
    private let now = Date(timeIntervalSince1970: 1_767_268_800)

    private func start(_ text: String?) throws(StartTimeError) -> StartTime {
        try StartTime(text, now: now, zone: CIMTimestampTests.berlin)
    }

    private func code(_ text: String?) -> ReturnCode {
        do throws(StartTimeError) {
            _ = try start(text)
            return .completed
        } catch {
            return ReturnCode(error)
        }
    }

    @Test(
        "Nothing, and what has passed, is now",
        arguments: [
            nil, "20260101120000.000000+000", "20260101115959.999999+000",
            "20260101125959.000000+060", "20260101130000.000000+***", "00000101000000.000000+000",
            "00000101000000.000000+999", "19700101000000.******+***",
        ] as [String?])
    func isNow(_ text: String?) throws {
        #expect(try start(text) == .now)
    }

    @Test("A time in the next seven days is that instant")
    func future() throws {
        let cases: [(String, TimeInterval)] = [
            ("20260101120000.000001+000", 0.000001), ("20260101120001.000000+000", 1),
            ("20260101120001.******+000", 1), ("20260101130001.******+***", 1),
            ("20260101040001.000000-480", 1), ("20260108120000.000000+000", 604_800),
            ("20260108130000.000000+***", 604_800), ("20260108120000.******+000", 604_800),
        ]
        for (text, seconds) in cases {
            guard case .at(let date) = try start(text) else {
                Issue.record("\(text) is now")
                continue
            }
            #expect(abs(date.timeIntervalSince(now) - seconds) < 1e-7, "\(text)")
        }
    }

    @Test(
        "More than seven days ahead is an invalid parameter",
        arguments: [
            "20260108120000.000001+000", "20260108120001.******+000", "20260108130000.000001+***",
            "99991231235959.999999+000", "99991231115959.999999-999",
        ])
    func tooFarAhead(_ text: String) throws {
        let date = try #require(
            try CIMTimestamp(parsing: text).date(inZoneOfServer: CIMTimestampTests.berlin))
        let latest = now.addingTimeInterval(604_800)
        #expect(throws: StartTimeError.tooFarAhead(date, latest: latest)) { try start(text) }
        #expect(code(text) == .invalidParameter)
    }

    @Test(
        "Another form is an incorrect data type",
        arguments: [
            "", "now", "2026-01-02T00:00:00Z", "00000001000000.000000:000",
            "00000000000000.000000:000", "20260102000000.0000000000", "20260102000000,000000+000",
            "202601**000000.000000+000", "****0102000000.000000+000", "2026**02000000.000000+000",
            "20260102**0000.000000+000", "2026010200**00.000000+000", "202601020000**.000000+000",
            "2026010*000000.000000+000", "20260102000000.000***+000", "20260102000000.000000+0**",
        ])
    func otherForm(_ text: String) {
        #expect(code(text) == .incorrectDataType)
    }

    @Test(
        "A number that a field cannot have is an invalid parameter",
        arguments: [
            "20261302000000.000000+000", "20260230000000.000000+000", "20260102240000.000000+000",
            "20260102006000.000000+000", "20260102000060.000000+000", "20260002000000.000000+000",
        ])
    func wrongNumber(_ text: String) {
        #expect(code(text) == .invalidParameter)
    }

    @Test("Each refusal has its sentence")
    func sentences() {
        #expect(
            "\(StartTimeError.malformed(.wrongLength(1)))" == "\(CIMDateTimeError.wrongLength(1))")
        #expect("\(StartTimeError.interval)" == "a start time is a point in time, not an interval")
        #expect(
            "\(StartTimeError.tooFarAhead(now, latest: now))"
                == "20260101120000.000000+000 is more than 7 days ahead, "
                + "after 20260101120000.000000+000")
        #expect(throws: StartTimeError.interval) { try start("00000001000000.000000:000") }
        #expect(throws: StartTimeError.incomplete) { try start("202601**000000.000000+000") }
    }

    @Test(
        "The server's clock may show any time", arguments: [-1e300, 1e300, Double.nan, .infinity])
    func strangeClock(_ seconds: Double) {
        let strange = Date(timeIntervalSince1970: seconds)
        _ = try? StartTime("20260108120000.000001+***", now: strange, zone: .gmt)
    }
}
