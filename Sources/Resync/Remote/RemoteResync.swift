internal import BlockIO
internal import Dispatch
internal import Storage
internal import Transport
internal import VHDX

/// The main job over two hosts, from the one that calls: makes a replica read as its primary, one of
/// which is here.
public struct RemoteResync: Sendable {
    /// The disk on this machine.
    public var localPath: String
    /// What it is.
    public var localRole: Role
    /// The path of the other one, as the other host knows it.
    public var remotePath: String
    /// What to call that one in a report.
    public var remoteName: String
    public var options: ResyncOptions
    /// The most that the other side is to send in a second.
    public var bytesPerSecond: UInt64?
    /// How often to call again where the connection breaks.
    public var retryCount = 0
    /// What to tell the other side of an error.
    public var describe: @Sendable (ResyncError) -> PeerFailure

    public init(
        localPath: String, _ localRole: Role, remotePath: String, remoteName: String,
        options: ResyncOptions, describe: @escaping @Sendable (ResyncError) -> PeerFailure
    ) {
        self.localPath = localPath
        self.localRole = localRole
        self.remotePath = remotePath
        self.remoteName = remoteName
        self.options = options
        self.describe = describe
    }

    /// After so many questions about a run of which the outcome is not known, it stays that.
    private static let questionCount = 5
    /// So often a disk may be in use once a connection broke: for some ten minutes.
    private static let busyLimit = 25
    private static let longestPauseSeconds = 30.0
    /// How long to wait before the first other try; then twice as long each time.
    var firstPauseSeconds = 1.0

    /// What is known of a run that may have been committed.
    struct Commit: Sendable {
        /// What the replica becomes, if it is an image.
        var resultState = GUID.zero
        /// Whether the receiver was asked to commit.
        var wasAskedFor = false
    }

    /// Compares, sends what differs, and proves the result.
    ///
    /// A connection that breaks is made again as often as the options say; what the receiver has is not
    /// sent again. Where it breaks while the receiver commits, it is made again to ask what became of
    /// that.
    ///
    /// - Throws: also ``ResyncError/unknownOutcome(peer:)``.
    public func run(
        through peer: RemotePeer, monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        try options.check()
        let commit = Lock(Commit())
        return try attempt(peer, monitor, commit) { () throws(ResyncError) in
            var report = try runOnce(peer, monitor, commit)
            report.counts = monitor.counts
            return report
        }
    }

    /// Does something, and again where the connection breaks, as often as the options say.
    ///
    /// - Throws: what it has ended with in the end; ``ResyncError/unknownOutcome(peer:)`` where the
    ///   receiver was asked to commit and does not answer any more.
    func attempt<Result>(
        _ peer: RemotePeer, _ monitor: ResyncMonitor, _ commit: Lock<Commit>,
        _ body: () throws(ResyncError) -> Result
    ) throws(ResyncError) -> Result {
        let before = peer.traffic
        // Connections that broke, and answers that the disk is in use.
        var (attempt, busyCount) = (0, 0)
        while true {
            do throws(ResyncError) {
                defer { monitor.whenStopped(nil) }
                let result = try body()
                monitor.note(traffic: peer.traffic, since: before)
                return result
            } catch {
                peer.drop()
                monitor.note(traffic: peer.traffic, since: before)
                let isAsking = commit.withLock { $0.wasAskedFor }
                let limit = isAsking ? max(retryCount, Self.questionCount) : retryCount
                // What a connection that broke has left running there may still hold the disk.
                let isBusy = error.isOfDiskInUse && attempt > 0
                let goesOn =
                    isBusy
                    ? busyCount < Self.busyLimit : error.isOfBrokenConnection && attempt < limit
                guard goesOn else {
                    if isAsking, isBusy || error.isOfConnection {
                        throw .unknownOutcome(peer: peer.name)
                    }
                    throw error
                }
                let seconds = min(
                    firstPauseSeconds * Double(1 << min(attempt + busyCount, 10)),
                    Self.longestPauseSeconds)
                monitor.note(
                    Retry(
                        host: peer.name, error: error, number: (isBusy ? busyCount : attempt) + 1,
                        limit: isBusy ? Self.busyLimit : limit, seconds: seconds))
                try pause(seconds, monitor)
                if isBusy { busyCount += 1 } else { attempt += 1 }
                monitor.restart()
            }
        }
    }

    /// Waits, unless a stop is requested.
    private func pause(_ seconds: Double, _ monitor: ResyncMonitor) throws(ResyncError) {
        let semaphore = DispatchSemaphore(value: 0)
        monitor.whenStopped { semaphore.signal() }
        _ = semaphore.wait(timeout: .now() + seconds)
        monitor.whenStopped(nil)
        if let reason = monitor.stopReason { throw .stopped(reason) }
    }

    private func runOnce(
        _ peer: RemotePeer, _ monitor: ResyncMonitor, _ commit: Lock<Commit>
    ) throws(ResyncError) -> DiskReport {
        switch localRole {
        case .primary: try push(peer, monitor, commit).report
        case .replica: try pull(peer, monitor)
        }
    }

