import Dispatch
import Storage
import Testing

@Suite("Lock")
struct LockTests {
    private struct Stop: Error, Equatable {}

    @Test("No increment is lost between threads")
    func exclusion() {
        let count = Lock(0)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<5_000 { count.withLock { $0 += 1 } }
        }
        #expect(count.withLock { $0 } == 40_000)
    }

    @Test("An error leaves the lock open and the change in place")
    func errors() {
        let value = Lock([1])
        #expect(throws: Stop()) {
            try value.withLock { (value) throws(Stop) in
                value.append(2)
                throw Stop()
            }
        }
        #expect(value.withLock { $0 } == [1, 2])
    }
}
