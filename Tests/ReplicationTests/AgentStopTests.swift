import Foundation
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Replication
@testable import Resync

@Suite("The end of an agent")
struct AgentStopTests {
    @Test("A comparison is stopped, says so, and the next run goes on from its journal")
    func comparison() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 30).make(at: trial.folder.file("primary.vhdx"))
        let replica = try SparseDisk(seed: 31).make(at: trial.file("replica.vhdx"))
        let journal = trial.file("replica.vhdx.resync")
        let run = Background {
            try trial.code(
                primary, .primary, remote: "replica.vhdx",
                peer: trial.peer(settings: .init(bytesPerSecond: 400_000)))
        }
        try AgentTrial.wait(for: "some of the journal") {
            let attributes = try? FileManager.default.attributesOfItem(atPath: journal)
            return (attributes?[.size] as? Int ?? 0) > 1 << 20
        }
        trial.agent.stop()
        try trial.waitForEnd()
        let code = try run.value()
        #expect(code == .failed)
        #expect(FileManager.default.fileExists(atPath: journal))
        #expect(try SparseDisk(seed: 31).isContent(of: replica))
        let finished = try trial.events("run-finished")
        #expect(finished.map { $0["code"] as? Int } == [32768])
        #expect(finished.first?["message"] as? String == "stopped on request")

        // By another agent of the same folder.
        let next = try AgentTrial { $0.root = trial.file(".") }
        let report = try next.run(primary, .primary, remote: "replica.vhdx")
        #expect(report.counts.blocksHeld > 0)
        #expect(try SparseDisk(seed: 30).isContent(of: replica))
    }

    @Test("What is being written to a replica is finished, and the client gets its result")
    func apply() throws {
        let trial = try AgentTrial()
        let disk = SparseDisk(seed: 32, pieceCount: 160)
        let primary = try disk.make(at: trial.folder.file("primary.vhdx"))
        let replica = try SparseDisk(seed: 33).make(at: trial.file("replica.vhdx"))
        let run = Background { try trial.run(primary, .primary, remote: "replica.vhdx") }
        var phase = ResyncPhase.opening
        try AgentTrial.wait(for: "the writing") {
            phase = trial.agent.connections.withLock { $0.phases.first } ?? .opening
            return phase == .applying
        }
        trial.agent.stop()
        #expect(try run.value().isVerified)
        try trial.waitForEnd()
        #expect(try disk.isContent(of: replica))
        #expect(try trial.events("run-finished").map { $0["code"] as? Int } == [0])
        // It was asked to end before the run was over.
        let names = try trial.lines.withLock { $0 }.compactMap { line in
            (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["event"]
                as? String
        }
        let stopping = try #require(names.firstIndex(of: "stopping"))
        let finished = try #require(names.firstIndex(of: "run-finished"))
        #expect(stopping < finished)
    }

    @Test("A second request ends the writing too, and the next run finishes it")
    func applyAtOnce() throws {
        let trial = try AgentTrial()
        let disk = SparseDisk(seed: 36, pieceCount: 160)
        let primary = try disk.make(at: trial.folder.file("primary.vhdx"))
        let replica = try SparseDisk(seed: 37).make(at: trial.file("replica.vhdx"))
        let run = Background { try trial.code(primary, .primary, remote: "replica.vhdx") }
        try AgentTrial.wait(for: "the writing") {
            trial.agent.connections.withLock { $0.phases.first } == .applying
        }
        trial.agent.stop()
        trial.agent.stop()
        try trial.waitForEnd()
        let isStopped = try trial.events("run-finished").contains { $0["code"] as? Int == 32768 }
        let code = try run.value()
        #expect((code == .completed) == !isStopped)
        // Not wholly written, it says so of itself, and its journal is there.
        let journal = trial.file("replica.vhdx.resync")
        #expect(FileManager.default.fileExists(atPath: journal) == isStopped)
        let opens = (try? ImageReader(openingImageAt: replica).info) != nil
        #expect(opens != isStopped)

        let next = try AgentTrial { $0.root = trial.file(".") }
        try next.run(primary, .primary, remote: "replica.vhdx")
        #expect(try disk.isContent(of: replica))
        #expect(!FileManager.default.fileExists(atPath: journal))
    }

    @Test("A client that waits between two disks does not keep an agent from its end")
    func idleClient() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 34, pieceCount: 1).make(
            at: trial.folder.file("primary.vhdx"))
        try SparseDisk(seed: 35, pieceCount: 1).make(at: trial.file("replica.vhdx"))
        let peer = try trial.peer()
        let resync = RemoteResync(
            localPath: primary, .primary, remotePath: "replica.vhdx", remoteName: "r",
            options: ResyncOptions(workerCount: 1),
            describe: { PeerFailure(code: 32768, condition: .untouched, text: "\($0)") })
        _ = try resync.run(through: peer, monitor: ResyncMonitor())
        trial.agent.stop()
        try trial.waitForEnd()
        peer.close()
    }

    // MARK: The table

    private final class Closings: Sendable {
        let names = Lock<[String]>([])

        func close(_ name: String) -> @Sendable () -> Void {
            { [names] in names.withLock { $0.append(name) } }
        }
    }

    private func id(_ admission: AgentConnections.Admission) throws -> UInt64 {
        switch admission {
        case .admitted(let id): return id
        case .admittedFor(let former, let id):
            former.close()
            return id
        case .refused: throw AgentTrial.DidNotHappen(what: "admission")
        }
    }

    @Test(
        "An orderly end stops a run before it writes, and not while it writes",
        arguments: ResyncPhase.allCases)
    func phases(_ phase: ResyncPhase) throws {
        var table = AgentConnections(limit: 2, runLimit: 1)
        let closings = Closings()
        let id = try id(table.admit(from: "h", close: closings.close("first")))
        let isIn = table.letIn(id, close: closings.close("channel"))
        #expect(isIn)
        let monitor = ResyncMonitor()
        try table.begin(monitor, on: id)
        monitor.begin(phase)
        table.stop(atOnce: false)
        for action in table.endWhatMay() { action() }
        let isEarly = phase == .opening || phase == .comparing || phase == .receiving
        #expect((monitor.stopReason != nil) == isEarly)
        #expect(closings.names.withLock { $0 } == [])
        if !isEarly {
            // What finishes an earlier run goes on with a comparison.
            monitor.begin(.comparing)
            for action in table.endWhatMay() { action() }
            #expect(monitor.stopReason == .cancelled)
        }
        let late = table.admit(from: "h", close: {})
        guard case .refused = late else { throw AgentTrial.DidNotHappen(what: "a refusal") }

        table.stop(atOnce: false)
        for action in table.endWhatMay() { action() }
        #expect(monitor.stopReason == .cancelled)
        #expect(closings.names.withLock { $0 } == ["channel"])
    }

    @Test("The second request ends what is being written as well")
    func secondStop() throws {
        var table = AgentConnections(limit: 2, runLimit: 1)
        let id = try id(table.admit(from: "h", close: {}))
        let isIn = table.letIn(id, close: {})
        #expect(isIn)
        let monitor = ResyncMonitor()
        try table.begin(monitor, on: id)
        monitor.begin(.applying)
        table.stop(atOnce: false)
        for action in table.endWhatMay() { action() }
        #expect(monitor.stopReason == nil)
        table.stop(atOnce: false)
        for action in table.endWhatMay() { action() }
        #expect(monitor.stopReason == .cancelled)
    }

    @Test("The oldest connection without a handshake gives way, of the host that has most")
    func givingWay() throws {
        var table = AgentConnections(limit: 4, runLimit: 1)
        let closings = Closings()
        func admit(_ host: String, _ name: String) throws -> UInt64 {
            try id(table.admit(from: host, close: closings.close(name)))
        }
        let honest = try admit("honest", "honest")
        _ = try admit("flood", "1")
        _ = try admit("flood", "2")
        _ = try admit("other", "other")
        _ = try admit("flood", "3")
        #expect(closings.names.withLock { $0 } == ["1"])
        for name in ["4", "5"] { _ = try admit("flood", name) }
        #expect(closings.names.withLock { $0 } == ["1", "2", "3"])
        let isIn = table.letIn(honest, close: {})
        #expect(isIn)

        // Who was let in does not give way.
        var full = AgentConnections(limit: 1, runLimit: 1)
        let first = try id(full.admit(from: "a", close: {}))
        let isFirstIn = full.letIn(first, close: {})
        #expect(isFirstIn)
        let second = full.admit(from: "b", close: {})
        guard case .refused = second else {
            throw AgentTrial.DidNotHappen(what: "a refusal")
        }
        full.remove(first)
        _ = try id(full.admit(from: "b", close: {}))
    }
}
