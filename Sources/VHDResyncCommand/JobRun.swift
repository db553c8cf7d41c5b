internal import Replication
internal import Resync
internal import Storage

/// One job of the engine, from its start to its result: what the verbs with a disk have in common.
struct JobRun {
    var invocation: Invocation
    /// What the job does, one disk after another. The first failure ends it.
    var disks: [DiskRun]
    /// The result for people, of a disk that is done.
    var summary: (DiskReport, Duration) -> String
    /// What is to be done when the disks are, before the result is written.
    var ended: () -> Void = {}

    /// Runs the job on this thread and writes its result.
    func run() -> ReturnCode {
        let job = DiskJob(diskCount: disks.count)
        let style = ProgressStyle(
            invocation.progress, isQuiet: invocation.isQuiet,
            isTerminal: StandardStream.error.isTerminal)
        let reporter = ProgressReporter(job, style: style)
        let signals = StopSignals(
            status: ReturnCode.failed.exitStatus,
            first: { job.requestStop(.cancelled) },
            second: { if style == .bar { StandardStream.error.write(ProgressPrinter.erasing) } })
        let outcome = reporter.report { () -> DiskJob.Outcome in
            defer { ended() }
            return job.run(disks, timeout: invocation.timeout)
        }
        return withExtendedLifetime(signals) { finish(job, outcome) }
    }

    private func finish(_ job: DiskJob, _ outcome: DiskJob.Outcome) -> ReturnCode {
        let texts = outcome.done.map { summary($0.report, $0.elapsed) }
        var sentence = ""
        let code = job.end(outcome) { failure in
            sentence = self.sentence(failure, outcome.done.map(\.report))
            return sentence
        }
        let reports = outcome.reports(of: disks)
        guard code != .completed else {
            if invocation.wantsJSON {
                return Output.json(ResultObject(code, job.job, disks: reports), code)
            }
            if invocation.isQuiet { return code }
            return Output.text(texts.joined(), code)
        }
        if !texts.isEmpty, !invocation.wantsJSON, !invocation.isQuiet {
            // The failure is what counts, even where this cannot be written.
            _ = Output.text(texts.joined(), code)
        }
        return Output.failure(
            code, job.job, sentence, disks: reports, wantsJSON: invocation.wantsJSON)
    }

    /// What went wrong, and with which of several disks.
    private func sentence(_ failure: DiskJob.Failure, _ done: [DiskReport]) -> String {
        let run = disks[done.count]
        let sentence = ErrorSentence(
            error: failure.error, disk: failure.report, state: failure.stateLeft(by: run),
            verb: invocation.verb, options: invocation.options, remote: run.remote
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
}
