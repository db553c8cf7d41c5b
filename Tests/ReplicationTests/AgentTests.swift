import Foundation
import Resync
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Replication

@Suite("An agent that listens")
struct AgentTests {
    @Test("A replica that it serves becomes the client's primary, and is found equal then")
    func push() throws {
        let trial = try AgentTrial { $0.options.parents = ParentSearch() }
        let primary = try SparseDisk(seed: 1).make(at: trial.folder.file("primary.vhdx"))
        let replica = try SparseDisk(seed: 2).make(at: trial.file("replica.vhdx"))
        let report = try trial.run(primary, .primary, remote: "/replica.vhdx")
        #expect(report.isVerified && report.counts.blocksDiffering > 0)
        #expect(try SparseDisk(seed: 1).isContent(of: replica))
        #expect(try !SparseDisk(seed: 2).isContent(of: replica))

        let again = try trial.run(primary, .primary, remote: "replica.vhdx")
        #expect(again.counts.blocksDiffering == 0)
        trial.agent.stop()
        try trial.waitForEnd()

        #expect(try trial.events("listening").count == 1)
        let allowed = try trial.events("peer-allowed")
        #expect(allowed.count == 2)
        #expect(allowed.first?["subject"] as? String == "CN=client,O=Test")
        let finished = try trial.events("run-finished")
        #expect(finished.map { $0["code"] as? Int } == [0, 0])
        #expect(finished.map { $0["role"] as? String } == ["replica", "replica"])
        #expect(finished.map { $0["path"] as? String } == ["/replica.vhdx", "replica.vhdx"])
        let bytes = finished.map { $0["bytes"] as? Int ?? 0 }
        #expect(bytes[0] > 5 << 20 && (1..<100_000).contains(bytes[1]))
        #expect((finished[0]["seconds"] as? Double ?? 0) > 0)
        #expect((finished[0]["blocksDiffering"] as? Int ?? 0) > 0)
        #expect(try trial.events("connection-closed").count == 2)
        #expect(try trial.events("stopping").count == 1)
        #expect(try trial.events("stopped").count == 1)
    }

    @Test("A primary that it serves is what the client's replica becomes")
    func pull() throws {
        let trial = try AgentTrial { $0.isReadOnly = true }
        try FileManager.default.createDirectory(
            atPath: trial.file("vm"), withIntermediateDirectories: false)
        try SparseDisk(seed: 3).make(at: trial.file("vm/primary.vhdx"))
        let replica = try SparseDisk(seed: 4).make(at: trial.folder.file("replica.vhdx"))
        let report = try trial.run(replica, .replica, remote: "vm/primary.vhdx")
        #expect(report.isVerified && report.counts.blocksDiffering > 0)
        #expect(try SparseDisk(seed: 3).isContent(of: replica))
    }

