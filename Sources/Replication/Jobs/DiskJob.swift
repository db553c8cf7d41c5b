internal import Dispatch
package import Resync

/// A job of the engine: one disk after another. The first failure ends it.
package struct DiskJob: Sendable {
    /// What became of the disks.
    package struct Outcome: Sendable {
        /// Those that are done, with the time that each has taken.
        package var done: [(report: DiskReport, elapsed: Duration)] = []
        package var failure: Failure?

        /// The reports of all disks, those included that were not begun.
        package func reports(of disks: [DiskRun]) -> [DiskReport] {
            let begun = done.map(\.report) + [failure?.report].compactMap(\.self)
            return begun + disks.dropFirst(begun.count).map(\.disk)
        }
    }

    /// How a disk failed.
    package struct Failure: Sendable {
        package var error: ResyncError
        package var report: DiskReport
        package var state: ReplicaState

        /// What the run has left of the replica, if it could write to it here.
        package func stateLeft(by run: DiskRun) -> ReplicaState? {
            run.isWriting && run.remote?.role != .replica ? state : nil
        }
    }

    package let job = ConcreteJob()
    private let progress: JobProgress

    package init(diskCount: Int) {
        progress = JobProgress(diskCount: diskCount)
    }

    /// Asks the job to stop at the next block. The first reason stays.
    package func requestStop(_ reason: StopReason) {
        progress.requestStop(reason)
    }

    /// How far it has come, which the job is told as well.
    package func sample() -> ProgressSample {
        let sample = progress.sample(elapsed: job.properties.elapsedTime)
        job.report(percentComplete: sample.percentComplete)
        return sample
    }

    /// Does the work on this thread, and stops it after a time, if one is given.
    package func run(_ disks: [DiskRun], timeout: Duration? = nil) -> Outcome {
        let timer = timeout.map(timer)
        defer { timer?.cancel() }
        job.start()
        var outcome = Outcome()
        for (index, run) in disks.enumerated() {
            let traffic = run.remote.map(TrafficWatch.init)
            let monitor = progress.begin(index, traffic)
            let start = job.properties.elapsedTime
            do throws(ResyncError) {
                var report = try run.work(monitor)
                traffic?.note(in: &report.counts)
                outcome.done.append((report, job.properties.elapsedTime - start))
            } catch {
                var report = run.disk
                report.counts = monitor.counts
                traffic?.note(in: &report.counts)
                outcome.failure = Failure(
                    error: error, report: report, state: monitor.replicaState)
                break
            }
        }
        return outcome
    }

    /// Ends the job as its disks have ended.
    ///
    /// - Parameters:
    ///   - outcome: Of ``run(_:timeout:)``.
    ///   - sentence: What went wrong, in words.
    /// - Returns: The code of the job.
    package func end(_ outcome: Outcome, sentence: (Failure) -> String) -> ReturnCode {
        guard let failure = outcome.failure else {
            job.complete()
            return .completed
        }
        let code = ReturnCode(failure.error)
        if failure.error == .stopped(.cancelled) {
            job.terminate(code, sentence(failure))
        } else {
            job.fail(code, sentence(failure))
        }
        return code
    }

    private func timer(_ timeout: Duration) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "vhdresync.timeout"))
        timer.setEventHandler { [progress] in progress.requestStop(.timeout) }
        timer.schedule(deadline: .now() + timeout.seconds)
        timer.resume()
        return timer
    }
}
