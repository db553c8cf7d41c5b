internal import CVHDResync
internal import Glibc
internal import Replication
internal import Storage

/// A job that a caller has started, and the callback of the caller.
struct RunningJob: Sendable {
    let job: BackgroundJob
    let callback: ProgressCallback?

    /// Begins. To be called once.
    func start() {
        guard let callback else { return job.start() }
        job.start(progress: { [job] progress in
            if callback.call(vhdresync_progress(progress)) != 0 { job.cancel() }
        })
    }

    /// Whether this thread is in the callback, which the job waits for.
    var isInCallback: Bool { callback?.isOfThisThread ?? false }
}

/// A function of the caller that is told how far a job is.
@safe final class ProgressCallback: @unchecked Sendable {
    private let function: vhdresync_progress_callback
    private let context: UnsafeMutableRawPointer?
    private let thread = Lock<pthread_t?>(nil)

    init?(_ function: vhdresync_progress_callback?, _ context: UnsafeMutableRawPointer?) {
        guard let function = unsafe function else { return nil }
        unsafe self.function = function
        unsafe self.context = context
    }

    /// Calls it. Not from two threads at once.
    func call(_ progress: vhdresync_progress) -> Int32 {
        var progress = progress
        thread.withLock { $0 = pthread_self() }
        defer { thread.withLock { $0 = nil } }
        // Safe: the caller has said that the function may be called with this context.
        return unsafe function(&progress, context)
    }

    /// Whether this thread is in a call of the function.
    var isOfThisThread: Bool {
        thread.withLock { $0 == pthread_self() }
    }
}
