internal import Resync
internal import Transport

/// One disk of a machine whose replica becomes new together with the others.
struct MachineDisk: Sendable {
    /// In the machine, from 0 on.
    var position: Int
    /// As the inventory has it.
    var name: String
    var primary: String
    var replica: DiskLocation
    var options: ResyncOptions
    var remote: RemoteOptions
    /// The host that has the replica; nil where it is here.
    var peer: RemotePeer?

    /// The other host, for who watches.
    var side: RemoteSide? {
        peer.map { peer in
            RemoteSide(
                host: peer.name, role: .replica, retryCount: remote.retryCount,
                traffic: { peer.traffic })
        }
    }

    /// What is known before anything is done.
    var report: DiskReport {
        DiskReport(primary: primary, replica: "\(replica)", blockSize: options.blockSize)
    }

    /// Records what differs; the replica stays what it is.
    func prepare(_ monitor: ResyncMonitor) throws(ResyncError) -> PreparedDisk {
        guard let peer else {
            return try LocalResync(primary: primary, replica: replica.path, options: options)
                .prepare(monitor: monitor)
        }
        return try resync(monitor).prepare(through: peer, monitor: monitor)
    }

    /// Checks that primary and replica are still what was compared.
    func check(_ prepared: PreparedDisk, _ monitor: ResyncMonitor) throws(ResyncError) {
        try prepared.checkPrimary(at: primary, options)
        guard let journal = prepared.journal else { return }
        guard let peer else { return try replica(journal).check(monitor: monitor) }
        try resync(monitor).check(journal, through: peer, monitor: monitor)
    }

    /// Makes the replica what was prepared, if it is not that already.
    func finish(
        _ journal: PreparedJournal, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> DiskReport {
        var report: DiskReport
        if let peer {
            report = try resync(monitor).finish(journal, through: peer, monitor: monitor)
        } else {
            report = try replica(journal).finish(monitor: monitor)
        }
        (report.primary, report.replica) = (primary, "\(replica)")
        return report
    }

    private func replica(_ journal: PreparedJournal) -> PreparedReplica {
        PreparedReplica(path: replica.path, options: options, journal: journal)
    }

    private func resync(_ monitor: ResyncMonitor) -> RemoteResync {
        RemoteResync(primary, .primary, replica, options, remote, monitor)
    }
}

/// The disks of a machine, and the connections that they share.
struct MachineDisks: Sendable {
    private(set) var disks: [MachineDisk] = []
    private var peers: [RemotePlace: RemotePeer] = [:]
    private let options: JobOptions

    init(_ transfer: Transfer, _ options: JobOptions) {
        self.options = options
        let pairs = zip(transfer.machine.disks, transfer.relationship.replicas)
        for (position, (disk, replica)) in pairs.enumerated() {
            disks.append(
                make(position, disk, replica, journalFolder: options.resync.journalFolder))
        }
    }

    /// The disks of a decision, where their replicas were then.
    mutating func decided(
        _ decision: TransferDecision, _ machine: Inventory.Machine
    ) -> [(disk: MachineDisk, journal: PreparedJournal)] {
        decision.disks.map { decided in
            let disk =
                machine.disks.indices.contains(decided.position)
                ? machine.disks[decided.position] : Inventory.Disk(name: "", path: "")
            let made = make(
                decided.position, disk, decided.replica, journalFolder: decided.journalFolder)
            return (made, decided.journal)
        }
    }

    private mutating func make(
        _ position: Int, _ disk: Inventory.Disk, _ replica: DiskLocation, journalFolder: String?
    ) -> MachineDisk {
        var made = MachineDisk(
            position: position, name: disk.name, primary: disk.path, replica: replica,
            options: options.resync, remote: options.remote)
        made.options.journalFolder = journalFolder
        if let place = replica.place {
            let peer = peers[place] ?? options.remote.peer(at: place)
            peers[place] = peer
            made.peer = peer
        }
        return made
    }

    /// Ends the connections.
    func close() {
        for peer in peers.values { peer.close() }
    }
}
