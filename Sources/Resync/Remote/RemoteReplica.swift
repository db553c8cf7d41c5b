internal import BlockIO
internal import Dispatch
internal import Storage
internal import VHDX

/// A replica on this machine whose primary is on another: made or prepared, compared, written, and
/// proven, by the rules of ``LocalResync``.
struct RemoteReplica: Sendable {
    let path: String
    let options: ResyncOptions
    let monitor: ResyncMonitor
    let receiver: RemoteReceiver
    /// The data write GUID that a run which the sender asks about was to give the replica.
    var expectedState = GUID.zero
    /// Whether the replica is not to be changed, and what finishes it is to be told.
    var isPreparing = false

    /// What came of it, and what the sender has counted.
    struct Outcome: Sendable {
        var result: RemoteResult
        var senderCounts = RemoteCounts()
        /// What finishes the replica, where it was prepared and anything is to be done.
        var prepared: PreparedJournal?
    }

    /// Makes the replica read as the sender's disk.
    func run(_ source: SourceOffer) throws(ResyncError) -> Outcome {
        try options.check()
        try options.check(replica: path)
        guard options.comparison == .hash else {
            throw .invalidOption("two hosts compare digests, not bytes")
        }
        guard options.writeMethod != .inPlace || options.isDryRun else {
            throw .invalidOption(
                "what another host sends is written through a journal, not in place")
        }
        monitor.expect(.resync(options))
        monitor.setDisk(source.virtualSize, blockSize: options.blockSize)
        let opening = ReplicaOpening(path: path, options: options, monitor: monitor)
        guard !options.isDryRun else { return try compare(source, exists: opening.exists) }
        if isPreparing { try options.checkPreparing() }
        var recovery = ReplicaRecovery.Outcome.nothingToDo
        if opening.exists {
            recovery = try opening.prepare(for: source.virtualSize)
        } else {
            try opening.create(like: source)
        }
        guard !isPreparing else { return try prepare(source, opening, recovery) }
        guard let finish = try write(source, opening) else {
            return Outcome(result: result(root: .zero, recovery))
        }
        if options.verifiesWholeReplica {
            let reporter = StatusReporter(monitor, receiver.channel)
            defer { reporter.end() }
            try opening.verify { (engine, reader) throws(ResyncError) in
                try engine.check(reader, root: finish.root)
            }
        }
        return Outcome(
            result: result(root: finish.root, recovery), senderCounts: finish.counts)
    }

    private func result(
        root: BlockDigest, _ recovery: ReplicaRecovery.Outcome, isVerified: Bool = true
    ) -> RemoteResult {
        RemoteResult(
            root: root, preparation: monitor.preparation, recovery: recovery,
            isVerified: isVerified, counts: RemoteCounts(monitor.counts))
    }

    /// Takes what differs, and leaves the replica as it is.
    private func prepare(
        _ source: SourceOffer, _ opening: ReplicaOpening, _ recovery: ReplicaRecovery.Outcome
    ) throws(ResyncError) -> Outcome {
        monitor.expect(.looking)
        let writing = try JournaledWriting(replica: path, options: options, monitor: monitor)
        let target = try opening.open(source.virtualSize)
        let received: (finish: Finish, journal: PreparedJournal?)
        do throws(ResyncError) {
            if options.writeMethod == .clone { try writing.checkThatCloneIsPossible() }
            received = try writing.journaled.prepare(
                source, through: receiver, on: target, try target.state(at: path))
        } catch {
            target.abandon()
            throw error
        }
        target.abandon()
        return Outcome(
            result: result(
                root: received.finish.root, recovery, isVerified: received.journal == nil),
            senderCounts: received.finish.counts, prepared: received.journal)
    }

    /// - Returns: what the sender said in the end; nil where an earlier run has done everything.
    private func write(
        _ source: SourceOffer, _ opening: ReplicaOpening
    ) throws(ResyncError) -> Finish? {
        let writing = try JournaledWriting(replica: path, options: options, monitor: monitor)
        let target = try opening.open(source.virtualSize)
        guard !isDone(target) else {
            target.abandon()
            let offer = TargetOffer(
                virtualSize: source.virtualSize, salt: .random(), resultState: expectedState,
                heldBlockCount: 0, isDone: true)
            receiver.channel.send(.target(offer))
            monitor.note(.written)
            return nil
        }
        guard !opening.hasNothingToLose(target, journal: writing.journaled.store) else {
            return try writeDirectly(source, target)
        }
        let wasMarked = target.mark != nil
        var received: Received<DiskFile>
        do throws(ResyncError) {
            if options.writeMethod == .clone { try writing.checkThatCloneIsPossible() }
            received = try writing.journaled.receive(
                source, through: receiver, on: target, try target.state(at: path))
        } catch {
            target.abandon()
            throw error
        }
        let finish = received.finish
        let reporter = StatusReporter(monitor, receiver.channel)
        defer { reporter.end() }
        try writing.write(
            received.journal.take(), to: target, wasMarked: wasMarked, bytesToZero: nil)
        return finish
    }

