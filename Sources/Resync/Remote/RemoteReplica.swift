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

    /// Makes the replica read as the sender's disk.
    func run(_ source: SourceOffer) throws(ResyncError) -> RemoteResult {
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
        var recovery = ReplicaRecovery.Outcome.nothingToDo
        if opening.exists {
            recovery = try opening.prepare(for: source.virtualSize)
        } else {
            try opening.create(like: source)
        }
        let root: BlockDigest
        if let done = try write(source, opening) {
            root = done
        } else {
            return RemoteResult(
                root: .zero, preparation: monitor.preparation, recovery: recovery,
                isVerified: true, counts: RemoteCounts(monitor.counts))
        }
        if options.verifiesWholeReplica {
            try withStatus {
                () throws(ResyncError) in
                try opening.verify { (engine, reader) throws(ResyncError) in
                    try engine.check(reader, root: root)
                }
            }
        }
        return RemoteResult(
            root: root, preparation: monitor.preparation, recovery: recovery,
            isVerified: true, counts: RemoteCounts(monitor.counts))
    }

    /// - Returns: the root digest; nil where an earlier run has done everything.
    private func write(
        _ source: SourceOffer, _ opening: ReplicaOpening
    ) throws(ResyncError) -> BlockDigest? {
        let writing = try JournaledWriting(replica: path, options: options, monitor: monitor)
        let target = try opening.open(source.virtualSize)
        guard !isDone(target) else {
            target.abandon()
            var offer = TargetOffer(
                virtualSize: source.virtualSize, salt: .zero, resultState: expectedState,
                heldBlockCount: 0, isDone: true)
            offer.salt = .random()
            receiver.channel.send(.target(offer))
            monitor.note(.written)
            return nil
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
        let root = received.finish.root
        monitor.add(received.finish.counts, ofReceiver: false)
        let journal = received.journal.take()
        try withStatus(ending: target, journal) { (target, journal) throws(ResyncError) in
            try writing.write(journal, to: target, wasMarked: wasMarked, bytesToZero: nil)
        }
        return root
    }

    /// Whether the replica is in the state that an earlier run was to give it, and whole.
    private func isDone(_ target: borrowing ReplicaDisk) -> Bool {
        expectedState != .zero && target.isMarkable && target.mark == nil
            && target.dataWriteGUID == expectedState
    }

    // MARK: Looking

    private func compare(
        _ source: SourceOffer, exists: Bool
    ) throws(ResyncError) -> RemoteResult {
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
        monitor.add(outcome.finish.counts, ofReceiver: false)
        var counts = ResyncCounts()
        counts.blocksDiffering = outcome.finish.differingBlockCount
        monitor.add(counts)
        return RemoteResult(
            root: outcome.finish.root, preparation: .none, recovery: .nothingToDo,
            isVerified: outcome.baseRoot == outcome.finish.root,
            counts: RemoteCounts(monitor.counts))
    }

    private func look(
        _ disk: borrowing some BlockSource & ~Copyable, _ header: DeltaHeader, _ offer: TargetOffer
    ) throws(ResyncError) -> RemoteReceiver.Outcome {
        receiver.channel.send(.target(offer))
        return try receiver.run(disk, for: header, salt: offer.salt) { (_) throws(ResyncError) in
            throw .protocolViolation("records where nothing is to be written")
        }
    }

    // MARK: Status

    private func withStatus<Failure: Error>(
        _ body: () throws(Failure) -> Void
    ) throws(Failure) {
        let reporter = StatusReporter(monitor, receiver.channel)
        defer { reporter.end() }
        try body()
    }

    private func withStatus<Failure: Error>(
        ending target: consuming ReplicaDisk, _ journal: consuming DeltaReader<DiskFile>?,
        _ body: (consuming ReplicaDisk, consuming DeltaReader<DiskFile>?) throws(Failure) -> Void
    ) throws(Failure) {
        let reporter = StatusReporter(monitor, receiver.channel)
        defer { reporter.end() }
        try body(target, journal)
    }
}

/// Tells the sender twice a second how far the receiver is with writing.
private final class StatusReporter {
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
