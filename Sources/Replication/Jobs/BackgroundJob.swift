internal import Dispatch
public import Resync
internal import Storage

/// A job in threads of its own, which can be watched, waited for and cancelled meanwhile.
///
///     let job = try BackgroundJob(.resynchronize(primary: "a.vhdx", replica: "b.vhdx"))
///     job.start()
///     for await progress in job.updates { print(progress.sample.percentComplete) }
///     print(await job.ending().code.name)
///
/// Who watches it, waits for it, or has forgotten it, makes no difference to it: it holds itself until
/// it is over.
public final class BackgroundJob: Sendable {
    /// How a job has ended.
    public struct Ending: Sendable {
        public var code: ReturnCode
        /// What went wrong, and what it means for the replica; nil where nothing did.
        public var errorDescription: String?
        /// What became of the disk.
        public var report: DiskReport
        /// The same for programs.
        public var result: ResultObject
    }

    private struct State {
        var ending: Ending?
        var waiting: [CheckedContinuation<Ending, Never>] = []
        var watching: [AsyncStream<Progress>.Continuation] = []
    }

    private let job: DiskJob
    private let run: DiskRun
    private let closeConnections: @Sendable () -> Void
    private let options: JobOptions
    private let rates = Lock(RateEstimator())
    private let state = ConditionLock(State())
    /// On which progress is told.
    private let queue = DispatchQueue(label: "vhdresync.progress")

    /// A job that has not started.
    ///
    /// - Throws: ``CodedError`` for names and options that make no sense, whatever the disks are. What
    ///   is wrong with the disks is the end of the job.
    public init(_ task: JobTask, options: JobOptions = JobOptions()) throws(CodedError) {
        (run, closeConnections) = try task.run(options)
        self.options = options
        job = DiskJob(diskCount: 1)
    }

    /// Begins. To be called once.
    ///
    /// - Parameters:
    ///   - progress: Is told how far the job is: several times a second, and once more at its end. It is
    ///     not called from two threads at once, and not after the end. While it takes its time the job
    ///     goes on, but does not end.
    ///   - completion: Is told the end, in a thread of the job.
    public func start(
        progress: (@Sendable (Progress) -> Void)? = nil,
        completion: (@Sendable (Ending) -> Void)? = nil
    ) {
        DispatchQueue(label: "vhdresync.job").async {
            let ending = self.work(progress)
            completion?(ending)
        }
    }

    /// Asks the job to stop at the next block, and does not wait for that. A job that is over stays as
    /// it is.
    public func cancel() {
        job.requestStop(.cancelled)
    }

    // MARK: For who watches and waits

    /// How far it is now.
    public var progress: Progress {
        let sample = job.sample()
        return Progress(sample, rates.withLock { $0 }, job.job.properties)
    }

    /// How far it is, at once and then several times a second; the last one is of its end. Who is slow
    /// misses some. To stop watching does not stop the job.
    public var updates: AsyncStream<Progress> {
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            continuation.yield(progress)
            let isOver = state.withLock { state in
                if state.ending == nil { state.watching.append(continuation) }
                return state.ending != nil
            }
            guard isOver else { return }
            continuation.yield(progress)
            continuation.finish()
        }
    }

    /// Waits for the end. Where the task that waits is cancelled, so is the job; its end is waited for
    /// all the same.
    public func ending() async -> Ending {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ending = state.withLock { state in
                    if state.ending == nil { state.waiting.append(continuation) }
                    return state.ending
                }
                if let ending { continuation.resume(returning: ending) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// The end, for which this thread waits so long at most; nil where the job still runs then.
    package func wait(milliseconds: UInt64 = .max) -> Ending? {
        guard milliseconds > 0 else { return state.withLock { $0.ending } }
        let now = DispatchTime.now().uptimeNanoseconds
        let (nanoseconds, overflows) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let (end, endOverflows) = now.addingReportingOverflow(nanoseconds)
        // So far away is never.
        let time = overflows || endOverflows || end > UInt64(Int64.max) ? nil : end
        return state.withLock(when: { $0.ending != nil }, orAt: time) { $0.ending }
    }

    // MARK: In a thread of its own

    private func work(_ watcher: (@Sendable (Progress) -> Void)?) -> Ending {
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { self.tick(watcher) }
        let interval = DispatchTimeInterval.milliseconds(
            Int(options.progressInterval / .milliseconds(1)))
        timer.schedule(deadline: .now() + interval, repeating: interval)
        timer.resume()
        let outcome = job.run([run], timeout: options.timeout)
        closeConnections()
        timer.cancel()
        let ending = ending(of: outcome)
        let last = progress
        // A tick under way ends first, and none comes after this one.
        queue.sync { watcher?(last) }
        let (waiting, watching) = state.withLock { state in
            defer { state = State(ending: ending) }
            return (state.waiting, state.watching)
        }
        for continuation in watching {
            continuation.yield(last)
            continuation.finish()
        }
        for continuation in waiting { continuation.resume(returning: ending) }
        return ending
    }

    private func tick(_ watcher: (@Sendable (Progress) -> Void)?) {
        let sample = job.sample()
        rates.withLock { $0.add(sample) }
        guard !job.job.properties.jobState.isFinal else { return }
        let progress = progress
        watcher?(progress)
        state.withLock { state in
            state.watching.removeAll { continuation in
                if case .terminated = continuation.yield(progress) { true } else { false }
            }
        }
    }

    private func ending(of outcome: DiskJob.Outcome) -> Ending {
        var sentence: String?
        let code = job.end(outcome) { failure in
            let text = FailureText(
                error: failure.error, disk: failure.report, state: failure.stateLeft(by: run),
                options: options.resync, remote: run.remote)
            let words = [text.cause, text.consequence].filter { !$0.isEmpty }
            sentence = words.joined(separator: "; ")
            return sentence ?? ""
        }
        let reports = outcome.reports(of: [run])
        return Ending(
            code: code, errorDescription: sentence, report: reports[0],
            result: ResultObject(code, job.job, disks: reports))
    }
}
