internal import BlockIO
internal import Storage
internal import Transport
internal import VHDX

/// What a client asks of a service: one disk of this machine, as the replica or as the primary of one
/// of its own.
public struct ServiceRequest: Equatable, Sendable {
    /// As the client has sent it.
    public var path: String
    /// What the disk is to be.
    public var role: Role
    public var isDryRun: Bool
}

/// What a host lets a client have.
public struct ServedDisk: Sendable {
    /// Where the disk really is.
    public var path: String
    /// How disks are opened and written here; what the client wishes is added.
    public var options: ResyncOptions
    /// Counts, and can stop, this one run.
    public var monitor: ResyncMonitor

    public init(path: String, options: ResyncOptions, monitor: ResyncMonitor) {
        self.path = path
        self.options = options
        self.monitor = monitor
    }
}

/// Who runs a service: says what a client may have, and is told what becomes of it.
public protocol ServiceHost: Sendable {
    /// - Throws: what the client is to be told.
    func open(_ request: ServiceRequest) throws(ResyncError) -> ServedDisk

    /// A run that ``open(_:)`` has allowed is over.
    func finished(_ disk: ServedDisk, _ request: ServiceRequest, failure: ResyncError?)

    /// What to tell a client of an error.
    func failure(for error: ResyncError, _ monitor: ResyncMonitor?) -> PeerFailure
}

/// The side of a connection that was called: serves one disk after another, as the client asks.
public struct RemoteService: Sendable {
    private let channel: PeerChannel
    private let host: any ServiceHost

    public init(_ channel: PeerChannel, host: any ServiceHost) {
        self.channel = channel
        self.host = host
    }

    /// Serves until the client ends, or something is wrong. The connection is closed afterwards.
    ///
    /// - Throws: what is wrong with the connection or the client, outside of a run.
    public func run() throws(ResyncError) {
        defer { channel.close() }
        channel.send(.hello(Hello()))
        do throws(ResyncError) {
            try channel.checkGreeting()
            while let message = try channel.receive() {
                guard case .open(let request) = message else {
                    throw .protocolViolation("a message of kind \(message.kind) out of turn")
                }
                guard try serve(request) else { return }
            }
        } catch {
            refuse(error, nil)
            throw error
        }
        channel.finish()
    }

    /// Tells a client why it is not served, before it has asked for anything.
    public func refuse(with error: ResyncError) {
        channel.send(.hello(Hello()))
        refuse(error, nil)
        channel.close()
    }

    /// - Returns: whether the client may ask for another disk.
    private func serve(_ request: OpenRequest) throws(ResyncError) -> Bool {
        // Who speaks an older version cannot know what it asks for.
        try channel.check(version: request.version)
        let wish = ServiceRequest(
            path: request.path, role: request.role == .sender ? .replica : .primary,
            isDryRun: request.flags.contains(.dryRun))
        let disk = try host.open(wish)
        channel.setBytesPerSecond(request.bytesPerSecond)
        do throws(ResyncError) {
            try run(request, disk)
        } catch {
            host.finished(disk, wish, failure: error)
            refuse(error, disk.monitor)
            return false
        }
        host.finished(disk, wish, failure: nil)
        return true
    }

    private func run(_ request: OpenRequest, _ disk: ServedDisk) throws(ResyncError) {
        var options = disk.options
        options.apply(request)
        let monitor = disk.monitor
        let describe: @Sendable (ResyncError) -> PeerFailure = { [host] error in
            host.failure(for: error, monitor)
        }
        switch request.role {
        case .sender where !request.flags.isDisjoint(with: [.check, .finish]):
            options.replicaFormat = request.format
            channel.send(.result(try result(of: request, disk.path, options, monitor)))
        case .sender:
            options.replicaFormat = request.format
            guard case .source(let source) = try channel.next() else {
                throw .protocolViolation("no source")
            }
            let receiver = RemoteReceiver(
                channel: channel, options: options, monitor: monitor, describe: describe)
            let outcome = try RemoteReplica(
                path: disk.path, options: options, monitor: monitor, receiver: receiver,
                expectedState: request.expectedState,
                isPreparing: request.flags.contains(.prepare)
            ).run(source)
            monitor.begin(.finished)
            if let prepared = outcome.prepared { channel.send(.prepared(prepared.encoded())) }
            channel.send(.result(outcome.result))
        case .receiver:
            options.primaryFormat = request.format
            monitor.expect(.resync(options))
            let primary = try PrimaryDisk(openingDiskAt: disk.path, .primary, options)
            monitor.setDisk(primary.disk.virtualSize, blockSize: options.blockSize)
            _ = try RemoteSender(
                channel: channel, options: options, monitor: monitor, path: disk.path,
                describe: describe
            ).run(primary)
            monitor.begin(.finished)
        }
        monitor.whenStopped(nil)
    }

    /// Checks a replica that was prepared, or finishes it.
    private func result(
        of request: OpenRequest, _ path: String, _ options: ResyncOptions, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> RemoteResult {
        guard case .prepared(let bytes) = try channel.next(),
            let journal = PreparedJournal(decoding: bytes)
        else { throw .protocolViolation("nothing that was prepared") }
        let replica = PreparedReplica(path: path, options: options, journal: journal)
        var result = RemoteResult(
            root: journal.resultRoot ?? .zero, preparation: .none, recovery: .nothingToDo,
            isVerified: false, counts: RemoteCounts())
        if request.flags.contains(.check) {
            try replica.check(monitor: monitor)
        } else {
            let reporter = StatusReporter(monitor, channel)
            defer { reporter.end() }
            let report = try replica.finish(monitor: monitor)
            result.isVerified = report.isVerified
            result.recovery = report.recovery ?? .nothingToDo
        }
        result.counts = RemoteCounts(monitor.counts)
        return result
    }

    private func refuse(_ error: ResyncError, _ monitor: ResyncMonitor?) {
        // Who has failed there says nothing more, and waits for this side to end.
        guard !error.isOfPeer else { return channel.close() }
        channel.end(telling: host.failure(for: error, monitor))
        channel.drain()
    }
}

extension ResyncOptions {
    /// Takes over what a client wishes.
    fileprivate mutating func apply(_ request: OpenRequest) {
        let flags = request.flags
        blockSize = Int(request.blockSize)
        isDryRun = flags.contains(.dryRun)
        createsReplica = flags.contains(.create)
        growsReplica = flags.contains(.grow)
        breaksChildren = flags.contains(.breakChildren)
        verifiesWholeReplica = flags.contains(.verify)
        if flags.contains(.clone) { writeMethod = .clone }
    }
}
