internal import Dispatch
internal import Resync
internal import Storage
internal import Transport

/// Makes the disks of a machine new together.
///
/// 1. Each is prepared: everything that differs is in its journal, durable and proven.
/// 2. Each is checked: primary and replica are still what was compared.
/// 3. It is decided, durably, that all become new.
/// 4. Each is finished. What fails then is finished by the next attempt.
///
/// What an earlier job has decided, or this one before a restart, is finished first.
struct MachineTransfer: Sendable {
    let transfer: Transfer
    let progress: MachineProgress
    let options: JobOptions

    /// How often the job is told how far it is.
    private static let reportMilliseconds = 500

    init(_ transfer: Transfer) {
        self.transfer = transfer
        options = JobOptions(transfer.relationship)
        progress = MachineProgress(diskCount: max(transfer.machine.disks.count, 1))
    }

    func run() -> TransferOutcome {
        var disks = MachineDisks(transfer, options)
        let decided = transfer.decision.map { disks.decided($0, transfer.machine) } ?? []
        do throws(CodedError) {
            try options.check()
            for disk in disks.disks where disk.peer == nil {
                try onEngine { () throws(ResyncError) in
                    try disk.options.check(replica: disk.replica.path)
                }
            }
        } catch {
            return TransferOutcome(.failed(error, .permanent))
        }
        let reporting = reporting()
        var outcome = work(disks.disks, decided)
        reporting.cancel()
        outcome.figures = progress.figures
        disks.close()
        return outcome
    }

