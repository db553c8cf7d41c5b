internal import BlockIO
internal import Storage

/// The side of a run over two hosts that has the primary: hashes it, finds with the receiver what
/// differs, and sends that.
///
/// One thread reads and hashes, and between two windows reads what is to be sent once more; another
/// takes messages, so that a question never waits for a disk. What is sent waits in the channel, so
/// much and no more.
struct RemoteSender: Sendable {
    let channel: PeerChannel
    /// The block size that both sides use, among others.
    let options: ResyncOptions
    let monitor: ResyncMonitor
    /// What to call the primary in a message.
    let path: String
    /// Whether the receiver was asked about a run that it may have finished.
    var expectsDone = false
    /// Whether the receiver was asked to prepare its replica.
    var isPreparing = false
    /// Whether the receiver's greeting was seen.
    var isGreeted = true
    /// What to tell the receiver of an error.
    let describe: @Sendable (ResyncError) -> PeerFailure

    /// What became of the replica.
    struct Outcome: Sendable {
        var result: RemoteResult
        /// What finishes it, where it was prepared and anything is to be done.
        var prepared: PreparedJournal?
    }

    /// Sends what differs, and waits until the receiver has written it.
    ///
    /// - Parameters:
    ///   - source: The primary.
    ///   - noteTarget: Called with what the receiver says of its disk.
    ///   - noteCommit: Called before the receiver is asked to commit: from then on nothing but its
    ///     answer tells what became of the replica.
    /// - Returns: what became of the replica.
    /// - Throws: what is wrong with the disk, the connection or the receiver.
    func run(
        _ source: borrowing PrimaryDisk,
        noteTarget: @escaping @Sendable (TargetOffer) -> Void = { _ in },
        noteCommit: () -> Void = {}
    ) throws(ResyncError) -> Outcome {
        let size = source.disk.virtualSize
        let zeros: ZeroDigests
        do throws(OutOfMemory) {
            zeros = try ZeroDigests(virtualSize: size, blockSize: options.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
        let geometry = RemoteGeometry(virtualSize: size, blockSize: options.blockSize)
        let session = try SenderSession(geometry, zeros, isDryRun: options.isDryRun)
        let offer = try source.offer()
        let state = ConditionLock(
            SenderState(
                session, expectsDone: expectsDone,
                preparedSource: isPreparing ? offer.state : nil))
        monitor.whenStopped {
            state.withLock { _ in }
            channel.closeSoon()
        }
        defer { monitor.whenStopped(nil) }
        channel.send(.source(offer))
        var failure: ResyncError?
        concurrently {
            do throws(ResyncError) {
                try send(source, state, noteCommit)
            } catch {
                failure = cause(of: error, state)
                // Whoever waits for this side need not wait any longer.
                channel.end(telling: failure.flatMap { $0.isOfPeer ? nil : describe($0) })
            }
        } _: {
            receive(state, noteTarget)
        }
        if let failure { throw failure }
        let (result, prepared) = state.withLock { ($0.result, $0.prepared) }
        guard let result else { preconditionFailure("who has no result has failed") }
        return Outcome(result: result, prepared: prepared)
    }

    /// Why this side cannot go on: where the connection broke, the other side may have said why.
    private func cause(of error: ResyncError, _ state: ConditionLock<SenderState>) -> ResyncError {
        if let reason = monitor.stopReason { return .stopped(reason) }
        guard case .connection = error else { return error }
        channel.closeSoon()
        return state.withLock(when: { $0.failure != nil }) { $0.failure ?? error }
    }

    // MARK: Receiving

    private func receive(
        _ state: ConditionLock<SenderState>, _ noteTarget: @Sendable (TargetOffer) -> Void
    ) {
        do throws(ResyncError) {
            if !isGreeted { try channel.checkGreeting() }
            while true {
                let message = try channel.next()
                if case .target(let target) = message { noteTarget(target) }
                let isLast = try state.withLock { (state) throws(ResyncError) in
                    let isLast = try state.received(message)
                    if case .status(let status) = message { monitor.follow(status) }
                    for message in state.session.takeOutgoing() { channel.sendUrgently(message) }
                    return isLast
                }
                if isLast { return }
            }
        } catch {
            state.withLock { $0.failure = $0.failure ?? error }
        }
    }

    // MARK: Sending

    private func send(
        _ source: borrowing PrimaryDisk, _ state: ConditionLock<SenderState>,
        _ noteCommit: () -> Void
    ) throws(ResyncError) {
        if expectsDone {
            // The receiver may be through with it already: then nothing needs to be read.
            let isDone = try wait(state, until: { $0.target != nil }) {
                $0.isDone
            }
            if isDone {
                try wait(state, until: { $0.result != nil }) { _ in }
                return
            }
        }
        let engine = try ComparisonEngine(
            virtualSize: source.disk.virtualSize, options: options,
            pass: options.isDryRun ? .digest : .record, monitor: monitor,
            windowByteCount: RemoteGeometry.windowByteCount)
        let recorder =
            options.isDryRun
            ? nil : DifferenceRecorder(continuing: RecordSender(channel), monitor)
        monitor.begin(.comparing, bytesToDo: source.disk.virtualSize)
        var isSentAtOnce = false
        let roots = try engine.run(
            alone: source.disk, sink: recorder,
            knowledge: { (_) throws(ResyncError) in
                isSentAtOnce = try prepareNextWindow(engine, source, recorder, state)
                return WindowKnowledge(isPrimaryWantedAlone: !isSentAtOnce)
            },
            consume: { (run) throws(ResyncError) in
                state.withLock { state in
                    if isSentAtOnce {
                        state.session.sentAtOnce(run)
                    } else {
                        state.session.hashed(run)
                    }
                    for message in state.session.takeOutgoing() { channel.sendUrgently(message) }
                }
            })
        guard let roots else { preconditionFailure("a comparison by digests has roots") }
        while try !wait(
            state, until: { $0.session.hasDifference || $0.session.isDone },
            { $0.session.isDone })
        {
            try sendDifferences(engine, source, recorder, state, isWaiting: true)
        }
        _ = try recorder?.finish()
        try source.checkUnchanged()
        // What is still here when the connection breaks cannot have been committed.
        try channel.flush()
        noteCommit()
        state.withLock { $0.isFinished = true }
        let counts = monitor.counts
        channel.send(
            .finish(
                Finish(
                    root: roots.primary, differingBlockCount: counts.blocksDiffering,
                    counts: RemoteCounts(counts))))
        try wait(state, until: { $0.result != nil }) { _ in }
    }

    /// Sends what is known to differ, while there is room, until the next window may be hashed.
    ///
    /// - Returns: whether that window can be sent while it is hashed.
    private func prepareNextWindow(
        _ engine: ComparisonEngine, _ source: borrowing PrimaryDisk,
        _ recorder: DifferenceRecorder<RecordSender>?, _ state: ConditionLock<SenderState>
    ) throws(ResyncError) -> Bool {
        while true {
            try sendDifferences(engine, source, recorder, state, isWaiting: false)
            let (step, next) = try wait(state, until: { $0.session.nextStep != .wait }) { state in
                (state.session.nextStep, state.session.hashedWindowCount)
            }
            switch step {
            case .hash: return false
            case .sendAtOnce:
                guard let recorder else { return false }
                try recorder.skip(to: firstBlock(of: next))
                return true
            case .sendDifferences, .wait:
                try sendDifferences(engine, source, recorder, state, isWaiting: true)
            }
        }
    }

    /// Sends what is known to differ, in the order of the disk, and tells the receiver now and then how
    /// far that is.
    private func sendDifferences(
        _ engine: ComparisonEngine, _ source: borrowing PrimaryDisk,
        _ recorder: DifferenceRecorder<RecordSender>?, _ state: ConditionLock<SenderState>,
        isWaiting: Bool
    ) throws(ResyncError) {
        // What was sent while it was hashed is settled without room, too.
        try tellSettled(recorder, state)
        while isWaiting || channel.hasRoom {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            let window = try state.withLock { (state) throws(ResyncError) in
                if let failure = state.failure { throw failure }
                return state.session.nextDifference()
            }
            if let window {
                try send(window, engine, source, recorder)
                state.withLock { $0.session.sent(window.window) }
            }
            try tellSettled(recorder, state)
            if window == nil { return }
        }
    }

    private func tellSettled(
        _ recorder: DifferenceRecorder<RecordSender>?, _ state: ConditionLock<SenderState>
    ) throws(ResyncError) {
        guard let settled = state.withLock({ $0.session.takeSettled() }) else { return }
        // What the recorder still holds back lies before.
        try recorder?.skip(to: firstBlock(of: settled))
        channel.send(.settled(settled))
    }

    private func send(
        _ window: DifferingWindow, _ engine: ComparisonEngine, _ source: borrowing PrimaryDisk,
        _ recorder: DifferenceRecorder<RecordSender>?
    ) throws(ResyncError) {
        guard let recorder else {
            var counts = ResyncCounts()
            counts.blocksDiffering = UInt64(window.differs.count { $0 })
            monitor.add(counts)
            return
        }
        let first = firstBlock(of: window.window)
        // Windows between are equal, or were sent.
        try recorder.skip(to: first)
        try engine.record(window, at: first, of: source.disk, path: path, in: recorder)
    }

    private func firstBlock(of window: UInt64) -> UInt64 {
        window * (RemoteGeometry.windowByteCount / UInt64(options.blockSize))
    }

    /// Waits for what the other thread finds out.
    ///
    /// - Throws: what that thread has failed with; ``ResyncError/stopped(_:)``.
    private func wait<Result>(
        _ state: ConditionLock<SenderState>, until isReady: (borrowing SenderState) -> Bool,
        _ body: (inout SenderState) -> Result
    ) throws(ResyncError) -> Result {
        try state.withLock(
            when: { $0.failure != nil || monitor.stopReason != nil || isReady($0) }
        ) { (state) throws(ResyncError) in
            if let reason = monitor.stopReason { throw .stopped(reason) }
            if let failure = state.failure { throw failure }
            return body(&state)
        }
    }
}
