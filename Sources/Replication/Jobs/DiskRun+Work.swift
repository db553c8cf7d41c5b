package import Resync
internal import Transport

// What there is to be done with a disk.

extension DiskRun {
    package init(_ resync: LocalResync) {
        self.init(
            disk: DiskReport(
                primary: resync.primary, replica: resync.replica,
                blockSize: resync.options.blockSize),
            isWriting: !resync.options.isDryRun,
            work: { (monitor) throws(ResyncError) in try resync.run(monitor: monitor) })
    }

    package init(_ mapping: DiskMapping) {
        self.init(
            disk: DiskReport(
                primary: mapping.disk, replica: nil, blockSize: mapping.options.blockSize),
            work: { (monitor) throws(ResyncError) in try mapping.run(monitor: monitor) })
    }

    package init(_ comparison: DiskComparison) {
        self.init(
            disk: DiskReport(
                primary: comparison.primary, replica: comparison.replica,
                blockSize: comparison.options.blockSize),
            work: { (monitor) throws(ResyncError) in try comparison.run(monitor: monitor) })
    }

    package init(_ application: DeltaApply) {
        self.init(
            disk: DiskReport(
                primary: application.delta, replica: application.replica,
                blockSize: application.options.blockSize),
            isWriting: true,
            work: { (monitor) throws(ResyncError) in try application.run(monitor: monitor) })
    }

    package init(_ recovery: ReplicaRecovery) {
        self.init(
            disk: DiskReport(
                primary: "", replica: recovery.replica, blockSize: recovery.options.blockSize),
            isWriting: true,
            work: { (monitor) throws(ResyncError) in try recovery.recover(monitor: monitor) })
    }

    /// The main job for each pair. Disks of one host share its connection.
    ///
    /// - Returns: also what ends the connections when the runs are over.
    package static func resync(
        _ pairs: [ResyncPair], _ options: ResyncOptions, _ remote: RemoteOptions
    ) -> (runs: [DiskRun], end: @Sendable () -> Void) {
        var peers: [RemotePlace: RemotePeer] = [:]
        let runs = pairs.map { pair in
            guard let place = pair.remote?.place else {
                return DiskRun(
                    LocalResync(
                        primary: pair.primary.path, replica: pair.replica.path, options: options))
            }
            let peer = peers[place] ?? remote.peer(at: place)
            peers[place] = peer
            return over(peer, pair, options, remote)
        }
        return (runs, { [peers] in for peer in peers.values { peer.close() } })
    }

    private static func over(
        _ peer: RemotePeer, _ pair: ResyncPair, _ options: ResyncOptions, _ remote: RemoteOptions
    ) -> DiskRun {
        let isPush = pair.replica.isRemote
        let (here, there) = isPush ? (pair.primary, pair.replica) : (pair.replica, pair.primary)
        return DiskRun(
            disk: DiskReport(
                primary: "\(pair.primary)", replica: "\(pair.replica)",
                blockSize: options.blockSize),
            isWriting: !options.isDryRun,
            remote: RemoteSide(
                host: peer.name, role: isPush ? .replica : .primary,
                retryCount: remote.retryCount, traffic: { peer.traffic }),
            work: { (monitor) throws(ResyncError) in
                let resync = RemoteResync(
                    here.path, isPush ? .primary : .replica, there, options, remote, monitor)
                return try resync.run(through: peer, monitor: monitor)
            })
    }
}

extension RemoteResync {
    /// With a disk here, in its role, and the other one elsewhere.
    init(
        _ path: String, _ role: Role, _ other: DiskLocation, _ options: ResyncOptions,
        _ remote: RemoteOptions, _ monitor: ResyncMonitor
    ) {
        self.init(
            localPath: path, role, remotePath: other.path, remoteName: "\(other)",
            options: options,
            describe: { error in
                PeerFailure(
                    code: ReturnCode(error).rawValue, condition: monitor.condition,
                    text: "\(error)")
            })
        bytesPerSecond = remote.bytesPerSecond
        retryCount = remote.retryCount
    }
}
