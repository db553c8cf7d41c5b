internal import FoundationEssentials

// What clocks show is written as a date here: the one at which clocks of Greenwich show the same.
//
// The type is FoundationEssentials', and so are zones with one offset. Zones that change their
// clocks are there where the program links Foundation.

extension TimeZone {
    /// Seconds. More than any two zones are apart.
    private static let widest = 26.0 * 3600
    /// Seconds. Nobody knows how clocks will be set 10,000 years from now.
    static let farthest = 400_000_000_000.0

    /// Seconds from UTC at an instant, however far away that is.
    private func offset(at date: Date) -> TimeInterval {
        let seconds = date.timeIntervalSince1970
        guard abs(seconds) < Self.farthest else { return 0 }
        return TimeInterval(secondsFromGMT(for: date))
    }

    /// What clocks show at an instant.
    func clocks(at date: Date) -> Date { date.addingTimeInterval(offset(at: date)) }

    /// The first and the last instant at which clocks show this. Where they skip it, both are the
    /// instant at which they do.
    func dates(atWhichClocksShow shown: Date) -> (first: Date, last: Date) {
        // Offsets are added to whole seconds, of which none is lost.
        let seconds = shown.timeIntervalSinceReferenceDate.rounded(.down)
        let fraction = shown.timeIntervalSinceReferenceDate - seconds
        let whole = Date(timeIntervalSinceReferenceDate: seconds)
        let before = whole.addingTimeInterval(-offset(at: whole.addingTimeInterval(-Self.widest)))
        let after = whole.addingTimeInterval(-offset(at: whole.addingTimeInterval(Self.widest)))
        let dates = [before, after].filter { clocks(at: $0) == whole }
        guard let first = dates.min(), let last = dates.max() else {
            let change = change(between: min(before, after), and: max(before, after), past: whole)
            return (change, change)
        }
        return (first.addingTimeInterval(fraction), last.addingTimeInterval(fraction))
    }

    /// The instant at which clocks are put beyond what they are to show: a whole second.
    private func change(between first: Date, and last: Date, past shown: Date) -> Date {
        var low = first.timeIntervalSinceReferenceDate
        var high = last.timeIntervalSinceReferenceDate
        while high - low > 1 {
            let middle = ((low + high) / 2).rounded(.down)
            let isBefore = clocks(at: Date(timeIntervalSinceReferenceDate: middle)) < shown
            if isBefore { low = middle } else { high = middle }
        }
        return Date(timeIntervalSinceReferenceDate: high)
    }
}
