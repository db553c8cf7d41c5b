internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// The program over two hosts, of which either is killed at random, or the line between them cut:
/// the replica is its old self, or its new self, or refuses to open until one command finishes it.
@Suite("Two hosts, killed")
struct KilledHostTests {
    /// What is stopped.
    enum Victim: String {
        case client = "the client", agent = "the agent", line = "the line"

        /// Whether it has the replica.
        func writes(_ way: TwoHosts.Way) -> Bool { self == (way == .push ? .agent : .client) }
    }

    /// When it is stopped.
    enum Moment: CustomStringConvertible {
        /// Before more than so many bytes have passed.
        case passing(CuttableLine.Direction, UInt64)
        /// So long after the journal was committed.
        case committed(microseconds: UInt32)

        var description: String {
            switch self {
            case .passing(let direction, let count): "after \(count) bytes \(direction)"
            case .committed(let time): "\(time) µs after the commit"
            }
        }

        /// While something is sent, mostly by the side that has the primary; and after that, when
        /// most happens to who has the replica.
        init(
            in run: TwoHosts.Undisturbed, _ way: TwoHosts.Way, _ victim: Victim,
            using random: inout SeededGenerator
        ) {
            guard UInt8.random(in: 0..<10, using: &random) >= (victim.writes(way) ? 6 : 2) else {
                let limit = run.recoveryMicroseconds / 2
                self = .committed(microseconds: .random(in: 0..<limit, using: &random))
                return
            }
            let isBack = UInt8.random(in: 0..<4, using: &random) == 0
            let direction = isBack == (way == .push) ? CuttableLine.Direction.toClient : .toServer
            let limit = run.bytesOnLine[direction, default: 1]
            self = .passing(direction, .random(in: 1...limit, using: &random))
        }

        /// How much of what the primary's side sends had passed, where that is known.
        func passedByteCount(_ way: TwoHosts.Way) -> UInt64? {
            guard case .passing(way == .push ? .toServer : .toClient, let count) = self else {
                return nil
            }
            return count
        }
    }

    private static let pair = Result { try StalePair(blockCount: 24, changedOneIn: 20) }

    // MARK: TLS

