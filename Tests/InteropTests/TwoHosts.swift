internal import Foundation
internal import Storage
internal import TestSupport

/// A pair of which one disk is an agent's, on this machine, with a line between client and agent
/// that can be cut.
final class TwoHosts {
    enum Way: String {
        /// The agent has the replica.
        case push
        /// The agent has the primary.
        case pull
    }

    /// A run that nobody stopped.
    struct Undisturbed {
        /// By the result: from the primary's host to the replica's.
        var bytesSent: UInt64
        /// What has passed on the line, with what TLS adds.
        var bytesOnLine: [CuttableLine.Direction: UInt64]
        /// How long a recovery takes, which writes everything that differs.
        var recoveryMicroseconds: UInt32
    }

    let line: CuttableLine
    private(set) var agent: ListeningAgent
    /// With no case yet.
    let replica: StoppedReplica
    private let root: String
    private let agentOptions: [String]

    init(_ pair: StalePair, _ way: Way, in folder: TemporaryFolder) throws {
        root = way == .push ? folder.path : pair.folder.path
        agentOptions = way == .push ? [] : ["--read-only"]
        agent = try ListeningAgent(root: root, options: agentOptions)
        line = try CuttableLine(to: agent.port)
        var replica = StoppedReplica(pair: pair, folder: folder.path, label: "")
        let url = "vhdresync://localhost:\(line.port)"
        let disks =
            way == .push
            ? [pair.primary, "\(url)/replica.vhdx"] : ["\(url)/primary.vhdx", replica.replica]
        replica.operands = try disks + ListeningAgent.credentials("client")
        replica.jobOptions = StoppedReplica.remoteJobOptions
        self.replica = replica
    }

    /// Puts another agent in the place of one that was killed.
    func startAnotherAgent() throws {
        agent.end()
        agent = try ListeningAgent(root: root, options: agentOptions)
        line.lead(to: agent.port)
    }

    /// Waits until the agent has no connection, and so no disk open.
    func waitForAgent() throws {
        for _ in 0..<60_000 {
            if try agent.endedConnectionCount >= line.connectionCount { return }
            usleep(1000)
        }
        throw DidNotEnd(log: try agent.program.errorSoFar())
    }

    struct DidNotEnd: Error {
        var log: String
    }

    /// Runs the job to its end and, from its commit on, once more as a recovery.
    func measure() throws -> Undisturbed {
        line.removeTrap()
        try replica.reset()
        let bytesSent = try StoppedReplica.bytesSent(replica.expectThatARunFinishesIt())
        let bytes = CuttableLine.Direction.allCases.map { ($0, line.byteCount($0)) }
        try waitForAgent()
        try replica.reset()
        let client = try Program.Running(replica.job)
        while client.isRunning, try !replica.journalIsCommitted() { usleep(100) }
        client.send(SIGKILL)
        agent.end()
        _ = try client.wait()
        let clock = ContinuousClock()
        let start = clock.now
        _ = try Program.run(replica.recovery)
        let duration = UInt32((clock.now - start) / .microseconds(1))
        try startAnotherAgent()
        return Undisturbed(
            bytesSent: bytesSent, bytesOnLine: Dictionary(uniqueKeysWithValues: bytes),
            recoveryMicroseconds: duration)
    }

}

extension StoppedReplica {
    /// Options of a job over two hosts. Larger blocks than on one: each side looks at all of them.
    static let remoteJobOptions = ["--block-size", "1M", "--json"]

    /// What a run has sent from the primary's host, by its result, in bytes.
    static func bytesSent(_ ending: Program.Ending) throws -> UInt64 {
        let object = try JSONSerialization.jsonObject(with: Data(ending.output.utf8))
        let disks = (object as? [String: Any])?["disks"] as? [[String: Any]]
        guard let count = disks?.first?["bytesSent"] as? UInt64 else {
            throw ChangingCalls.Unexpected(ending: ending)
        }
        return count
    }
}
