import Foundation
import Storage
import TestSupport
import Testing
import Transport

@testable import Replication

@Suite("docs/agent.md")
struct AgentDocumentationTests {
    private func document() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "docs/agent.md"), encoding: .utf8)
    }

    @Test("The commands for certificates make such that two hosts accept")
    func certificates() throws {
        let lines = try document().split(separator: "\n", omittingEmptySubsequences: false)
        let first = try #require(lines.firstIndex(of: "    umask 077"))
        let last = try #require(lines.firstIndex(of: "    make_host backup.example"))
        // The one that is called must be there to be called.
        let script = lines[first...last].joined(separator: "\n").replacing(
            "make_host backup.example", with: "make_host localhost")
        let folder = try TemporaryFolder()
        try ExternalProgram.run("sh", ["-ec", "cd '\(folder.path)'\n\(script)"]).requireSuccess()
        func configuration(_ name: String) -> TLSConfiguration {
            TLSConfiguration(
                certificatePath: folder.file("\(name).pem"), keyPath: folder.file("\(name).key"),
                caPath: folder.file("ca.pem"))
        }
        let key = try FileManager.default.attributesOfItem(atPath: folder.file("ca.key"))
        #expect(key[.posixPermissions] as? Int == 0o600)

        let trial = try AgentTrial(tls: configuration("localhost")) {
            $0.allowedPeers = ["primary.example"]
        }
        let connection = try TLSConnection.connect(
            host: "localhost", port: trial.port,
            context: TLSContext(configuration("primary.example")), timeoutSeconds: 10)
        defer { connection.close() }
        #expect(connection.peerIdentity.commonName == "localhost")
        try AgentTrial.wait(for: "the list") { try trial.events("peer-allowed").count == 1 }
    }

    @Test("Every event is listed, and every limit as it is")
    func eventsAndLimits() throws {
        let text = try document()
        for kind in AgentEvent.Kind.allCases { #expect(text.contains("`\(kind.rawValue)`")) }
        let connections = AgentConfiguration.connectionLimits.upperBound
        let runs = AgentConfiguration.runLimits.upperBound
        #expect(text.contains("64 unless told, \(connections) at most"))
        #expect(text.contains("8 unless told, \(runs) at most"))
        #expect(text.contains("\(EventLog.waitingLineLimit) lines wait"))
    }
}
