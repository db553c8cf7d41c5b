import Dispatch
import Storage

/// Something that runs in a thread of its own beside a test.
final class Background<Value: Sendable>: Sendable {
    private let outcome = ConditionLock<Result<Value, any Error>?>(nil)

    struct DidNotEnd: Error {}

    init(_ body: @escaping @Sendable () throws -> Value) {
        DispatchQueue(label: "test.background").async { [outcome] in
            let result = Result { try body() }
            outcome.withLock { $0 = result }
        }
    }

    /// What it came to. A test that hangs is one that fails.
    func value() throws -> Value {
        let end = DispatchTime.now().uptimeNanoseconds + 60_000_000_000
        let result = outcome.withLock(when: { $0 != nil }, orAt: end) { $0 }
        guard let result else { throw DidNotEnd() }
        return try result.get()
    }
}
