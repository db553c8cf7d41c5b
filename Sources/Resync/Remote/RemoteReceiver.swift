internal import BlockIO
internal import Storage
internal import Transport

/// The side of a run over two hosts that has the replica: hashes it, tells the sender what it holds,
/// and takes what differs.
///
/// One thread reads and hashes; others take messages, so that a question never waits for a window, and
/// records. A receiver whose disk is slow takes no more from the connection, and so slows the sender.
struct RemoteReceiver: Sendable {
    let channel: PeerChannel
    /// The block size that both sides use, among others.
    let options: ResyncOptions
    let monitor: ResyncMonitor
    /// What to tell the sender of an error.
    let describe: @Sendable (ResyncError) -> PeerFailure

    /// What came of a comparison.
    struct Outcome: Sendable {
        var finish: Finish
        /// Of the disk as it is, where all of its content was read.
        var baseRoot: BlockDigest
        /// Of the disk with the records over it.
        var resultRoot: BlockDigest
    }

    private struct State: ~Copyable, Sendable {
        /// Nil when it is over.
        private var session: ReceiverSession?
        /// Why the disk cannot be read.
        var failure: ResyncError?
        /// Whether no more messages are taken.
        var isOver = false

        init(_ session: consuming ReceiverSession) {
            self.session = consume session
        }

        var canHash: Bool {
            switch session {
            case .some(let session): session.canHash
            case .none: false
            }
        }

        mutating func withSession<Result, Failure: Error>(
            _ body: (inout ReceiverSession) throws(Failure) -> Result
        ) throws(Failure) -> Result {
            guard var open = session.take() else {
                preconditionFailure("the session is there until its end")
            }
            do throws(Failure) {
                let result = try body(&open)
                session = consume open
                return result
            } catch {
                session = consume open
                throw error
            }
        }

        mutating func takeSession() -> ReceiverSession? { session.take() }
    }

    /// Compares a disk with the sender's, of which the target message was sent.
    ///
    /// - Parameters:
    ///   - disk: The replica.
    ///   - stream: What the records are for.
    ///   - salt: That of the target message.
    ///   - knowledge: What is known of the blocks of each window, in order. In another thread.
    ///   - take: Takes all records.
    /// - Returns: what the sender says in the end, and the root digests of the replica.
    /// - Throws: what is wrong with the disk, the connection or the sender, and what `take` throws.
    func run(
        _ disk: borrowing some BlockSource & ~Copyable, for stream: DeltaHeader, salt: GUID,
        knowledge: @Sendable (Range<UInt64>) throws(ResyncError) -> WindowKnowledge = {
            (_) throws(ResyncError) in .nothing
        },
        take: (RecordIntake) throws(ResyncError) -> Void
    ) throws(ResyncError) -> Outcome {
        let state = ConditionLock(State(try ReceiverSession(for: stream, salt: salt)))
        monitor.whenStopped { [weak monitor] in
            state.withLock { _ in }
            // Both threads may wait for the sender, or one of them may be through: nobody else tells it.
            channel.end(telling: monitor?.stopReason.map { describe(.stopped($0)) })
        }
        defer { monitor.whenStopped(nil) }
        let intake = RecordIntake(
            nextEvent: { () throws(ResyncError) in try nextEvent(state) },
            end: { channel.end(telling: $0.isOfPeer ? nil : describe($0)) })
        var failure: ResyncError?
        concurrently {
            do throws(ResyncError) {
                try take(intake)
            } catch {
                failure = error
            }
            state.withLock { $0.isOver = true }
        } _: {
            do throws(ResyncError) {
                try hash(disk, state, knowledge)
            } catch {
                let isFirst = state.withLock { state in
                    if !state.isOver { state.failure = error }
                    return !state.isOver
                }
                // The sender ends then, which wakes who waits for its next message.
                if isFirst { channel.end(telling: describe(error)) }
            }
        }
        if let reason = monitor.stopReason { throw .stopped(reason) }
        if let error = state.withLock({ $0.failure }) ?? failure { throw error }
        guard let finish = intake.finish, let session = state.withLock({ $0.takeSession() }) else {
            preconditionFailure("who has no end has failed")
        }
        var counts = ResyncCounts()
        counts.blocksDiffering = session.differingBlockCount + monitor.counts.blocksHeld
        monitor.add(counts)
        let roots = try session.finished()
        return Outcome(finish: finish, baseRoot: roots.base, resultRoot: roots.result)
    }

    // MARK: The disk

    private func hash(
        _ disk: borrowing some BlockSource & ~Copyable, _ state: ConditionLock<State>,
        _ knowledge: (Range<UInt64>) throws(ResyncError) -> WindowKnowledge
    ) throws(ResyncError) {
        let engine = try ComparisonEngine(
            virtualSize: disk.virtualSize, options: options, pass: .digest, monitor: monitor,
            windowByteCount: RemoteGeometry.windowByteCount)
        monitor.begin(.comparing, bytesToDo: disk.virtualSize)
        _ = try engine.run(
            alone: disk,
            knowledge: { (blocks) throws(ResyncError) in
                let isOver = state.withLock(
                    when: {
                        $0.isOver || monitor.stopReason != nil || $0.canHash
                    }, { $0.isOver })
                if let reason = monitor.stopReason { throw .stopped(reason) }
                // Whatever has ended the other thread is what the run ends with.
                guard !isOver else { throw .connection(.closed) }
                return try knowledge(blocks)
            },
            consume: { (run) throws(ResyncError) in
                let ranges = state.withLock { state in
                    state.withSession { $0.hashed(run) }
                }
                if !ranges.isEmpty { channel.send(.digests(ranges)) }
            })
    }

    // MARK: Messages

    /// Answers what is asked, until there are records or the sender waits for the result.
    private func nextEvent(
        _ state: ConditionLock<State>
    ) throws(ResyncError) -> RecordIntake.Event {
        while true {
            let message = try channel.next()
            let step = try state.withLock { (state) throws(ResyncError) in
                try state.withSession { (session) throws(ResyncError) in
                    try session.received(message, from: channel.peerName)
                }
            }
            switch step {
            case .nothing: break
            // A sender takes answers at all times. One that asks and does not read has to wait. Where
            // the connection is broken, what comes next says why.
            case .answer(let answer): try? channel.sendWaiting(answer)
            case .records(let records): return .records(records)
            case .finish(let finish): return .finish(finish)
            }
        }
    }
}
