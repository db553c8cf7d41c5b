internal import Storage
internal import Synchronization

/// Why a running resynchronization was asked to stop.
public enum StopReason: Int, Error, Equatable, Sendable {
    case cancelled = 1
    case timeout = 2
}

/// The thread-safe view of a running resynchronization: counts out, a request to stop in.
public final class ResyncMonitor: Sendable {
    /// What changes between phases, while no worker counts.
    private struct Stage {
        var plan = JobPlan.looking
        var phase = ResyncPhase.opening
        var bytesToDo: UInt64 = 0
        /// The part of the job that the phase is.
        var start = 0.0
        var end = 0.0
        var state = ReplicaState()
    }

    private let stage = Lock(Stage())
    private let stopAction = Lock<(@Sendable () -> Void)?>(nil)
    private let lastRetry = Lock<Retry?>(nil)
    private let stopValue = Atomic<Int>(0)
    private let virtualSize = Atomic<UInt64>(0)
    private let blockSize = Atomic<Int>(0)
    private let blocksTotal = Atomic<UInt64>(0)
    private let blocksSkipped = Atomic<UInt64>(0)
    private let blocksCompared = Atomic<UInt64>(0)
    private let blocksDiffering = Atomic<UInt64>(0)
    private let bytesToZero = Atomic<UInt64>(0)
    private let blocksHeld = Atomic<UInt64>(0)
    private let bytesRead = Atomic<UInt64>(0)
    private let bytesHashed = Atomic<UInt64>(0)
    private let bytesWritten = Atomic<UInt64>(0)
    private let bytesCompared = Atomic<UInt64>(0)
    private let bytesRecorded = Atomic<UInt64>(0)
    private let bytesApplied = Atomic<UInt64>(0)
    private let bytesVerified = Atomic<UInt64>(0)
    private let bytesDone = Atomic<UInt64>(0)
    private let bytesSent = Atomic<UInt64>(0)
    private let bytesReceived = Atomic<UInt64>(0)

    public init() {}

    public var phase: ResyncPhase { stage.withLock { $0.phase } }

    /// What the run would leave behind, if it ended now.
    public var replicaState: ReplicaState { stage.withLock { $0.state } }

    public var preparation: ReplicaPreparation { replicaState.preparation }

    public var condition: ReplicaCondition { replicaState.condition }

    public var counts: ResyncCounts { progress.counts }

    public var progress: ResyncProgress {
        stage.withLock { stage in
            ResyncProgress(
                phase: stage.phase, counts: counts(stage), shareOfJob: shareOfJob(stage),
                blockSize: blockSize.load(ordering: .relaxed))
        }
    }

    private func shareOfJob(_ stage: Stage) -> Double {
        guard stage.phase != .finished else { return 1 }
        guard stage.bytesToDo > 0 else { return stage.start }
        let done = Double(bytesDone.load(ordering: .relaxed)) / Double(stage.bytesToDo)
        return stage.start + (stage.end - stage.start) * min(done, 1)
    }

    private func counts(_ stage: Stage) -> ResyncCounts {
        var counts = ResyncCounts()
        counts.virtualSize = virtualSize.load(ordering: .relaxed)
        counts.blocksTotal = blocksTotal.load(ordering: .relaxed)
        counts.blocksSkipped = blocksSkipped.load(ordering: .relaxed)
        counts.blocksCompared = blocksCompared.load(ordering: .relaxed)
        counts.blocksDiffering = blocksDiffering.load(ordering: .relaxed)
        counts.bytesToZero = bytesToZero.load(ordering: .relaxed)
        counts.blocksHeld = blocksHeld.load(ordering: .relaxed)
        counts.bytesRead = bytesRead.load(ordering: .relaxed)
        counts.bytesHashed = bytesHashed.load(ordering: .relaxed)
        counts.bytesWritten = bytesWritten.load(ordering: .relaxed)
        counts.bytesCompared = bytesCompared.load(ordering: .relaxed)
        counts.bytesRecorded = bytesRecorded.load(ordering: .relaxed)
        counts.bytesApplied = bytesApplied.load(ordering: .relaxed)
        counts.bytesVerified = bytesVerified.load(ordering: .relaxed)
        counts.bytesDone = bytesDone.load(ordering: .relaxed)
        counts.bytesSent = bytesSent.load(ordering: .relaxed)
        counts.bytesReceived = bytesReceived.load(ordering: .relaxed)
        counts.bytesToDo = stage.bytesToDo
        return counts
    }

    /// The last other call that was decided on after a connection broke; nil before the first.
    public var retry: Retry? { lastRetry.withLock { $0 } }

    func note(_ retry: Retry) { lastRetry.withLock { $0 = retry } }

    /// Asks the run to stop at the next block. It ends with ``ResyncError/stopped(_:)`` and leaves
    /// what ``replicaState`` says. Safe in a signal handler's thread; the first reason stays.
    public func requestStop(_ reason: StopReason) {
        _ = stopValue.compareExchange(
            expected: 0, desired: reason.rawValue, ordering: .acquiringAndReleasing)
        stopAction.withLock { $0 }?()
    }

    /// What is to be done when a stop is requested, in place of what was to be done before: to wake a
    /// thread that waits. Done at once where a stop was requested already.
    func whenStopped(_ action: (@Sendable () -> Void)?) {
        stopAction.withLock { $0 = action }
        if stopReason != nil { action?() }
    }

