import Testing

@testable import VHDResyncCommand

@Suite struct DurationTextTests {
    @Test func writesLengths() {
        let cases: [(Duration, String)] = [
            (.zero, "0.0 s"), (.milliseconds(49), "0.0 s"), (.milliseconds(50), "0.1 s"),
            (.milliseconds(1949), "1.9 s"), (.milliseconds(59_949), "59.9 s"),
            (.milliseconds(59_950), "1 min 0 s"), (.seconds(125), "2 min 5 s"),
            (.milliseconds(3_599_949), "1 h 0 min"), (.seconds(12_000), "3 h 20 min"),
        ]
        for (duration, text) in cases {
            #expect(DurationText.length(duration) == text, "\(duration)")
        }
    }

    @Test func writesClocks() {
        let cases: [(Double, String)] = [
            (-3, "0:00"), (0, "0:00"), (6.2, "0:07"), (60, "1:00"), (723, "12:03"),
            (3723, "1:02:03"), (359_999, "99:59:59"), (360_000, "days"), (.infinity, "days"),
        ]
        for (seconds, text) in cases {
            #expect(DurationText.clock(seconds: seconds) == text, "\(seconds)")
        }
    }
}
