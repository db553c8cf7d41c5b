internal import Dispatch
internal import Resync
internal import Storage
internal import Transport

/// Makes the disks of a machine read as they should, one after another, each transfer in a thread of its
/// own.
public struct DiskTransferRunner: TransferRunner {
    /// How often a job is told how far it is.
    private static let reportMilliseconds = 500

    public init() {}

    public func begin(_ transfer: Transfer) -> @Sendable () -> Void {
        let options = JobOptions(transfer.relationship)
        let pairs = zip(transfer.machine.disks, transfer.relationship.replicas).map {
            ResyncPair(primary: .local($0.path), replica: $1)
        }
        let work = DiskJob(diskCount: pairs.count)
        DispatchQueue(label: "vhdresync.transfer").async {
            transfer.end(Self.outcome(of: transfer.job, work, pairs, options))
        }
        return { work.requestStop(.cancelled) }
    }

    private static func outcome(
        of job: ConcreteJob, _ work: DiskJob, _ pairs: [ResyncPair], _ options: JobOptions
    ) -> TransferOutcome {
        do throws(CodedError) {
            try options.check()
            for pair in pairs where !pair.replica.isRemote {
                try onEngine { () throws(ResyncError) in
                    try options.resync.check(replica: pair.replica.path)
                }
            }
        } catch {
            return TransferOutcome(.failed(error, .permanent))
        }
        let (runs, end) = DiskRun.resync(pairs, options.resync, options.remote)
        let reporting = reporting(work, to: job)
        let outcome = work.run(runs)
        reporting.cancel()
        end()
        return TransferOutcome(outcome, work, runs, options)
    }

    private static func reporting(
        _ work: DiskJob, to job: ConcreteJob
    ) -> any DispatchSourceTimer {
        let figures = Lock(DiskFigures())
        let timer = DispatchSource.makeTimerSource(
            queue: DispatchQueue(label: "vhdresync.transfer.progress"))
        timer.setEventHandler {
            let sample = work.sample()
            let sum = figures.withLock { $0.sum(with: sample) }
            job.report(
                sum, share: Double(sample.percentComplete) / 100, activity: sample.activity)
        }
        timer.schedule(deadline: .now(), repeating: .milliseconds(reportMilliseconds))
        timer.resume()
        return timer
    }
}

/// What the disks of a job have come to, of which a sample shows one.
private struct DiskFigures: Sendable {
    private var figures: [Int: JobFigures] = [:]

    mutating func sum(with sample: ProgressSample) -> JobFigures {
        figures[sample.diskNumber] = JobFigures(sample.counts, blockSize: sample.blockSize)
        return JobFigures(adding: Array(figures.values))
    }
}

extension JobFigures {
    fileprivate init(_ counts: ResyncCounts, blockSize: Int) {
        // The last block of a disk may be a part of one.
        let differing = counts.blocksDiffering.multipliedReportingOverflow(by: UInt64(blockSize))
        self.init(
            bytesCompared: counts.bytesCompared,
            bytesDiffering: min(
                differing.overflow ? .max : differing.partialValue, counts.virtualSize),
            bytesSent: counts.bytesSent)
    }

    fileprivate init(adding all: [JobFigures]) {
        self.init()
        for figures in all {
            bytesCompared += figures.bytesCompared
            bytesDiffering += figures.bytesDiffering
            bytesSent += figures.bytesSent
        }
    }
}

extension TransferOutcome {
    fileprivate init(
        _ outcome: DiskJob.Outcome, _ work: DiskJob, _ runs: [DiskRun], _ options: JobOptions
    ) {
        var disks = outcome.done.map { report, elapsed in
            DiskOutcome(report: report, code: .completed, elapsedTime: elapsed)
        }
        var sentence = ""
        let code = work.end(outcome) { failure in
            let run = runs[outcome.done.count]
            let text = FailureText(
                error: failure.error, disk: failure.report, state: failure.stateLeft(by: run),
                options: options.resync, remote: run.remote)
            sentence = [text.cause, text.consequence].filter { !$0.isEmpty }.joined(separator: "; ")
            return sentence
        }
        if let failure = outcome.failure {
            disks.append(
                DiskOutcome(
                    report: failure.report, code: code, errorDescription: sentence,
                    elapsedTime: .zero))
            self.init(
                failure.error == .stopped(.cancelled)
                    ? .stopped(sentence)
                    : .failed(CodedError(code, sentence), RetryClass(failure.error)))
        } else {
            self.init(.succeeded)
        }
        self.disks = disks
        figures = JobFigures(
            adding: disks.map { JobFigures($0.report.counts, blockSize: $0.report.blockSize) })
    }
}

extension JobOptions {
    /// As the inventory says.
    fileprivate init(_ relationship: Inventory.Relationship) {
        self.init()
        let settings = relationship.settings
        resync.blockSize = settings.blockSize
        if case .folder = relationship.recoveryConnectionPoint {
            resync.journalFolder = settings.journalFolder
        }
        remote.shell = settings.remoteShell
        remote.command = settings.remoteCommand
        remote.certificate = settings.certificates?.certificatePath ?? ""
        remote.key = settings.certificates?.keyPath ?? ""
        remote.authorities = settings.certificates?.caPath ?? ""
        remote.bytesPerSecond = settings.bandwidthLimit
        remote.retryCount = settings.retryCount
        remote.idleTimeoutSeconds = settings.idleTimeoutSeconds.map(Double.init)
    }
}