    @Test("A replica that it serves is prepared, checked and finished, by the rules of a push")
    func prepared() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 1).make(at: trial.folder.file("primary.vhdx"))
        let replica = try SparseDisk(seed: 2).make(at: trial.file("replica.vhdx"))
        let before = try DiskPair.bytes(of: replica)
        func resync(_ remote: String) -> RemoteResync {
            RemoteResync(
                localPath: primary, .primary, remotePath: remote, remoteName: remote,
                options: ResyncOptions(workerCount: 2),
                describe: { PeerFailure(code: 32768, condition: .untouched, text: "\($0)") })
        }
        let peer = try trial.peer()
        defer { peer.close() }
        let prepared = try resync("replica.vhdx").prepare(through: peer, monitor: ResyncMonitor())
        #expect(try DiskPair.bytes(of: replica) == before)
        let journal = try #require(prepared.journal)

        let strict = try AgentTrial { $0.isReadOnly = true }
        try FileManager.default.createSymbolicLink(
            atPath: trial.file("leads-out.vhdx"), withDestinationPath: "../primary.vhdx")
        func code(_ trial: AgentTrial, _ body: (RemotePeer) throws -> Void) throws -> ReturnCode {
            let peer = try trial.peer()
            defer { peer.close() }
            do {
                try body(peer)
                return .completed
            } catch let error as ResyncError {
                return ReturnCode(error)
            }
        }
        func codes(_ trial: AgentTrial, _ path: String) throws -> [ReturnCode] {
            let resync = resync(path)
            return [
                try code(trial) { _ = try resync.prepare(through: $0, monitor: ResyncMonitor()) },
                try code(trial) {
                    try resync.check(journal, through: $0, monitor: ResyncMonitor())
                },
                try code(trial) {
                    _ = try resync.finish(journal, through: $0, monitor: ResyncMonitor())
                },
            ]
        }
        let denied = [ReturnCode](repeating: .accessDenied, count: 3)
        #expect(try codes(strict, "replica.vhdx") == denied)
        #expect(try codes(trial, "leads-out.vhdx") == denied)
        #expect(try codes(trial, "replica.vhdx.resync") == denied)

        try resync("replica.vhdx").check(journal, through: peer, monitor: ResyncMonitor())
        _ = try resync("replica.vhdx").finish(journal, through: peer, monitor: ResyncMonitor())
        #expect(try SparseDisk(seed: 1).isContent(of: replica))
        let finished = try trial.events("run-finished")
        #expect(finished.map { $0["code"] as? Int } == [0, 0, 0])
    }

    @Test("A replica is made where there is none, and nowhere else than in the folder")
    func create() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 5, pieceCount: 2).make(
            at: trial.folder.file("primary.vhdx"))
        let create: (inout RemoteResync) -> Void = { $0.options.createsReplica = true }
        try trial.run(primary, .primary, remote: "new.vhdx", change: create)
        #expect(try SparseDisk(seed: 5, pieceCount: 2).isContent(of: trial.file("new.vhdx")))

        let outside = trial.folder.file("outside.vhdx")
        try FileManager.default.createSymbolicLink(
            atPath: trial.file("out"), withDestinationPath: trial.folder.path)
        try FileManager.default.createSymbolicLink(
            atPath: trial.file("leads-out.vhdx"), withDestinationPath: "../outside.vhdx")
        for path in ["../outside.vhdx", "out/outside.vhdx", "leads-out.vhdx", "x.vhdx.resync"] {
            let code = try trial.code(primary, .primary, remote: path, change: create)
            #expect(code == .accessDenied, "\(path)")
        }
        #expect(try trial.code(primary, .primary, remote: "no/x", change: create) == .fileNotFound)
        #expect(try trial.code(primary, .primary, remote: "no.vhdx") == .fileNotFound)
        #expect(!FileManager.default.fileExists(atPath: outside))
        #expect(try trial.events("run-refused").map { $0["code"] as? Int }.contains(32769))
    }

    @Test("An agent that only reads has no replica")
    func readOnly() throws {
        let trial = try AgentTrial { $0.isReadOnly = true }
        let disk = try SparseDisk(seed: 6, pieceCount: 1).make(at: trial.file("disk.vhdx"))
        let primary = try SparseDisk(seed: 7, pieceCount: 1).make(
            at: trial.folder.file("primary.vhdx"))
        let before = try FileManager.default.attributesOfItem(atPath: disk)[.modificationDate]
        #expect(try trial.code(primary, .primary, remote: "disk.vhdx") == .accessDenied)
        // Whether there is such a file is not looked at.
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .accessDenied)
        let after = try FileManager.default.attributesOfItem(atPath: disk)[.modificationDate]
        #expect(before as? Date == after as? Date)
    }

    // MARK: Who

    @Test("Who is not on the list learns nothing of what is there")
    func list() throws {
        let certificates = try Certificates.shared.get()
        let trial = try AgentTrial { $0.allowedPeers = ["somebody", "CN=client,O=Other"] }
        let primary = try SparseDisk(seed: 8, pieceCount: 1).make(
            at: trial.folder.file("primary.vhdx"))
        // With an allowed peer this is a file that is not found.
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .accessDenied)
        #expect(try trial.code(primary, .replica, remote: "missing.vhdx") == .accessDenied)
        #expect(try trial.events("run-refused").isEmpty)
        #expect(try trial.events("peer-refused").count == 2)

        let fingerprint = try ExternalFingerprint.of(certificates.certificate("client"))
        let allowing = try AgentTrial { $0.allowedPeers = ["somebody", fingerprint] }
        #expect(try allowing.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        #expect(try allowing.code(primary, .replica, remote: "missing.vhdx") == .fileNotFound)
        #expect(try allowing.events("run-refused").count == 1)
        let finished = try allowing.events("run-finished")
        #expect(finished.map { $0["code"] as? Int } == [32779])
    }

    @Test("Whom another authority has certified does not get through the handshake")
    func otherAuthority() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 9, pieceCount: 1).make(
            at: trial.folder.file("primary.vhdx"))
        let stranger = try trial.peer(as: "stranger")
        let code = try trial.code(primary, .primary, remote: "missing.vhdx", peer: stranger)
        #expect(code == .accessDenied)
        try AgentTrial.wait(for: "the log") { try !trial.events("handshake-failed").isEmpty }
        #expect(try trial.events("peer-allowed").isEmpty)
    }

    @Test("Certificates are read again, and unusable ones are not used")
    func reload() throws {
        let certificates = try Certificates.shared.get()
        let folder = try TemporaryCredentials(certificates, "server")
        let trial = try AgentTrial(tls: folder.configuration)
        let primary = try SparseDisk(seed: 10, pieceCount: 1).make(
            at: trial.folder.file("primary.vhdx"))
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)

        try "not a certificate".write(
            toFile: folder.configuration.certificatePath, atomically: true, encoding: .utf8)
        #expect(throws: TransportError.self) { try trial.agent.reloadCertificates() }
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        #expect(try trial.events("certificates-unusable").count == 1)

        // One that is for another host: that the client refuses it shows that it is in use.
        try folder.put(certificates, "wrong-name")
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        try trial.agent.reloadCertificates()
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .accessDenied)
        #expect(try trial.events("certificates-reloaded").count == 1)
    }

    @Test("An agent without a folder, with unusable certificates or limits does not start")
    func doesNotStart() throws {
        let tls = try Certificates.shared.get().configuration("server")
        let log = EventLog(.text, write: { _ in }, now: { Date.now })
        func start(_ root: String, _ tls: TLSConfiguration, connections: Int = 8) throws {
            var configuration = AgentConfiguration(
                root: root, options: ResyncOptions(workerCount: 1))
            configuration.connectionLimit = connections
            _ = try Agent(configuration, tls: tls, log: log)
        }
        func code(_ body: () throws -> Void) -> ReturnCode? {
            do {
                try body()
                return nil
            } catch {
                return (error as? ResyncError).map { ReturnCode($0) }
            }
        }
        #expect(code { try start("/tmp", tls) } == nil)
        #expect(code { try start("/no/such/folder", tls) } == .fileNotFound)
        #expect(code { try start("/tmp", tls, connections: 0) } == .invalidParameter)
        #expect(code { try start("/tmp", tls, connections: 81) } == .invalidParameter)
        var wrong = tls
        wrong.keyPath = try Certificates.shared.get().key("client")
        #expect(code { try start("/tmp", wrong) } == .accessDenied)
    }
}
