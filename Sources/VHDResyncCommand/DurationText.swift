/// Times for people.
enum DurationText {
    /// How long something lasted: "0.4 s", "2 min 5 s", "3 h 20 min".
    static func length(_ duration: Duration) -> String {
        let tenths = duration.tenths
        if tenths < 600 { return "\(tenths / 10).\(tenths % 10) s" }
        let seconds = (tenths + 5) / 10
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        let minutes = (seconds + 30) / 60
        return "\(minutes / 60) h \(minutes % 60) min"
    }

    /// What is left, as on a clock: "0:07", "12:03", "1:02:03"; more than four days is "days".
    static func clock(seconds: Double) -> String {
        guard seconds < 100 * 3600 else { return "days" }
        let seconds = Int(max(seconds, 0).rounded(.up))
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        return hours == 0
            ? "\(minutes):\(twoDigits(rest))" : "\(hours):\(twoDigits(minutes)):\(twoDigits(rest))"
    }

    private static func twoDigits(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}

extension Duration {
    fileprivate var tenths: Int64 {
        components.seconds * 10 + (components.attoseconds + 50_000_000_000_000_000)
            / 100_000_000_000_000_000
    }
}
