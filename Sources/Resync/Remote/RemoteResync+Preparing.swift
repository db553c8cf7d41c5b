internal import Storage
internal import Transport

// A replica on another host that is prepared, checked, and finished.

extension RemoteResync {
    /// As ``LocalResync/prepare(monitor:)``, with the replica on the other host: sends what differs, and
    /// gets what finishes the replica.
    public func prepare(
        through peer: RemotePeer, monitor: ResyncMonitor
    ) throws(ResyncError) -> PreparedDisk {
        try options.check()
        try options.checkPreparing()
        guard localRole == .primary else {
            throw .invalidOption("a replica is prepared by the side that has the primary")
        }
        // Nothing can have been committed, whenever the connection breaks.
        let commit = Lock(Commit())
        return try attempt(peer, monitor, commit) { () throws(ResyncError) in
            var disk = try push(peer, monitor, commit, isPreparing: true)
            disk.report.counts = monitor.counts
            return disk
        }
    }

    /// As ``PreparedReplica/check(monitor:)``.
    public func check(
        _ journal: PreparedJournal, through peer: RemotePeer, monitor: ResyncMonitor
    ) throws(ResyncError) {
        let commit = Lock(Commit())
        _ = try attempt(peer, monitor, commit) { () throws(ResyncError) in
            try ask(.check, journal, peer, monitor)
        }
    }

    /// As ``PreparedReplica/finish(monitor:)``. Where the connection breaks it is made again and asked once
    /// more.
    ///
    /// - Throws: also ``ResyncError/unknownOutcome(peer:)``.
    public func finish(
        _ journal: PreparedJournal, through peer: RemotePeer, monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        let commit = Lock(Commit())
        monitor.expect(.recovery)
        monitor.setDisk(journal.header.virtualSize, blockSize: journal.header.blockSize)
        return try attempt(peer, monitor, commit) { () throws(ResyncError) in
            let result = try ask(.finish, journal, peer, monitor) {
                commit.withLock { $0.wasAskedFor = true }
            }
            var report = report(result, monitor)
            report.counts = monitor.counts
            return report
        }
    }

    /// Waits for the other side's greeting, and checks that it knows what it is to be asked.
    ///
    /// A stop that is requested closes the connection, from here on until somebody else waits for one.
    func greet(
        _ channel: PeerChannel, isNew: Bool, _ monitor: ResyncMonitor
    ) throws(ResyncError) {
        monitor.whenStopped { channel.close() }
        do throws(ResyncError) {
            if isNew { try channel.checkGreeting() }
            try channel.check(version: Hello.preparing)
        } catch {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            throw error
        }
    }

    private func ask(
        _ question: OpenRequest.Flags, _ journal: PreparedJournal, _ peer: RemotePeer,
        _ monitor: ResyncMonitor, noteQuestion: () -> Void = {}
    ) throws(ResyncError) -> RemoteResult {
        let (channel, isNew) = try peer.channel()
        do throws(ResyncError) {
            try greet(channel, isNew: isNew, monitor)
            var request = request(.sender, options.replicaFormat)
            request.flags.insert(question)
            channel.send(.open(request))
            channel.send(.prepared(journal.encoded()))
            noteQuestion()
            while true {
                switch try channel.next() {
                case .status(let status): monitor.follow(status)
                case .result(let result):
                    monitor.whenStopped(nil)
                    return result
                case let message:
                    throw .protocolViolation("a message of kind \(message.kind) out of turn")
                }
            }
        } catch {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            // Who has failed there says nothing more, and waits for this side to end.
            if case .protocolViolation = error {
                channel.end(telling: describe(error))
                channel.drain()
            }
            throw error
        }
    }
}
