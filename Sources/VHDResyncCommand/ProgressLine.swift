internal import Resync

/// Progress as one line of text, from a sample and the rates: no clock, no terminal.
enum ProgressLine {
    /// The cells of a full bar, its brackets not counted.
    private static let barCells = 10...40

    /// The line of a terminal with this many columns. It leaves the last column free, because a
    /// full line makes some terminals wrap. What has no room is left out, the least needed first.
    static func bar(_ sample: ProgressSample, _ rates: RateEstimator, columns: Int) -> String {
        let room = max(columns - 1, 1)
        let head = "\(sample.activity) \(padded(sample.percentOfPhase))%"
        guard sample.counts.virtualSize > 0 else { return String(sample.activity.prefix(room)) }
        var tail = fields(sample, rates)
        // In the order of `fields`: the rate goes first, then the amount, the time left, the count.
        for index in [nil, 2, 0, 3, 1] as [Int?] {
            if let index { tail[index] = nil }
            let rest = tail.compactMap(\.self)
            let textCount = ([head] + rest).joined(separator: "  ").count
            let cells = min(room - textCount - 4, barCells.upperBound)
            if cells >= barCells.lowerBound {
                let filled = cells * Int(sample.percentOfPhase) / 100
                let bar = String(repeating: "#", count: filled)
                let space = String(repeating: "-", count: cells - filled)
                return ([head, "[\(bar)\(space)]"] + rest).joined(separator: "  ")
            }
            if index != nil, textCount <= room { return ([head] + rest).joined(separator: "  ") }
        }
        return String(head.prefix(room))
    }

    /// A line for a log or a mail.
    static func plain(_ sample: ProgressSample, _ rates: RateEstimator) -> String {
        guard sample.counts.virtualSize > 0 else { return sample.activity }
        let rest = fields(sample, rates).compactMap(\.self).joined(separator: ", ")
        return "\(sample.activity): \(sample.percentOfPhase) %, \(rest)"
    }

    /// Amount, count, rate and time left.
    private static func fields(
        _ sample: ProgressSample, _ rates: RateEstimator
    ) -> [String?] {
        let counts = sample.counts
        return [
            ByteText.share(counts.bytesDone, of: counts.virtualSize),
            "\(counts.blocksDiffering) differ",
            rates.bytesReadPerSecond.map { ByteText.rate(bytesPerSecond: $0) },
            rates.secondsLeft.map { "ETA \(DurationText.clock(seconds: $0))" },
        ]
    }

    private static func padded(_ percent: UInt16) -> String {
        String(repeating: " ", count: percent < 10 ? 2 : percent < 100 ? 1 : 0) + "\(percent)"
    }
}
