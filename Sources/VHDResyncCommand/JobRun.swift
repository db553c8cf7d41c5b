internal import Dispatch
internal import Replication
internal import Resync
internal import Storage

/// One job of the engine, from its start to its result: what the verbs with a disk have in common.
struct JobRun {
    /// What is known of the disk before the run: names and block size.
    var disk: DiskReport
    var invocation: Invocation
    /// Whether the run may change the replica, so that an error says what became of it.
    var isWriting = false
    /// The result for people, of a run that succeeded.
    var summary: (DiskReport, Duration) -> String
    var work: (ResyncMonitor) throws(ResyncError) -> DiskReport

    /// Runs the job on this thread and writes its result.
    func run() -> ReturnCode {
        let monitor = ResyncMonitor()
        let job = ConcreteJob()
        let style = ProgressStyle(
            invocation.progress, isQuiet: invocation.isQuiet,
            isTerminal: StandardStream.error.isTerminal)
        let reporter = ProgressReporter(monitor, job, style: style)
        let signals = StopSignals(
            status: ReturnCode.failed.exitStatus,
            first: { monitor.requestStop(.cancelled) },
            second: { if style == .bar { StandardStream.error.write(ProgressPrinter.erasing) } })
        let timer = invocation.timeout.map { Self.timer($0, monitor) }
        job.start()
        let outcome = reporter.report { () -> Result<DiskReport, ResyncError> in
            do throws(ResyncError) {
                return .success(try work(monitor))
            } catch {
                return .failure(error)
            }
        }
        timer?.cancel()
        return withExtendedLifetime(signals) { finish(job, monitor, outcome) }
    }

    private func finish(
        _ job: ConcreteJob, _ monitor: ResyncMonitor, _ outcome: Result<DiskReport, ResyncError>
    ) -> ReturnCode {
        switch outcome {
        case .success(let report):
            job.complete()
            if invocation.wantsJSON {
                return Output.json(ResultObject(.completed, job, disks: [report]), .completed)
            }
            if invocation.isQuiet { return .completed }
            return Output.text(summary(report, job.properties.elapsedTime), .completed)
        case .failure(let error):
            var report = disk
            report.counts = monitor.counts
            let code = ReturnCode(error)
            let sentence = ErrorSentence(
                error: error, disk: report, state: isWriting ? monitor.replicaState : nil,
                verb: invocation.verb, options: invocation.options
            ).text
            if error == .stopped(.cancelled) {
                job.terminate(code, sentence)
            } else {
                job.fail(code, sentence)
            }
            return Output.failure(
                code, job, sentence, disks: [report], wantsJSON: invocation.wantsJSON)
        }
    }

    private static func timer(
        _ timeout: Duration, _ monitor: ResyncMonitor
    ) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "vhdresync.timeout"))
        timer.setEventHandler { monitor.requestStop(.timeout) }
        timer.schedule(deadline: .now() + timeout.seconds)
        timer.resume()
        return timer
    }
}
