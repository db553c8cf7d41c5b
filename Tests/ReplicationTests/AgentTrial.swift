import Dispatch
import Foundation
import Resync
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Replication

/// An agent that listens on this machine, and the folder that it serves.
final class AgentTrial: Sendable {
    let folder: TemporaryFolder
    let agent: Agent
    let port: UInt16
    let lines: Lock<[String]>
    private let end = ConditionLock<Bool>(false)

    struct DidNotHappen: Error {
        var what: String
    }

    /// Starts an agent.
    init(
        tls: TLSConfiguration? = nil, change: (inout AgentConfiguration) -> Void = { _ in }
    ) throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.file("root"), withIntermediateDirectories: false)
        var configuration = AgentConfiguration(
            root: folder.file("root"), options: ResyncOptions(workerCount: 2))
        change(&configuration)
        let lines = Lock<[String]>([])
        let log = EventLog(
            .json, write: { line in lines.withLock { $0.append(line) } }, now: { Date.now })
        self.lines = lines
        let server = try tls ?? Certificates.shared.get().configuration("server")
        agent = try Agent(configuration, tls: server, log: log)
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        port = listener.port
        DispatchQueue(label: "test.agent").async { [agent, end] in
            try? agent.run(listener)
            end.withLock { $0 = true }
        }
    }

    deinit {
        agent.stop(atOnce: true)
    }

    /// Where a disk of the agent is.
    func file(_ name: String) -> String { folder.file("root/" + name) }

    /// Waits until the agent has ended.
    func waitForEnd() throws {
        let time = DispatchTime.now().uptimeNanoseconds + 60_000_000_000
        guard end.withLock(when: { $0 }, orAt: time, { $0 }) else {
            throw DidNotHappen(what: "the agent's end")
        }
    }

    /// Waits for what another thread does.
    static func wait(for what: String, _ isDone: () throws -> Bool) throws {
        let time = DispatchTime.now().uptimeNanoseconds + 60_000_000_000
        while try !isDone() {
            guard DispatchTime.now().uptimeNanoseconds < time else {
                throw DidNotHappen(what: what)
            }
            usleep(500)
        }
    }

    /// What the log says so far of an event.
    func events(_ name: String) throws -> [[String: Any]] {
        agent.log.flush(timeoutSeconds: 30)
        return try lines.withLock { $0 }.map { line in
            try #require(
                JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }.filter { $0["event"] as? String == name }
    }

    /// Runs that the agent has now.
    var runs: Int { agent.connections.withLock { $0.runCount } }

    // MARK: Clients

    /// A client, with a certificate of this name.
    func peer(
        as name: String = "client", authority: String = "ca",
        settings: ChannelSettings = ChannelSettings()
    ) throws -> RemotePeer {
        let context = try Certificates.shared.get().context(name, authority: authority)
        return RemotePeer(name: "agent", settings: settings) {
            [port] () throws(TransportError) -> any Connection in
            try TLSConnection.connect(
                host: "localhost", port: port, context: context, timeoutSeconds: 10)
        }
    }

    /// Runs a resynchronization from this side.
    @discardableResult
    func run(
        _ local: String, _ role: Role, remote: String, peer: RemotePeer? = nil,
        bytesPerSecond: UInt64? = nil,
        change: (inout RemoteResync) -> Void = { _ in }
    ) throws -> DiskReport {
        var settings = ChannelSettings()
        settings.bytesPerSecond = bytesPerSecond
        let peer = try peer ?? self.peer(settings: settings)
        defer { peer.close() }
        var resync = RemoteResync(
            localPath: local, role, remotePath: remote, remoteName: "agent:\(remote)",
            options: ResyncOptions(workerCount: 2),
            describe: { error in
                PeerFailure(
                    code: ReturnCode(error).rawValue, condition: .untouched, text: "\(error)")
            })
        change(&resync)
        return try resync.run(through: peer, monitor: ResyncMonitor())
    }

    /// The return code that a run ends with.
    func code(
        _ local: String, _ role: Role, remote: String, peer: RemotePeer? = nil,
        change: (inout RemoteResync) -> Void = { _ in }
    ) throws -> ReturnCode {
        do {
            try run(local, role, remote: remote, peer: peer, change: change)
            return .completed
        } catch let error as ResyncError {
            return ReturnCode(error)
        }
    }
}

extension Certificates {
    func configuration(_ name: String, authority: String = "ca") -> TLSConfiguration {
        TLSConfiguration(
            certificatePath: certificate(name), keyPath: key(name),
            caPath: certificate(authority))
    }
}

/// A disk of 5 GiB, mostly holes, made from a seed.
struct SparseDisk {
    static let virtualSize: UInt64 = 5 << 30
    var seed: UInt64
    /// Pieces of 1 MiB with content that cannot be compressed.
    var pieceCount = 6

    private var offsets: [UInt64] {
        // The last ones lie past 4 GiB.
        (0..<UInt64(pieceCount)).map { index in
            let place = Self.virtualSize / UInt64(pieceCount) * index
            return place / (1 << 20) * (1 << 20) + (index + 1 == UInt64(pieceCount) ? 4096 : 0)
        }
    }

    private func piece(_ index: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(index))
        return generator.bytes(count: 1 << 20)
    }

    @discardableResult
    func make(at path: String) throws -> String {
        var specification = ImageSpecification(virtualSize: Self.virtualSize)
        specification.blockSize = 1 << 20
        try ImageCreation.create(specification, at: path)
        let writer = try ImageWriter(openingImageAt: path)
        for (index, offset) in offsets.enumerated() {
            try writer.write(piece(index).rawSpan, at: offset)
        }
        try writer.close()
        return path
    }

    /// Whether an image reads as this disk.
    func isContent(of path: String) throws -> Bool {
        let report = try LocalResync(
            primary: try copy(beside: path), replica: path, options: dryRun
        ).run(monitor: ResyncMonitor())
        return report.counts.blocksDiffering == 0 && report.counts.blocksCompared > 0
    }

    private var dryRun: ResyncOptions {
        var options = ResyncOptions(workerCount: 2)
        options.isDryRun = true
        return options
    }

    private func copy(beside path: String) throws -> String {
        let copy = path + ".expected"
        try? FileManager.default.removeItem(atPath: copy)
        return try make(at: copy)
    }
}
