internal import Glibc

/// A value that one thread at a time may use, and for a state of which a thread can wait.
@safe public final class ConditionLock<Value: ~Copyable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    /// A lock around a first value.
    public init(_ value: consuming sending Value) {
        self.value = value
        // Safe: both live at one address until this object, their only owner, ends.
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        var status = unsafe pthread_condattr_init(&attributes)
        status |= unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        status |= unsafe pthread_mutex_init(mutex, nil)
        status |= unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        precondition(status == 0, "pthread_mutex_init or pthread_cond_init failed")
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe condition.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Runs the body while no other thread runs one on this lock, as soon as the condition holds.
    /// Whoever waits looks at its condition again after each body. Not reentrant.
    ///
    /// With a time, of the monotonic clock in nanoseconds, the body runs then at the latest, though
    /// the condition may not hold.
    public func withLock<Result: ~Copyable, Failure: Error>(
        when isReady: (borrowing Value) -> Bool = { _ in true },
        orAt nanoseconds: UInt64? = nil,
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let status = unsafe pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock failed")
        defer {
            unsafe pthread_cond_broadcast(condition)
            unsafe pthread_mutex_unlock(mutex)
        }
        while !isReady(value), wait(until: nanoseconds) {}
        return try body(&value)
    }

    /// Looks at the value, and lets those sleep who wait: a body that changes something goes to
    /// ``withLock(when:orAt:_:)``.
    public func peek<Result: ~Copyable>(_ body: (borrowing Value) -> Result) -> Result {
        let status = unsafe pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock failed")
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(value)
    }

    /// Waits until somebody else had the lock: true, or the time has come: false.
    private func wait(until nanoseconds: UInt64?) -> Bool {
        guard let nanoseconds else {
            let status = unsafe pthread_cond_wait(condition, mutex)
            precondition(status == 0, "pthread_cond_wait failed")
            return true
        }
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        let status = unsafe pthread_cond_timedwait(condition, mutex, &time)
        precondition(status == 0 || status == ETIMEDOUT, "pthread_cond_timedwait failed")
        return status == 0
    }
}