    /// Writes without a journal: the replica is marked from before the first change.
    private func writeDirectly(
        _ source: SourceOffer, _ disk: consuming ReplicaDisk
    ) throws(ResyncError) -> Finish {
        let target = InPlaceTarget(disk, monitor)
        let finish: Finish
        do throws(ResyncError) {
            let state = GUID.random()
            target.chooseDataWriteGUID(state)
            let header = DeltaHeader(
                virtualSize: source.virtualSize, blockSize: options.blockSize, streamID: .zero)
            let offer = TargetOffer(
                virtualSize: source.virtualSize, salt: .random(), resultState: state,
                heldBlockCount: 0, isDone: false)
            let application = try DeltaApplication(
                header, options: options, monitor: monitor, isPhase: false)
            receiver.channel.send(.target(offer))
            let outcome = try receiver.run(target, for: header, salt: offer.salt) {
                (intake) throws(ResyncError) in try application.write(intake, to: target)
            }
            guard outcome.resultRoot == outcome.finish.root else {
                throw .proofFailed(primary: outcome.finish.root, replica: outcome.resultRoot)
            }
            let reporter = StatusReporter(monitor, receiver.channel)
            defer { reporter.end() }
            try target.removeMark()
            finish = outcome.finish
        } catch {
            try target.end(after: error)
            throw error
        }
        try target.close()
        return finish
    }

    /// Whether the replica is in the state that an earlier run was to give it, and whole.
    private func isDone(_ target: borrowing ReplicaDisk) -> Bool {
        expectedState != .zero && target.isMarkable && target.mark == nil
            && target.dataWriteGUID == expectedState
    }

    // MARK: Looking

    private func compare(
        _ source: SourceOffer, exists: Bool
    ) throws(ResyncError) -> Outcome {
        let offer = TargetOffer(
            virtualSize: source.virtualSize, salt: .random(), resultState: .zero,
            heldBlockCount: 0, isDone: false)
        let header = DeltaHeader(
            virtualSize: source.virtualSize, blockSize: options.blockSize, streamID: .zero)
        let outcome: RemoteReceiver.Outcome
        if exists {
            let disk = try PrimaryDisk(openingDiskAt: path, .replica, options)
            let size = disk.disk.virtualSize
            guard size == source.virtualSize || size < source.virtualSize && options.growsReplica
            else { throw .differentSizes(primary: source.virtualSize, replica: size) }
            outcome = try look(
                ResizedDisk(disk.intoDisk(), virtualSize: source.virtualSize), header, offer)
        } else {
            outcome = try look(ZeroDisk(virtualSize: source.virtualSize), header, offer)
        }
        let blockCount = DigestTree.blockCount(
            virtualSize: source.virtualSize, blockSize: options.blockSize)
        guard outcome.finish.differingBlockCount <= blockCount else {
            throw .protocolViolation("\(outcome.finish.differingBlockCount) blocks that differ")
        }
        var counts = ResyncCounts()
        counts.blocksDiffering = outcome.finish.differingBlockCount
        monitor.add(counts)
        var result = result(root: outcome.finish.root, .nothingToDo)
        result.isVerified = outcome.baseRoot == outcome.finish.root
        return Outcome(result: result, senderCounts: outcome.finish.counts)
    }

    private func look(
        _ disk: borrowing some BlockSource & ~Copyable, _ header: DeltaHeader, _ offer: TargetOffer
    ) throws(ResyncError) -> RemoteReceiver.Outcome {
        receiver.channel.send(.target(offer))
        return try receiver.run(disk, for: header, salt: offer.salt) {
            (intake) throws(ResyncError) in
            _ = try intake.next(
                prepare: { (_) throws(ResyncError) in
                    throw .protocolViolation("records where nothing is to be written")
                }, take: { _ in })
        }
    }
}

/// Tells the sender twice a second how far the receiver is with writing.
final class StatusReporter {
    private let queue = DispatchQueue(label: "vhdresync.status")
    private let timer: any DispatchSourceTimer

    init(_ monitor: ResyncMonitor, _ channel: PeerChannel) {
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler {
            let progress = monitor.progress
            guard progress.phase != .opening, progress.phase != .finished else { return }
            channel.send(
                .status(
                    RemoteStatus(
                        phase: progress.phase, bytesDone: progress.counts.bytesDone,
                        bytesToDo: progress.counts.bytesToDo,
                        counts: RemoteCounts(progress.counts))))
        }
        timer.schedule(deadline: .now() + 0.5, repeating: 0.5)
        timer.resume()
        self.timer = timer
    }

    /// Nothing is told any more when this returns: the result comes last.
    func end() {
        timer.cancel()
        queue.sync {}
    }
}
