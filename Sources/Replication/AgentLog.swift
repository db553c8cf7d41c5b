internal import Dispatch
internal import FoundationEssentials
internal import Storage

/// Writes what an agent does, one line for each event, to a descriptor of the process.
///
/// A thread of its own writes, so that nobody who reads slowly, or not at all, holds up a run. What
/// waits to be written has a limit, and what comes too often is counted in place of being written:
/// strangers must not be able to fill a disk by knocking.
public final class AgentLog: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        case text
        /// An object a line.
        case json
    }

    /// Lines that may wait. The next ones are lost, and counted.
    static let waitingLineLimit = 1024
    /// Lines a second of an event that strangers can cause.
    static let strangerLineLimit = 5

    private struct State {
        var waiting: [String] = []
        var isWriting = false
        var lostLineCount = 0
        var limits: [AgentEvent.Kind: LineLimit] = [:]
    }

    private let format: Format
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Date
    private let queue = DispatchQueue(label: "vhdresync.log")
    private let state = ConditionLock(State())

    /// A log to a descriptor, which stays open; standard error unless told otherwise.
    public convenience init(_ format: Format, descriptor: Int32 = 2) {
        let output = LineOutput(descriptor: descriptor)
        self.init(format, write: { line in output.write(line) }, now: { Date.now })
    }

    /// A log to whatever takes lines, one at a time; with a clock that a test can set.
    init(
        _ format: Format, write: @escaping @Sendable (String) -> Void,
        now: @escaping @Sendable () -> Date
    ) {
        self.format = format
        self.write = write
        self.now = now
    }

    /// Writes an event soon.
    func note(_ event: AgentEvent) {
        let date = now()
        let begins = state.withLock { state in
            if event.kind.isOfStrangers {
                var limit = state.limits[event.kind] ?? LineLimit()
                let admitted = limit.admits(
                    at: date.timeIntervalSince1970, limit: Self.strangerLineLimit)
                let left = admitted ? limit.takeLeftOut() : 0
                state.limits[event.kind] = limit
                if left > 0 { add(.more(left, event.kind), at: date, to: &state) }
                guard admitted else { return wakeLater(&state, limit) }
            }
            add(event, at: date, to: &state)
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

    private func add(_ event: AgentEvent, at date: Date, to state: inout State) {
        guard state.waiting.count < Self.waitingLineLimit else {
            state.lostLineCount += 1
            return
        }
        state.waiting.append(event.line(format, at: date))
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
        for kind in AgentEvent.Kind.allCases {
            guard let count = state.limits[kind]?.takeLeftOut(), count > 0 else { continue }
            add(.more(count, kind), at: date, to: &state)
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
                    let lost = AgentEvent.lost(state.lostLineCount)
                    state.waiting.append(lost.line(format, at: now()))
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
