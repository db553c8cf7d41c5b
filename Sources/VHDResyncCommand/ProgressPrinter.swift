internal import Replication
internal import Resync

/// What `--progress` may say.
enum ProgressChoice: String, Sendable {
    case auto, plain, json, none
}

/// How progress appears on standard error.
enum ProgressStyle: Equatable, Sendable {
    /// A line that is drawn over itself.
    case bar
    case plain
    case json
    case none

    init(_ choice: ProgressChoice, isQuiet: Bool, isTerminal: Bool) {
        switch choice {
        case _ where isQuiet: self = .none
        case .none: self = .none
        case .json: self = .json
        case .plain: self = .plain
        case .auto: self = isTerminal ? .bar : .plain
        }
    }
}

/// Turns samples into what is to be written for them: a value, which knows no clock and no terminal.
struct ProgressPrinter {
    /// Between two plain lines of one phase lie so many seconds and so many percent, so that the
    /// mail about a nightly run stays short; a run that is slower than that shows a line at times.
    static let plainSeconds = 5.0
    static let plainPercent: UInt16 = 10
    static let plainLongestSeconds = 600.0
    static let eventSeconds = 1.0
    /// To the start of the line; the text; erase to the end of the line.
    static let erasing = "\r\u{1B}[K"

    let style: ProgressStyle
    private var rates = RateEstimator()
    private var last: ProgressSample?
    private var hasBar = false
    private var lastRetry: Retry?

    init(style: ProgressStyle) {
        self.style = style
    }

    /// What to write now, or nil.
    mutating func text(for sample: ProgressSample, columns: Int) -> String? {
        let texts = [retryText(for: sample), progressText(for: sample, columns: columns)]
        return texts.contains { $0 != nil } ? texts.compactMap(\.self).joined() : nil
    }

    /// A line about a call of a host that has not been told.
    private mutating func retryText(for sample: ProgressSample) -> String? {
        guard let retry = sample.retry, retry != lastRetry else { return nil }
        lastRetry = retry
        let line = "vhdresync: \(ProgressLine.retry(retry))\n"
        switch style {
        case .none: return nil
        case .bar: return (hasBar ? Self.erasing : "") + line
        case .plain: return line
        case .json: return JSONText.line(RetryEvent(retry, sample)) + "\n"
        }
    }

    private mutating func progressText(for sample: ProgressSample, columns: Int) -> String? {
        rates.add(sample)
        switch style {
        case .none:
            return nil
        case .bar:
            hasBar = true
            return "\r" + ProgressLine.bar(sample, rates, columns: columns) + "\u{1B}[K"
        case .plain:
            guard isPlainLineDue(sample) else { return nil }
            last = sample
            return "vhdresync: \(ProgressLine.plain(sample, rates))\n"
        case .json:
            guard isEventDue(sample) else { return nil }
            last = sample
            return event(sample)
        }
    }

    /// What to write when the run is over: a terminal is left as it was, a program is told the end.
    mutating func end(_ sample: ProgressSample) -> String? {
        switch style {
        case .none, .plain:
            return nil
        case .bar:
            return hasBar ? Self.erasing : nil
        case .json:
            rates.add(sample)
            return event(sample)
        }
    }

    private func event(_ sample: ProgressSample) -> String {
        JSONText.line(ProgressEvent(sample, rates)) + "\n"
    }

    private func isPlainLineDue(_ sample: ProgressSample) -> Bool {
        guard sample.phase != .opening, sample.phase != .finished else { return false }
        guard let last, isSameActivity(last, sample) else { return true }
        let seconds = sample.elapsedSeconds - last.elapsedSeconds
        let percent = sample.percentOfPhase - min(last.percentOfPhase, sample.percentOfPhase)
        return seconds >= Self.plainSeconds && percent >= Self.plainPercent
            || seconds >= Self.plainLongestSeconds
    }

    private func isEventDue(_ sample: ProgressSample) -> Bool {
        guard let last, isSameActivity(last, sample) else { return true }
        return sample.elapsedSeconds - last.elapsedSeconds >= Self.eventSeconds
    }

    private func isSameActivity(_ first: ProgressSample, _ second: ProgressSample) -> Bool {
        first.phase == second.phase && first.isStopping == second.isStopping
            && first.diskNumber == second.diskNumber
    }
}
