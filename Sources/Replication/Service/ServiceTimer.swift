internal import Dispatch
public import FoundationEssentials
internal import Storage

/// Calls a service when something is due, on a queue of its own.
///
///     let timer = ServiceTimer()
///     let service = try ReplicationService(inventory, store: store, runner: runner, wake: timer.wake)
///     timer.start(service.advance)
public final class ServiceTimer: Sendable {
    /// It is called at least so often, since somebody may set the clock that people read.
    public static let longestWait: TimeInterval = 60

    private struct State: Sendable {
        var advance: (@Sendable () -> Date?)?
        /// Of the call that is to come; others that were to come do not take place.
        var number: UInt64 = 0
    }

    private let queue = DispatchQueue(label: "vhdresync.service")
    private let state = Lock(State())

    public init() {}

    /// Calls this at once, and then when it has said, and a minute later at the latest.
    public func start(_ advance: @escaping @Sendable () -> Date?) {
        state.withLock { $0.advance = advance }
        wake()
    }

    /// Calls it soon, in another thread.
    public func wake() {
        schedule(.now())
    }

    /// Does not call it any more.
    public func stop() {
        state.withLock { $0.advance = nil }
    }

    /// - Parameters:
    ///   - time: When it is to be called.
    ///   - last: The call that this one follows. Where another one is to come by now, that comes.
    private func schedule(_ time: DispatchTime, after last: UInt64? = nil) {
        let number: UInt64? = state.withLock { state in
            guard last == nil || last == state.number else { return nil }
            state.number += 1
            return state.number
        }
        guard let number else { return }
        queue.asyncAfter(deadline: time) { [weak self] in self?.tick(number) }
    }

    private func tick(_ number: UInt64) {
        let advance = state.withLock { $0.number == number ? $0.advance : nil }
        guard let advance else { return }
        let wait = advance().map { max($0.timeIntervalSinceNow, 0) } ?? Self.longestWait
        schedule(.now() + min(wait, Self.longestWait), after: number)
    }
}