    private func reporting() -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(
            queue: DispatchQueue(label: "vhdresync.transfer.progress"))
        timer.setEventHandler { [progress, job = transfer.job] in progress.report(to: job) }
        timer.schedule(deadline: .now(), repeating: .milliseconds(Self.reportMilliseconds))
        timer.resume()
        return timer
    }

    private func work(
        _ disks: [MachineDisk], _ decided: [(disk: MachineDisk, journal: PreparedJournal)]
    ) -> TransferOutcome {
        guard let decision = transfer.decision else { return makeNew(disks) }
        if decision.isOwn { return outcome(of: finish(decided, .finishing)) }
        // What it writes meanwhile can only be finished.
        guard !progress.isStopping, transfer.job.passCommitPoint() else {
            return TransferOutcome(
                .stopped("stopped on request; what an earlier job has decided is still to be done"))
        }
        let finished = finish(decided, .finishingEarlier)
        transfer.job.withdrawCommitPoint()
        // What cannot be finished any more becomes new as any other disk, by a decision of its own.
        if finished.isStopped || finished.failures.contains(where: \.isTransient) {
            return outcome(of: finished)
        }
        if finished.failures.isEmpty {
            do throws(StoreError) {
                try transfer.noteCarriedOut()
            } catch {
                return failure(of: error, "what an earlier job has decided is carried out")
            }
        }
        return makeNew(disks)
    }

    private var elapsedTime: Duration { transfer.job.properties.elapsedTime }

    // MARK: Before the decision

    /// A disk up to the decision.
    private struct Prepared {
        var disk: MachineDisk
        var prepared: PreparedDisk
        var elapsedTime: Duration

        var outcome: DiskOutcome {
            DiskOutcome(
                report: prepared.report, code: prepared.journal == nil ? .completed : nil,
                elapsedTime: elapsedTime, position: disk.position)
        }
    }

    private func makeNew(_ disks: [MachineDisk]) -> TransferOutcome {
        var prepared: [Prepared] = []
        for disk in disks {
            let monitor = progress.begin(.preparing, disk.position, disk.side)
            let start = elapsedTime
            do throws(ResyncError) {
                let made = try disk.prepare(monitor)
                prepared.append(
                    Prepared(disk: disk, prepared: made, elapsedTime: elapsedTime - start))
            } catch {
                return unchanged(prepared, DiskFailure(disk, error, monitor))
            }
        }
        for item in prepared {
            let monitor = progress.begin(.checking, item.disk.position, item.disk.side)
            do throws(ResyncError) {
                try item.disk.check(item.prepared, monitor)
            } catch {
                return unchanged(prepared, DiskFailure(item.disk, error, monitor))
            }
        }
        return decide(prepared)
    }

    private func decide(_ prepared: [Prepared]) -> TransferOutcome {
        let job = transfer.job
        let disks = prepared.compactMap { item in
            item.prepared.journal.map { journal in
                StoredDecidedDisk(
                    job: job.properties.instanceID, position: item.disk.position,
                    replica: item.disk.replica, journalFolder: item.disk.options.journalFolder,
                    journal: journal)
            }
        }
        var outcome = TransferOutcome(.succeeded)
        outcome.disks = prepared.map(\.outcome)
        guard !disks.isEmpty else { return outcome }
        guard !progress.isStopping, job.passCommitPoint() else {
            outcome.ending = .stopped("stopped on request; " + words(unchanged: prepared))
            return outcome
        }
        do throws(StoreError) {
            try transfer.decide(disks, outcome.disks)
        } catch {
            job.withdrawCommitPoint()
            return failure(of: error, words(unchanged: prepared))
        }
        let finished = finish(
            prepared.compactMap { item in
                item.prepared.journal.map { (disk: item.disk, journal: $0) }
            }, .finishing)
        return self.outcome(of: finished, after: prepared)
    }

    private func unchanged(_ prepared: [Prepared], _ failure: DiskFailure) -> TransferOutcome {
        let sentence = [
            words(of: failure), failure.consequence(options),
            words(unchanged: prepared, failure),
        ].filter { !$0.isEmpty }.joined(separator: "; ")
        var outcome = TransferOutcome(
            failure.error == .stopped(.cancelled)
                ? .stopped(sentence)
                : .failed(
                    CodedError(ReturnCode(failure.error), sentence), RetryClass(failure.error)))
        outcome.disks = prepared.map(\.outcome).filter { $0.position != failure.disk.position }
        outcome.disks.append(failure.outcome(sentence))
        return outcome
    }

    private func failure(of error: StoreError, _ consequence: String) -> TransferOutcome {
        // It may take the next one.
        TransferOutcome(
            .failed(CodedError(ReturnCode(error), "\(error); \(consequence)"), .transient))
    }

    // MARK: From the decision on

    private struct Finished {
        var disks: [DiskOutcome] = []
        var failures: [DiskFailure] = []
        /// Whether somebody has asked for the end, so that some may not have been begun.
        var isStopped = false
        /// What was not done.
        var left: [Int] = []
    }

    private func finish(
        _ disks: [(disk: MachineDisk, journal: PreparedJournal)], _ stage: MachineProgress.Stage
    ) -> Finished {
        var finished = Finished()
        for (disk, journal) in disks {
            finished.isStopped = finished.isStopped || progress.isStopping
            guard !finished.isStopped else {
                finished.left.append(disk.position)
                continue
            }
            let monitor = progress.begin(stage, disk.position, disk.side)
            let start = elapsedTime
            do throws(ResyncError) {
                let report = try disk.finish(journal, monitor)
                finished.disks.append(
                    DiskOutcome(
                        report: report, code: .completed, elapsedTime: elapsedTime - start,
                        position: disk.position))
            } catch {
                let failure = DiskFailure(disk, error, monitor)
                finished.failures.append(failure)
                finished.disks.append(failure.outcome(words(of: failure)))
                finished.left.append(disk.position)
                finished.isStopped = error == .stopped(.cancelled)
            }
        }
        return finished
    }

    private func outcome(
        of finished: Finished, after prepared: [Prepared] = []
    ) -> TransferOutcome {
        var outcome = TransferOutcome(.succeeded)
        outcome.disks = prepared.map(\.outcome)
        for disk in finished.disks {
            if let index = outcome.disks.firstIndex(where: { $0.position == disk.position }) {
                outcome.disks[index].add(disk)
            } else {
                outcome.disks.append(disk)
            }
        }
        guard !finished.left.isEmpty else { return outcome }
        let sentence = (finished.failures.map(words(of:)) + [words(left: finished.left)])
            .joined(separator: "; ")
        if finished.isStopped {
            outcome.ending = .stopped(sentence)
        } else if let first = finished.failures.first(where: \.isTransient)
            ?? finished.failures.first
        {
            outcome.ending = .failed(
                CodedError(ReturnCode(first.error), sentence), RetryClass(first.error))
        }
        return outcome
    }

    // MARK: Words

    private var diskCount: Int { transfer.machine.disks.count }

    private func words(of failure: DiskFailure) -> String {
        guard diskCount > 1 else { return failure.cause(options) }
        let name = failure.disk.name.isEmpty ? "" : " (\(failure.disk.name.printable))"
        return "disk \(failure.disk.position + 1) of \(diskCount)\(name): "
            + failure.cause(options)
    }

    private func words(unchanged prepared: [Prepared], _ failure: DiskFailure? = nil) -> String {
        let words = diskCount > 1 ? "none of the disks was changed" : "the disk was not changed"
        let hasFinished =
            failure?.hasChanged == true
            || prepared.contains { item in
                if case .finished = item.prepared.report.recovery { true } else { false }
            }
        return hasFinished ? words + " but as an earlier run had committed" : words
    }

    private func words(left: [Int]) -> String {
        let new = (0..<diskCount).filter { !left.contains($0) }
        let isOne = left.count == 1
        let later = "\(Self.list(left)) \(isOne ? "becomes" : "become") new with the next attempt"
        guard !new.isEmpty else { return later }
        return "\(Self.list(new)) \(new.count == 1 ? "is" : "are") new, and \(later)"
    }

    /// "disk 1", "disks 1 and 3", "disks 1, 2 and 4".
    private static func list(_ positions: [Int]) -> String {
        let numbers = positions.sorted().map { "\($0 + 1)" }
        guard let last = numbers.last, numbers.count > 1 else {
            return "disk \(numbers.first ?? "")"
        }
        return "disks " + numbers.dropLast().joined(separator: ", ") + " and " + last
    }
}

