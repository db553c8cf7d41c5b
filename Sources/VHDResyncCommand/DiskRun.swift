internal import Resync

/// What a job does with one disk.
struct DiskRun {
    /// What is known of the disk before the run: names and block size.
    var disk: DiskReport
    /// Whether the run may change the replica, so that an error says what became of it.
    var isWriting = false
    /// The host that has one of the two disks; nil where both are here.
    var remote: RemoteSide?
    /// The result for people, of a run that succeeded.
    var summary: (DiskReport, Duration) -> String
    var work: (ResyncMonitor) throws(ResyncError) -> DiskReport
}

/// The other host of a run.
struct RemoteSide: Sendable {
    /// How it is named in a sentence.
    var host: String
    /// Which of the two disks is there.
    var role: Role
    /// How often it is called again where the connection breaks.
    var retryCount = 0
    /// What crossed the connections with it so far, in bytes, from here and to here.
    var traffic: @Sendable () -> (sent: UInt64, received: UInt64) = { (0, 0) }
}

/// What crosses the connections with a host from now on, as the primary sees it.
struct TrafficWatch: Sendable {
    private let remote: RemoteSide
    private let before: (sent: UInt64, received: UInt64)

    init(_ remote: RemoteSide) {
        self.remote = remote
        before = remote.traffic()
    }

    func note(in counts: inout ResyncCounts) {
        let now = remote.traffic()
        // While a connection is given up, its bytes may be missing for a moment.
        let fromHere = now.sent - min(before.sent, now.sent)
        let toHere = now.received - min(before.received, now.received)
        switch remote.role {
        case .primary: (counts.bytesSent, counts.bytesReceived) = (toHere, fromHere)
        case .replica: (counts.bytesSent, counts.bytesReceived) = (fromHere, toHere)
        }
    }
}
