internal import Dispatch
internal import Storage

/// Something that runs in a thread of its own beside a test.
package final class Background<Value: Sendable>: Sendable {
    private let outcome = ConditionLock<Result<Value, any Error>?>(nil)

    package struct DidNotEnd: Error {}

    package init(_ body: @escaping @Sendable () throws -> Value) {
        DispatchQueue(label: "test.background").async { [outcome] in
            let result = Result { try body() }
            outcome.withLock { $0 = result }
        }
    }

    /// Whether it has ended.
    package var hasEnded: Bool { outcome.withLock { $0 != nil } }

    /// What it came to. A test that hangs is one that fails.
    package func value() throws -> Value {
        let end = DispatchTime.now().uptimeNanoseconds + 60_000_000_000
        let result = outcome.withLock(when: { $0 != nil }, orAt: end) { $0 }
        guard let result else { throw DidNotEnd() }
        return try result.get()
    }
}

/// Seconds of the monotonic clock that something took.
package func secondsTaken(_ body: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
}
