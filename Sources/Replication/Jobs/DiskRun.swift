package import Resync

/// What a job does with one disk.
package struct DiskRun: Sendable {
    /// What is known of the disk before the run: names and block size.
    package var disk: DiskReport
    /// Whether the run may change the replica, so that an error says what became of it.
    package var isWriting: Bool
    /// The host that has one of the two disks; nil where both are here.
    package var remote: RemoteSide?
    package var work: @Sendable (ResyncMonitor) throws(ResyncError) -> DiskReport

    package init(
        disk: DiskReport, isWriting: Bool = false, remote: RemoteSide? = nil,
        work: @escaping @Sendable (ResyncMonitor) throws(ResyncError) -> DiskReport
    ) {
        self.disk = disk
        self.isWriting = isWriting
        self.remote = remote
        self.work = work
    }
}

/// The other host of a run.
package struct RemoteSide: Sendable {
    /// How it is named in a sentence.
    package var host: String
    /// Which of the two disks is there.
    package var role: Role
    /// How often it is called again where the connection breaks.
    package var retryCount: Int
    /// What crossed the connections with it so far, in bytes, from here and to here.
    package var traffic: @Sendable () -> (sent: UInt64, received: UInt64)

    package init(
        host: String, role: Role, retryCount: Int = 0,
        traffic: @escaping @Sendable () -> (sent: UInt64, received: UInt64) = { (0, 0) }
    ) {
        self.host = host
        self.role = role
        self.retryCount = retryCount
        self.traffic = traffic
    }
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
