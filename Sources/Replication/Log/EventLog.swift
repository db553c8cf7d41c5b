internal import Dispatch
internal import FoundationEssentials
internal import Storage

/// Writes what an agent or a service does, one line for each event, to a descriptor of the process.
///
/// A thread of its own writes, so that nobody who reads slowly, or not at all, holds up a run. What
/// waits to be written has a limit, and what comes too often is counted in place of being written:
/// strangers must not be able to fill a disk by knocking.
public final class EventLog: Sendable {
    /// Lines that may wait. The next ones are lost, and counted.
    static let waitingLineLimit = 1024
    /// Lines a second of an event that strangers can cause.
    static let strangerLineLimit = 5

    private struct State {
        var format: LogFormat
        var waiting: [String] = []
        var isWriting = false
        var lostLineCount = 0
        var limits: [String: LineLimit] = [:]
    }

    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Date
    private let queue = DispatchQueue(label: "vhdresync.log")
    private let state: ConditionLock<State>

    /// A log to a descriptor, which stays open; standard error unless told otherwise.
    public convenience init(_ format: LogFormat, descriptor: Int32 = 2) {
        let output = LineOutput(descriptor: descriptor)
        self.init(format, write: { line in output.write(line) }, now: { Date.now })
    }

    /// A log to whatever takes lines, one at a time; with a clock that a test can set.
    init(
        _ format: LogFormat, write: @escaping @Sendable (String) -> Void,
        now: @escaping @Sendable () -> Date
    ) {
        state = ConditionLock(State(format: format))
        self.write = write
        self.now = now
    }

    /// Another form for the next lines.
    func use(_ format: LogFormat) {
        state.withLock { $0.format = format }
    }

    /// Writes an event soon.
    func note(_ event: some LogEvent) {
        let (line, date) = (event.line, now())
        let begins = state.withLock { state in
            if line.isOfStrangers {
                var limit = state.limits[line.event] ?? LineLimit()
                let admitted = limit.admits(
                    at: date.timeIntervalSince1970, limit: Self.strangerLineLimit)
                let left = admitted ? limit.takeLeftOut() : 0
                state.limits[line.event] = limit
                if left > 0 { add(Self.more(left, line.event), at: date, to: &state) }
                guard admitted else { return wakeLater(&state, limit) }
            }
            add(line, at: date, to: &state)
            return begin(&state)
        }
        if begins { queue.async { self.run() } }
    }

    /// Waits until everything was written, for so long at most.
    public func flush(timeoutSeconds: Double) {
        let begins = state.withLock { state in
            tellLeftOut(&state)
            return begin(&state)
        }
        if begins { queue.async { self.run() } }
        let end = DispatchTime.now() + timeoutSeconds
        state.withLock(
            when: { $0.waiting.isEmpty && !$0.isWriting }, orAt: end.uptimeNanoseconds
        ) { _ in }
    }

    // MARK: Lines

    private static func more(_ count: Int, _ event: String) -> LogLine {
        .leftOut("\(count) more: \(event)")
    }

    private func add(_ line: LogLine, at date: Date, to state: inout State) {
        guard state.waiting.count < Self.waitingLineLimit else {
            state.lostLineCount += 1
            return
        }
        state.waiting.append(line.text(state.format, at: date))
    }

    /// When nothing else comes, what was left out is told after a second.
    private func wakeLater(_ state: inout State, _ limit: LineLimit) -> Bool {
        guard limit.leftOutCount == 1 else { return false }
        queue.asyncAfter(deadline: .now() + 1) { [self] in
            let begins = self.state.withLock { state in
                tellLeftOut(&state)
                return begin(&state)
            }
            if begins { run() }
        }
        return false
    }

    private func tellLeftOut(_ state: inout State) {
        let date = now()
        for event in state.limits.keys.sorted() {
            guard let count = state.limits[event]?.takeLeftOut(), count > 0 else { continue }
            add(Self.more(count, event), at: date, to: &state)
        }
    }

    /// Whether a writer is needed.
    private func begin(_ state: inout State) -> Bool {
        guard !state.isWriting, !state.waiting.isEmpty else { return false }
        state.isWriting = true
        return true
    }

    private func run() {
        while true {
            let lines = state.withLock { state -> [String] in
                if state.lostLineCount > 0, state.waiting.count < Self.waitingLineLimit {
                    let lost = LogLine.leftOut(
                        "\(state.lostLineCount) lost: nobody reads them fast enough")
                    state.waiting.append(lost.text(state.format, at: now()))
                    state.lostLineCount = 0
                }
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isWriting = false }
                return state.waiting
            }
            if lines.isEmpty { return }
            for line in lines { write(line) }
        }
    }
}

/// So many in each second, by the clock, and the others counted.
struct LineLimit: Equatable, Sendable {
    private var second: Int64 = .min
    private var count = 0
    private(set) var leftOutCount = 0

    mutating func admits(at seconds: Double, limit: Int) -> Bool {
        let now = Int64(seconds.rounded(.down))
        if now != second { (second, count) = (now, 0) }
        guard count < limit else {
            leftOutCount += 1
            return false
        }
        count += 1
        return true
    }

    mutating func takeLeftOut() -> Int {
        defer { leftOutCount = 0 }
        return leftOutCount
    }
}
