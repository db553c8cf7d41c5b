internal import Replication
internal import Resync

/// Progress as one line of text, from a sample and the rates: no clock, no terminal.
enum ProgressLine {
    /// The cells of the bar, its brackets not counted. With fewer it says nothing.
    private static let barCells = 6...40

    /// The line of a terminal with this many columns. It leaves the last column free, because a
    /// full line makes some terminals wrap. The bar takes the room that the words leave; words that
    /// have no room are left out, the least needed first.
    static func bar(_ sample: ProgressSample, _ rates: RateEstimator, columns: Int) -> String {
        let room = max(columns - 1, 1)
        guard sample.counts.bytesToDo > 0 else { return String(sample.activity.prefix(room)) }
        let head = "\(sample.activity) \(padded(sample.percentOfPhase))%"
        var fields = fields(sample, rates)
        var words: [String] { [head] + fields.compactMap(\.self) }
        // In the order of `fields`: the rate goes first, then the amount, what was sent, the time
        // left, the count.
        for index in [3, 0, 2, 4, 1] where line(words).count > room {
            fields[index] = nil
        }
        var parts = words
        let cells = min(room - line(parts).count - "  []".count, barCells.upperBound)
        if cells >= barCells.lowerBound {
            let filled = cells * Int(sample.percentOfPhase) / 100
            let bar = String(repeating: "#", count: filled)
            parts.insert("[\(bar)\(String(repeating: "-", count: cells - filled))]", at: 1)
        }
        return String(line(parts).prefix(room))
    }

    private static func line(_ parts: [String]) -> String { parts.joined(separator: "  ") }

    /// A line for a log or a mail.
    static func plain(_ sample: ProgressSample, _ rates: RateEstimator) -> String {
        guard sample.counts.bytesToDo > 0 else { return sample.activity }
        let rest = fields(sample, rates).compactMap(\.self).joined(separator: ", ")
        return "\(sample.activity): \(sample.percentOfPhase) %, \(rest)"
    }

    /// What a host is called again for, and when.
    static func retry(_ retry: Retry) -> String {
        let pause = DurationText.length(.seconds(retry.seconds))
        return "\(retry.error); \(retry.host) is called again in \(pause), "
            + "try \(retry.number) of \(retry.limit)"
    }

    /// Amount, count, what was sent to another host, rate and time left.
    private static func fields(
        _ sample: ProgressSample, _ rates: RateEstimator
    ) -> [String?] {
        let counts = sample.counts
        return [
            ByteText.share(counts.bytesDone, of: counts.bytesToDo),
            "\(counts.blocksDiffering) differ",
            counts.bytesSent > 0 ? "\(ByteText.size(counts.bytesSent)) sent" : nil,
            rate(sample.phase, rates).map { ByteText.rate(bytesPerSecond: $0) },
            rates.secondsLeft.map { "ETA \(DurationText.clock(seconds: $0))" },
        ]
    }

    /// Of what the phase does with the disks: a comparison reads both.
    private static func rate(_ phase: ResyncPhase, _ rates: RateEstimator) -> Double? {
        switch phase {
        case .opening, .comparing, .verifying, .finished: rates.bytesReadPerSecond
        case .receiving, .applying: rates.bytesDonePerSecond
        }
    }

    private static func padded(_ percent: UInt16) -> String {
        String(repeating: " ", count: percent < 10 ? 2 : percent < 100 ? 1 : 0) + "\(percent)"
    }
}