    @Test(
        "Over TLS, at any time",
        arguments: [
            (.push, .client, 30), (.push, .agent, 40), (.push, .line, 30),
            (.pull, .client, 40), (.pull, .agent, 25), (.pull, .line, 25),
        ] as [(TwoHosts.Way, Victim, Int)])
    func overTLS(_ way: TwoHosts.Way, _ victim: Victim, runCount: Int) throws {
        let folder = try TemporaryFolder()
        let hosts = try TwoHosts(Self.pair.get(), way, in: folder)
        let whole = try hosts.measure()
        var replica = hosts.replica
        var random = SeededGenerator(seed: 80)
        var tally = RemainsTally(of: victim == .line ? "cuts" : "kills")
        var continued = ContinuedRuns(wholeByteCount: whole.bytesSent)
        for index in 0..<runCount {
            let moment = Moment(in: whole, way, victim, using: &random)
            replica.label = "\(way) over TLS, \(victim), seed 80, run \(index), \(moment)"
            try replica.reset()
            let ending = try run(hosts, replica, stopping: victim, moment, index)
            try judge(
                replica, after: ending, passing: moment.passedByteCount(way), &tally, &continued)
        }
        tally.print("\(way) over TLS, \(victim.rawValue)")
        continued.print("\(way) over TLS, \(victim.rawValue)")
        #expect(continued.count > 2)
        // Who has the replica keeps what has arrived, unless it is killed itself.
        let passed = continued.passed
        if !victim.writes(way) { #expect(passed.keptByteCount * 4 > passed.byteCount) }
    }

    /// Runs the program, and returns when neither side works on a disk any more.
    private func run(
        _ hosts: TwoHosts, _ replica: StoppedReplica, stopping victim: Victim, _ moment: Moment,
        _ index: Int
    ) throws -> Program.Ending {
        let line = hosts.line
        let agent = hosts.agent.program.identifier
        let process = ConditionLock<Int32>(0)
        let isStopped = Lock(false)
        let stop: @Sendable () -> Void = {
            switch victim {
            case .client: kill(process.withLock(when: { $0 != 0 }) { $0 }, SIGKILL)
            case .agent: kill(agent, SIGKILL)
            case .line: line.cut()
            }
            isStopped.withLock { $0 = true }
        }
        if case .passing(let direction, let count) = moment {
            line.setTrap(direction, after: count, stop)
        }
        let client = try Program.Running(replica.job)
        process.withLock { $0 = client.identifier }
        switch moment {
        case .passing:
            while client.isRunning, !isStopped.withLock({ $0 }) { usleep(200) }
        case .committed(let microseconds):
            while client.isRunning, try !replica.journalIsCommitted() { usleep(100) }
            usleep(microseconds)
            if client.isRunning { stop() }
        }
        line.removeTrap()
        if victim == .agent, isStopped.withLock({ $0 }) {
            // One half sees what the agent has left, the other how the client goes on.
            if index % 2 == 0 { client.send(SIGKILL) }
            try hosts.startAnotherAgent()
        }
        let ending = try client.wait()
        try hosts.waitForAgent()
        return ending
    }

    /// Checks what is left, and the run that finishes it.
    private func judge(
        _ replica: StoppedReplica, after ending: Program.Ending, passing passed: UInt64?,
        _ tally: inout RemainsTally, _ continued: inout ContinuedRuns
    ) throws {
        guard ending.wasKilled || ending.status != 0 else {
            #expect(try replica.remains() == .new, "\(replica.label): \(ending.output)")
            tally.count(.new)
            return try replica.expectNothingElse()
        }
        let isCommitted = try replica.journalIsCommitted()
        if !ending.wasKilled {
            // Once the commit is asked for, the program asks what became of it until it knows.
            #expect(ending.status == 10, "\(replica.label): \(ending.error)")
            let remains = try replica.remains()
            #expect(!isCommitted && remains == .old, "\(replica.label): \(ending.error)")
        }
        let held = isCommitted ? 0 : try replica.heldByteCount()
        let old = tally[.old]
        let next = try replica.expectOldRefusedOrNew(&tally)
        guard !isCommitted, tally[.old] > old, let next else { return }
        continued.expect(
            held: held, afterPassing: passed, sent: try StoppedReplica.bytesSent(next),
            label: replica.label)
    }

    // MARK: A line that is cut again

    @Test(
        "A line that is cut twice, and a client that calls again",
        arguments: [.push, .pull] as [TwoHosts.Way])
    func retry(_ way: TwoHosts.Way) throws {
        let folder = try TemporaryFolder()
        let hosts = try TwoHosts(Self.pair.get(), way, in: folder)
        let whole = try hosts.measure()
        var replica = hosts.replica
        replica.jobOptions += ["--retry", "9"]
        let direction = way == .push ? CuttableLine.Direction.toServer : .toClient
        let limit = whole.bytesOnLine[direction, default: 1] / 2
        var random = SeededGenerator(seed: 81)
        var tally = RemainsTally(of: "cuts")
        for index in 0..<2 {
            let counts = (0..<2).map { _ in UInt64.random(in: 1...limit, using: &random) }
            replica.label = "\(way) with --retry, seed 81, run \(index), after \(counts) bytes"
            try replica.reset()
            let line = hosts.line
            line.setTrap(direction, after: counts[0]) {
                line.setTrap(direction, after: counts[1]) { line.cut() }
                line.cut()
            }
            let ending = try Program.run(replica.job)
            #expect(ending.status == 0, "\(replica.label): \(ending.error)")
            #expect(try replica.remains() == .new, "\(replica.label)")
            try replica.expectNothingElse()
            // The first connection, and one after each cut.
            #expect(line.connectionCount == 3 * (index + 1), "\(replica.label)")
            tally.count(.new)
        }
        tally.print("\(way) over TLS, twice, with --retry")
    }

    // MARK: The stand-in for ssh

    @Test(
        "Over what stands in for ssh, at any time",
        arguments: [
            (.push, .client), (.push, .agent), (.pull, .client), (.pull, .agent),
        ] as [(TwoHosts.Way, Victim)])
    func overStandIn(_ way: TwoHosts.Way, _ victim: Victim) throws {
        let (folder, notes) = try (TemporaryFolder(), TemporaryFolder())
        let pair = try Self.pair.get()
        let shell = try RemoteShell()
        let process = notes.file("process")
        let options = try shell.options("echo $$ > '\(process)'; exec \"$@\"")
        var replica = StoppedReplica(pair: pair, folder: folder.path, label: "")
        let disks =
            way == .push
            ? [pair.primary, "other:\(replica.replica)"]
            : ["other:\(pair.primary)", replica.replica]
        replica.operands = disks + options
        replica.jobOptions = StoppedReplica.remoteJobOptions

        try replica.reset()
        let whole = try StoppedReplica.bytesSent(replica.expectThatARunFinishesIt())
        var random = SeededGenerator(seed: 82)
        var tally = RemainsTally(of: "kills")
        var continued = ContinuedRuns(wholeByteCount: whole)
        for index in 0..<13 {
            // As long a journal, or one that is committed then.
            let byteCount = UInt64.random(in: 0..<whole + whole / 2, using: &random)
            let microseconds = UInt32.random(in: 0..<20_000, using: &random)
            replica.label =
                "\(way), \(victim), seed 82, run \(index), \(microseconds) µs after \(byteCount) "
                + "bytes of the journal"
            try replica.reset()
            try DiskFile.remove(process)
            let client = try Program.Running(replica.job)
            #expect(getpgid(client.identifier) == client.identifier, "\(replica.label)")
            while client.isRunning, try !replica.hasJournal(of: byteCount) { usleep(100) }
            usleep(microseconds)
            switch victim {
            case .client: client.send(SIGKILL)
            default: try killAgent(notedIn: process, of: client)
            }
            let ending = try client.wait()
            while !client.groupHasEnded { usleep(500) }
            try judge(replica, after: ending, passing: nil, &tally, &continued)
        }
        tally.print("\(way) over the stand-in for ssh, \(victim.rawValue)")
        continued.print("\(way) over the stand-in for ssh, \(victim.rawValue)")
    }

    /// Kills the agent of a client that has not ended, as soon as it is there.
    private func killAgent(notedIn path: String, of client: Program.Running) throws {
        while client.isRunning {
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            if text.hasSuffix("\n"), let process = Int32(text.dropLast()) {
                kill(process, SIGKILL)
                return
            }
            usleep(200)
        }
    }
}
