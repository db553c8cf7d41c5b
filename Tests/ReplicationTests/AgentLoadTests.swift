import Foundation
import Resync
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Replication

@Suite("Those who keep an agent from its work")
struct AgentLoadTests {
    /// A small disk of the client, for questions of which the answer is that there is no such file.
    private func primary(_ trial: AgentTrial) throws -> String {
        try SparseDisk(seed: 20, pieceCount: 1).make(at: trial.folder.file("primary.vhdx"))
    }

    private func connect(_ trial: AgentTrial) throws -> TCPConnection {
        try TCPConnection.connect(host: "127.0.0.1", port: trial.port, timeoutSeconds: 10)
    }

    @Test("Who connects and leaves, or speaks something else, is in nobody's way")
    func strangers() throws {
        let trial = try AgentTrial()
        let primary = try primary(trial)
        for _ in 0..<20 { try connect(trial).close() }
        let request = Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
        for _ in 0..<20 {
            let connection = try connect(trial)
            try connection.send(request.rawSpan)
            // What comes back, if anything, is an alert of TLS, and then the end.
            var answer = [UInt8](repeating: 0, count: 1000)
            answer.withMutableRawSpan { _ = try? connection.receive(into: &$0, timeoutSeconds: 10) }
            #expect(answer[0] != UInt8(ascii: "H"))
            connection.close()
        }
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        try AgentTrial.wait(for: "the log") { try trial.events("handshake-failed").count >= 5 }
        // The others are counted.
        #expect(try trial.events("handshake-failed").count < 40)
        try AgentTrial.wait(for: "the count") { try !trial.events("lines-left-out").isEmpty }
    }

    @Test("Hundreds of silent connections give way to the next client, and do not pile up")
    func flood() throws {
        let trial = try AgentTrial { configuration in
            configuration.connectionLimit = 8
            configuration.handshakeTimeoutSeconds = 600
        }
        let primary = try primary(trial)
        var silent: [TCPConnection] = []
        for _ in 0..<300 { silent.append(try connect(trial)) }
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        #expect(try trial.events("connection-refused").count > 0)
        for connection in silent { connection.close() }
        trial.agent.stop()
        try trial.waitForEnd()
    }

    @Test("Silent connections are ended after the time for the handshake")
    func handshakeTimeout() throws {
        let trial = try AgentTrial { $0.handshakeTimeoutSeconds = 0.2 }
        let silent = try connect(trial)
        var answer = [UInt8](repeating: 0, count: 100)
        var count = -1
        answer.withMutableRawSpan { bytes in
            count = (try? silent.receive(into: &bytes, timeoutSeconds: 30)) ?? -1
        }
        #expect(count == 0)
        try AgentTrial.wait(for: "the log") { try !trial.events("handshake-failed").isEmpty }
    }

    @Test("Clients that are let in and say nothing are ended, and others served then")
    func silentClients() throws {
        let trial = try AgentTrial { configuration in
            configuration.connectionLimit = 2
            configuration.channel = ChannelSettings(
                keepAliveSeconds: 0.1, idleTimeoutSeconds: 0.5)
        }
        let primary = try primary(trial)
        let context = try Certificates.shared.get().context("client")
        let silent = try (0..<2).map { _ in
            try TLSConnection.connect(
                host: "localhost", port: trial.port, context: context, timeoutSeconds: 10)
        }
        try AgentTrial.wait(for: "both") { try trial.events("peer-allowed").count == 2 }
        // While both are there, there is no room.
        try connect(trial).close()
        try AgentTrial.wait(for: "a refusal") {
            try !trial.events("connection-refused").isEmpty
        }
        try AgentTrial.wait(for: "their end") {
            try trial.events("connection-closed").count == 2
        }
        #expect(try trial.code(primary, .primary, remote: "missing.vhdx") == .fileNotFound)
        for connection in silent { connection.close() }
    }

    @Test("No more disks are served at once than may be")
    func runLimit() throws {
        let trial = try AgentTrial { $0.runLimit = 1 }
        let primary = try SparseDisk(seed: 21).make(at: trial.folder.file("primary.vhdx"))
        for name in ["a.vhdx", "b.vhdx"] {
            try SparseDisk(seed: 22).make(at: trial.file(name))
        }
        let slow = Background {
            try trial.run(primary, .primary, remote: "a.vhdx", bytesPerSecond: 100_000)
        }
        try AgentTrial.wait(for: "the run") { trial.runs == 1 }
        let other = try SparseDisk(seed: 21).make(at: trial.folder.file("other.vhdx"))
        #expect(try trial.code(other, .primary, remote: "b.vhdx") == .systemInUse)
        trial.agent.stop(atOnce: true)
        #expect(throws: ResyncError.self) { try slow.value() }
        try trial.waitForEnd()
    }

    @Test("A replica is one client's at a time")
    func oneClient() throws {
        let trial = try AgentTrial()
        let primary = try SparseDisk(seed: 23).make(at: trial.folder.file("primary.vhdx"))
        let other = try SparseDisk(seed: 23).make(at: trial.folder.file("other.vhdx"))
        try SparseDisk(seed: 24).make(at: trial.file("a.vhdx"))
        let slow = Background {
            try trial.run(primary, .primary, remote: "a.vhdx", bytesPerSecond: 100_000)
        }
        try AgentTrial.wait(for: "the journal") {
            FileManager.default.fileExists(atPath: trial.file("a.vhdx.resync"))
        }
        #expect(try trial.code(other, .primary, remote: "a.vhdx") == .systemInUse)
        trial.agent.stop(atOnce: true)
        #expect(throws: ResyncError.self) { try slow.value() }
    }
}
