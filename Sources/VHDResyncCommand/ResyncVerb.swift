internal import Replication
internal import Resync

/// `vhdresync PRIMARY REPLICA`.
enum ResyncVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        // Disks of one host share its connection.
        var peers: [RemotePlace: RemotePeer] = [:]
        let disks = invocation.pairs.map { pair in
            guard let remote = pair.remote, let place = remote.place else {
                return local(pair, invocation)
            }
            let peer = peers[place] ?? invocation.remote.peer(at: place)
            peers[place] = peer
            return over(peer, pair, invocation)
        }
        let run = JobRun(
            invocation: invocation, disks: disks,
            ended: { [peers] in for peer in peers.values { peer.close() } })
        return run.run()
    }

    private static func local(_ pair: ResyncPair, _ invocation: Invocation) -> DiskRun {
        let resync = LocalResync(
            primary: pair.primary.path, replica: pair.replica.path, options: invocation.options)
        return DiskRun(
            disk: DiskReport(
                primary: resync.primary, replica: resync.replica,
                blockSize: resync.options.blockSize),
            isWriting: !resync.options.isDryRun,
            summary: { Summary.resync($0, $1, resync.options) },
            work: { (monitor) throws(ResyncError) in try resync.run(monitor: monitor) })
    }

    private static func over(
        _ peer: RemotePeer, _ pair: ResyncPair, _ invocation: Invocation
    ) -> DiskRun {
        let isPush = pair.replica.isRemote
        let (here, there) = isPush ? (pair.primary, pair.replica) : (pair.replica, pair.primary)
        let options = invocation.options
        return DiskRun(
            disk: DiskReport(
                primary: "\(pair.primary)", replica: "\(pair.replica)",
                blockSize: options.blockSize),
            isWriting: !options.isDryRun,
            remote: RemoteSide(
                host: peer.name, role: isPush ? .replica : .primary,
                retryCount: invocation.remote.retryCount, traffic: { peer.traffic }),
            summary: { Summary.resync($0, $1, options) },
            work: { (monitor) throws(ResyncError) in
                var resync = RemoteResync(
                    localPath: here.path, isPush ? .primary : .replica, remotePath: there.path,
                    remoteName: "\(there)", options: options,
                    describe: { error in
                        PeerFailure(
                            code: ReturnCode(error).rawValue, condition: monitor.condition,
                            text: "\(error)")
                    })
                resync.bytesPerSecond = invocation.remote.bytesPerSecond
                resync.retryCount = invocation.remote.retryCount
                return try resync.run(through: peer, monitor: monitor)
            })
    }
}
