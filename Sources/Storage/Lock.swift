internal import Glibc

/// A value that one thread at a time may use.
///
/// `Synchronization.Mutex` does the same, but the thread sanitizer reports false races inside it
/// on Linux; this one, over `pthread_mutex_t`, it understands.
@safe public final class Lock<Value: ~Copyable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    /// A lock around a first value.
    public init(_ value: consuming sending Value) {
        self.value = value
        // Safe: the mutex lives at one address until this object, its only owner, ends.
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        let status = unsafe pthread_mutex_init(mutex, nil)
        precondition(status == 0, "pthread_mutex_init failed")
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Runs the body while no other thread runs one on this lock. Not reentrant.
    public func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let status = unsafe pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock failed")
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}