/// How a disk of a machine has failed.
struct DiskFailure: Sendable {
    var disk: MachineDisk
    var error: ResyncError
    var report: DiskReport
    var state: ReplicaState

    init(_ disk: MachineDisk, _ error: ResyncError, _ monitor: ResyncMonitor) {
        self.disk = disk
        self.error = error
        report = disk.report
        report.counts = monitor.counts
        state = monitor.replicaState
    }

    /// Whether another attempt may fare better.
    var isTransient: Bool { RetryClass(error) == .transient }

    /// Whether something was done to the replica here: what an earlier run had begun.
    var hasChanged: Bool {
        state.finishedEarlierRun || [.halfWritten, .written].contains(state.condition)
    }

    private func text(_ options: JobOptions) -> FailureText {
        FailureText(
            error: error, disk: report, state: disk.peer == nil ? state : nil,
            options: options.resync, remote: disk.side)
    }

    func cause(_ options: JobOptions) -> String { text(options).cause }

    /// What it means for a replica that was not whole.
    func consequence(_ options: JobOptions) -> String {
        switch state.condition {
        case .untouched: ""
        case .foundHalfWritten, .halfWritten, .written: text(options).consequence
        }
    }

    func outcome(_ sentence: String) -> DiskOutcome {
        DiskOutcome(
            report: report, code: ReturnCode(error), errorDescription: sentence,
            elapsedTime: .zero, position: disk.position)
    }
}

extension DiskOutcome {
    /// What came of the disk later in the same transfer.
    fileprivate mutating func add(_ later: DiskOutcome) {
        code = later.code
        errorDescription = later.errorDescription
        elapsedTime += later.elapsedTime
        report.isVerified = later.report.isVerified
        report.counts.bytesRead += later.report.counts.bytesRead
        report.counts.bytesHashed += later.report.counts.bytesHashed
        report.counts.bytesWritten += later.report.counts.bytesWritten
        report.counts.bytesApplied += later.report.counts.bytesApplied
        report.counts.bytesVerified += later.report.counts.bytesVerified
        report.counts.bytesSent += later.report.counts.bytesSent
        report.counts.bytesReceived += later.report.counts.bytesReceived
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
