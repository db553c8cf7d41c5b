internal import Dispatch
internal import Replication
internal import Resync
internal import Storage

/// One job of the engine, from its start to its result: what the verbs with a disk have in common.
struct JobRun {
    var invocation: Invocation
    /// What the job does, one disk after another. The first failure ends it.
    var disks: [DiskRun]
    /// What is to be done when the disks are, before the result is written.
    var ended: () -> Void = {}

    /// What became of the disks.
    private struct Outcome {
        /// Those that are done, with the time that each has taken.
        var done: [(report: DiskReport, elapsed: Duration)] = []
        var failure: Failure?
    }

    private struct Failure {
        var error: ResyncError
        var report: DiskReport
        var state: ReplicaState
    }

    /// Runs the job on this thread and writes its result.
    func run() -> ReturnCode {
        let progress = JobProgress(diskCount: disks.count)
        let job = ConcreteJob()
        let style = ProgressStyle(
            invocation.progress, isQuiet: invocation.isQuiet,
            isTerminal: StandardStream.error.isTerminal)
        let reporter = ProgressReporter(progress, job, style: style)
        let signals = StopSignals(
            status: ReturnCode.failed.exitStatus,
            first: { progress.requestStop(.cancelled) },
            second: { if style == .bar { StandardStream.error.write(ProgressPrinter.erasing) } })
        let timer = invocation.timeout.map { Self.timer($0, progress) }
        job.start()
        let outcome = reporter.report { () -> Outcome in
            defer { ended() }
            return work(progress, job)
        }
        timer?.cancel()
        return withExtendedLifetime(signals) { finish(job, outcome) }
    }

    private func work(_ progress: JobProgress, _ job: ConcreteJob) -> Outcome {
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

    private func finish(_ job: ConcreteJob, _ outcome: Outcome) -> ReturnCode {
        let reports = outcome.done.map(\.report)
        let texts = zip(disks, outcome.done).map { $0.summary($1.report, $1.elapsed) }
        guard let failure = outcome.failure else {
            job.complete()
            if invocation.wantsJSON {
                return Output.json(ResultObject(.completed, job, disks: reports), .completed)
            }
            if invocation.isQuiet { return .completed }
            return Output.text(texts.joined(), .completed)
        }
        let code = ReturnCode(failure.error)
        let sentence = sentence(failure, reports)
        if failure.error == .stopped(.cancelled) {
            job.terminate(code, sentence)
        } else {
            job.fail(code, sentence)
        }
        let left = disks.dropFirst(reports.count + 1).map(\.disk)
        if !texts.isEmpty, !invocation.wantsJSON, !invocation.isQuiet {
            // The failure is what counts, even where this cannot be written.
            _ = Output.text(texts.joined(), code)
        }
        return Output.failure(
            code, job, sentence, disks: reports + [failure.report] + left,
            wantsJSON: invocation.wantsJSON)
    }

    /// What went wrong, and with which of several disks.
    private func sentence(_ failure: Failure, _ done: [DiskReport]) -> String {
        let run = disks[done.count]
        let isReplicaHere = run.remote?.role != .replica
        let sentence = ErrorSentence(
            error: failure.error, disk: failure.report,
            state: run.isWriting && isReplicaHere ? failure.state : nil, verb: invocation.verb,
            options: invocation.options, remote: run.remote
        ).text
        guard disks.count > 1 else { return sentence }
        var clauses = ["disk \(done.count + 1) of \(disks.count): \(sentence)"]
        if !done.isEmpty { clauses.append("done before: \(Self.names(done))") }
        let left = disks.dropFirst(done.count + 1).map(\.disk)
        if !left.isEmpty { clauses.append("not begun: \(Self.names(left))") }
        return clauses.joined(separator: "; ")
    }

    /// As many names as a sentence can bear.
    private static func names(_ reports: [DiskReport]) -> String {
        let names = reports.prefix(10).map { $0.replica ?? $0.primary }.joined(separator: ", ")
        return reports.count > 10 ? "\(names) and \(reports.count - 10) more" : names
    }

    private static func timer(
        _ timeout: Duration, _ progress: JobProgress
    ) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "vhdresync.timeout"))
        timer.setEventHandler { progress.requestStop(.timeout) }
        timer.schedule(deadline: .now() + timeout.seconds)
        timer.resume()
        return timer
    }
}

extension JobRun {
    /// A job with one disk.
    init(
        disk: DiskReport, invocation: Invocation, isWriting: Bool = false,
        summary: @escaping (DiskReport, Duration) -> String,
        work: @escaping (ResyncMonitor) throws(ResyncError) -> DiskReport
    ) {
        self.init(
            invocation: invocation,
            disks: [DiskRun(disk: disk, isWriting: isWriting, summary: summary, work: work)])
    }
}