    func push(
        _ peer: RemotePeer, _ monitor: ResyncMonitor, _ commit: Lock<Commit>,
        isPreparing: Bool = false
    ) throws(ResyncError) -> PreparedDisk {
        monitor.expect(isPreparing ? .looking : .resync(options))
        let source = try PrimaryDisk(openingDiskAt: localPath, .primary, options)
        monitor.setDisk(source.disk.virtualSize, blockSize: options.blockSize)
        var (channel, isNew) = try peer.channel()
        let expected = commit.withLock { $0.wasAskedFor ? $0.resultState : .zero }
        var request = request(.sender, options.replicaFormat, expectedState: expected)
        if isPreparing {
            try greet(channel, isNew: isNew, monitor)
            isNew = false
            request.flags.insert(.prepare)
        }
        channel.send(.open(request))
        let sender = RemoteSender(
            channel: channel, options: options, monitor: monitor, path: localPath,
            expectsDone: expected != .zero, isPreparing: isPreparing, isGreeted: !isNew,
            describe: describe)
        let outcome = try sender.run(
            source,
            noteTarget: { target in
                // A receiver that is not done has been asked to do nothing yet: it would be by now.
                commit.withLock {
                    $0 = Commit(resultState: target.resultState, wasAskedFor: target.isDone)
                }
            },
            noteCommit: {
                guard !options.isDryRun, !isPreparing else { return }
                commit.withLock { $0.wasAskedFor = true }
            })
        let result = outcome.result
        monitor.note(result.preparation)
        return PreparedDisk(
            report: report(result, monitor), journal: outcome.prepared,
            sourceState: try source.state())
    }

    func report(_ result: RemoteResult, _ monitor: ResyncMonitor) -> DiskReport {
        monitor.add(result.counts, ofReceiver: true)
        var report = DiskReport(
            primary: localPath, replica: remoteName, blockSize: options.blockSize)
        report.rootDigest = result.root == .zero ? nil : result.root
        report.isVerified = result.isVerified
        report.recovery = result.recovery
        return report.finished(monitor)
    }

    private func pull(
        _ peer: RemotePeer, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        let (channel, isNew) = try peer.channel()
        monitor.whenStopped { channel.close() }
        let outcome: RemoteReplica.Outcome
        do throws(ResyncError) {
            channel.send(.open(request(.receiver, options.primaryFormat)))
            if isNew { try channel.checkGreeting() }
            guard case .source(let source) = try channel.next() else {
                throw .protocolViolation("no source")
            }
            let receiver = RemoteReceiver(
                channel: channel, options: options, monitor: monitor, describe: describe)
            outcome = try RemoteReplica(
                path: localPath, options: options, monitor: monitor, receiver: receiver
            ).run(source)
        } catch {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            // Who has failed there says nothing more, and waits for this side to end.
            guard !error.isOfPeer else { throw error }
            channel.end(telling: describe(error))
            channel.drain()
            throw error
        }
        channel.send(.result(outcome.result))
        monitor.add(outcome.senderCounts, ofReceiver: false)
        var report = DiskReport(
            primary: remoteName, replica: localPath, blockSize: options.blockSize)
        report.rootDigest = outcome.result.root
        report.isVerified = outcome.result.isVerified
        report.recovery = outcome.result.recovery
        return report.finished(monitor)
    }

    func request(
        _ role: ClientRole, _ format: DiskFormat, expectedState: GUID = .zero
    ) -> OpenRequest {
        var flags: OpenRequest.Flags = []
        if options.isDryRun { flags.insert(.dryRun) }
        if role == .sender {
            if options.createsReplica { flags.insert(.create) }
            if options.growsReplica { flags.insert(.grow) }
            if options.breaksChildren { flags.insert(.breakChildren) }
            if options.verifiesWholeReplica { flags.insert(.verify) }
            if options.writeMethod == .clone { flags.insert(.clone) }
        }
        return OpenRequest(
            role: role, format: format, flags: flags, blockSize: UInt32(options.blockSize),
            bytesPerSecond: bytesPerSecond ?? 0, expectedState: expectedState, path: remotePath)
    }
}

extension ResyncError {
    /// Whether somebody else uses a disk, on either side.
    fileprivate var isOfDiskInUse: Bool {
        switch self {
        case .peer(_, let failure): failure.code == 32774
        case .disk(_, .file(.locked)): true
        default: false
        }
    }

    fileprivate var isOfConnection: Bool {
        if case .connection = self { true } else { false }
    }

    /// Whether another connection may fare better.
    fileprivate var isOfBrokenConnection: Bool {
        guard case .connection(let error) = self else { return false }
        switch error {
        case .programFailed(_, let status):
            // The shell over there knows no such command, and will not.
            return status != 127
        case .system, .unknownHost, .unreachable, .timedOut, .ended, .closed, .tls: return true
        case .refused, .credentials, .invalidFrame, .invalidAddress, .programMissing, .outOfMemory,
            .occupied, .inTheWay:
            return false
        }
    }
}
