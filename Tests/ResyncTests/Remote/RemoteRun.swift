import Dispatch
import Storage
import Testing
import Transport
import VHDX

@testable import Resync

/// A run between a client and a service of one process.
struct RemoteRun {
    var options: ResyncOptions
    var settings = ChannelSettings()

    init(_ options: ResyncOptions) {
        self.options = options
    }

    /// Serves one connection in a thread of its own.
    static func serve(
        _ connection: any Connection, _ host: TestHost,
        settings: ChannelSettings = ChannelSettings()
    ) -> DispatchGroup {
        let group = DispatchGroup()
        DispatchQueue(label: "service").async(group: group) {
            let channel = PeerChannel(connection, settings: settings)
            try? RemoteService(channel, host: host).run()
        }
        return group
    }

    /// Runs it to its end, of both sides.
    func run(
        local: String, _ role: Role, remote: String, host: TestHost,
        monitor: ResyncMonitor = ResyncMonitor()
    ) throws -> DiskReport {
        let groups = Lock<[DispatchGroup]>([])
        let settings = settings
        let peer = RemotePeer(name: "other", settings: settings) { () throws(TransportError) in
            let (near, far) = try InProcessConnection.pair()
            let group = Self.serve(far, host, settings: settings)
            groups.withLock { $0.append(group) }
            return near
        }
        defer {
            peer.close()
            for group in groups.withLock({ $0 }) { group.wait() }
        }
        let resync = RemoteResync(
            localPath: local, role, remotePath: remote, remoteName: "other:\(remote)",
            options: options, describe: TestHost.describe)
        return try resync.run(through: peer, monitor: monitor)
    }
}

/// Lets a client have everything, and remembers what became of it.
final class TestHost: ServiceHost {
    let options: ResyncOptions
    let ended = Lock<[ResyncError?]>([])
    /// Of the next run.
    let monitor = ResyncMonitor()

    init(_ options: ResyncOptions = ResyncOptions(workerCount: 2)) {
        self.options = options
    }

    func open(_ request: ServiceRequest) throws(ResyncError) -> ServedDisk {
        ServedDisk(path: request.path, options: options, monitor: nextMonitor())
    }

    /// Each run has a monitor of its own; a test may have asked the first one to stop.
    private func nextMonitor() -> ResyncMonitor {
        ended.withLock { $0.isEmpty } ? monitor : ResyncMonitor()
    }

    func finished(_ disk: ServedDisk, _ request: ServiceRequest, failure: ResyncError?) {
        ended.withLock { $0.append(failure) }
    }

    func failure(for error: ResyncError, _ monitor: ResyncMonitor?) -> PeerFailure {
        Self.describe(error)
    }

    @Sendable static func describe(_ error: ResyncError) -> PeerFailure {
        let code: UInt32
        if case .disk(_, .file(.locked)) = error { code = 32774 } else { code = 32768 }
        return PeerFailure(code: code, condition: .untouched, text: "\(error)")
    }
}