    /// Why the run is to stop, or nil.
    public var stopReason: StopReason? {
        StopReason(rawValue: stopValue.load(ordering: .acquiring))
    }

    // MARK: For who does the work

    func note(_ preparation: ReplicaPreparation) {
        stage.withLock { $0.state.preparation = preparation }
    }

    func note(_ condition: ReplicaCondition) {
        stage.withLock { $0.state.condition = condition }
    }

    func note(_ journal: JournalCondition) {
        stage.withLock { stage in
            stage.state.journal = journal
            stage.state.journalPath = journal.path ?? stage.state.journalPath
        }
    }

    func note(isMarkable: Bool) {
        stage.withLock { $0.state.isMarkable = isMarkable }
    }

    func noteWritingInPlace() {
        stage.withLock { $0.state.isWrittenInPlace = true }
    }

    /// What an earlier run began is done, and what this one is to do begins.
    func noteFinishedEarlierRun() {
        stage.withLock { stage in
            stage.state.condition = .untouched
            stage.state.finishedEarlierRun = true
        }
    }

    /// What is to be written, by the word of a journal that an earlier run committed.
    func noteBlocks(of trailer: DeltaTrailer?) {
        guard let trailer else { return }
        var counts = ResyncCounts()
        // What a damaged trailer says was found out before.
        counts.blocksHeld = trailer.dataBlockCount &+ trailer.zeroBlockCount
        counts.blocksDiffering = counts.blocksHeld
        add(counts)
    }

    /// How far the phases that come next take the job.
    func expect(_ plan: JobPlan) {
        stage.withLock { $0.plan = plan }
    }

    /// Begins a phase with so many bytes to do. Not while a worker counts.
    func begin(_ phase: ResyncPhase, bytesToDo: UInt64 = 0) {
        stage.withLock { stage in
            stage.start = shareOfJob(stage)
            bytesDone.store(0, ordering: .relaxed)
            stage.phase = phase
            stage.end = max(stage.start, stage.plan.end(of: phase))
            stage.bytesToDo = bytesToDo
        }
    }

    /// Follows the phase of the other side of a run, which this one waits for.
    package func follow(_ status: RemoteStatus) {
        let bytesToDo = min(status.bytesToDo, RemoteCounts.maximum)
        if status.phase != phase { begin(status.phase, bytesToDo: bytesToDo) }
        bytesDone.store(min(status.bytesDone, bytesToDo), ordering: .relaxed)
    }

    /// Notes what crossed the connections of a run.
    func note(
        traffic: (sent: UInt64, received: UInt64), since before: (sent: UInt64, received: UInt64)
    ) {
        bytesSent.store(traffic.sent - before.sent, ordering: .relaxed)
        bytesReceived.store(traffic.received - before.received, ordering: .relaxed)
    }

    /// Adds what the other side of a run has counted, but for what this side has counted too.
    package func add(_ counts: RemoteCounts, ofReceiver: Bool) {
        let counts = counts.bounded
        var more = ResyncCounts()
        more.bytesRead = counts.bytesRead
        more.bytesHashed = counts.bytesHashed
        if ofReceiver {
            more.bytesWritten = counts.bytesWritten
            more.bytesApplied = counts.bytesApplied
            more.bytesVerified = counts.bytesVerified
            more.blocksHeld = counts.blocksHeld
            bytesRecorded.store(counts.bytesRecorded, ordering: .relaxed)
            // It alone knows what it had where all is to become zeros.
            blocksDiffering.store(counts.blocksDiffering, ordering: .relaxed)
        }
        add(more)
    }

    /// Forgets what was counted of a comparison, since it is done once more.
    func restart() {
        blocksSkipped.store(0, ordering: .relaxed)
        blocksCompared.store(0, ordering: .relaxed)
        blocksDiffering.store(0, ordering: .relaxed)
        bytesToZero.store(0, ordering: .relaxed)
        blocksHeld.store(0, ordering: .relaxed)
        bytesCompared.store(0, ordering: .relaxed)
        bytesRecorded.store(0, ordering: .relaxed)
    }

    func setDisk(_ virtualSize: UInt64, blockSize: Int) {
        self.virtualSize.store(virtualSize, ordering: .relaxed)
        self.blockSize.store(blockSize, ordering: .relaxed)
        blocksTotal.store(
            DigestTree.blockCount(virtualSize: virtualSize, blockSize: blockSize),
            ordering: .relaxed)
    }

    /// Adds the counts of a piece of work; its `virtualSize`, `blocksTotal` and `bytesToDo` are not
    /// looked at.
    func add(_ counts: ResyncCounts) {
        blocksSkipped.add(counts.blocksSkipped)
        blocksCompared.add(counts.blocksCompared)
        blocksDiffering.add(counts.blocksDiffering)
        bytesToZero.add(counts.bytesToZero)
        blocksHeld.add(counts.blocksHeld)
        bytesRead.add(counts.bytesRead)
        bytesHashed.add(counts.bytesHashed)
        bytesWritten.add(counts.bytesWritten)
        bytesCompared.add(counts.bytesCompared)
        bytesRecorded.add(counts.bytesRecorded)
        bytesApplied.add(counts.bytesApplied)
        bytesVerified.add(counts.bytesVerified)
        bytesDone.add(counts.bytesDone)
    }
}

extension Atomic<UInt64> {
    /// Adds what there is to add. Who writes takes the cache line away from all other processors.
    fileprivate func add(_ count: UInt64) {
        if count > 0 { _ = wrappingAdd(count, ordering: .relaxed) }
    }
}
