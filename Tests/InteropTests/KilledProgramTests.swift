internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// The program, killed anywhere: the replica is its old self, or its new self, or refuses to open
/// until one command finishes it. Each test has files of its own.
@Suite("The killed program")
struct KilledProgramTests {
    private static let refusal = ChangingCalls.refusal

    /// Enough for each kind of difference several times.
    private let small: StalePair
    private let folder: TemporaryFolder

    init() throws {
        small = try StalePair(blockCount: 24)
        folder = try TemporaryFolder()
    }

    private func replica(_ label: String, of pair: StalePair? = nil) -> StoppedReplica {
        StoppedReplica(pair: pair ?? small, folder: folder.path, label: label)
    }

    // MARK: At each call

    /// Each call, and the middle of each write.
    private func faults(at calls: [ChangingCalls.Call]) -> [ChangingCalls.Fault] {
        calls.flatMap { call -> [ChangingCalls.Fault] in
            let kill = ChangingCalls.Fault.kill(at: call.number)
            return call.name == "pwrite" ? [kill, .tear(at: call.number)] : [kill]
        }
    }

    /// Runs the program until the fault ends it.
    private func run(_ arguments: [String], until fault: ChangingCalls.Fault) throws -> Bool {
        try Program.run(
            arguments, environment: try ChangingCalls.environment(in: [folder.path], fault)
        ).wasKilled
    }

    @Test(
        "At each call that changes a file, and in the middle of each write",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func atEachCall() throws {
        var replica = replica("")
        replica.options = ["--jobs", "1"]
        try replica.reset()
        let calls = try ChangingCalls.calls(of: replica.job, in: folder.path)
        for name in ["pwrite", "fdatasync", "fsync", "fallocate", "ftruncate", "unlink"] {
            #expect(calls.contains { $0.name == name }, "no call of \(name)")
        }
        var tally = RemainsTally(of: "kills")
        for fault in faults(at: calls) {
            replica.label = "\(fault) of \(calls.count)"
            try replica.reset()
            #expect(try run(replica.job, until: fault), "\(replica.label): not killed")
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a run, at each call")
        #expect(tally[.old] > 20 && tally[.refused] > 20 && tally[.new] > 2)
    }

    @Test(
        "The recovery too, at each call", .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func recoveryAtEachCall() throws {
        var replica = replica("")
        replica.options = ["--jobs", "1"]
        let (kept, keptJournal) = (small.folder.file("kept"), small.folder.file("kept.resync"))
        try interrupt(replica, keeping: kept, journal: keptJournal)
        let calls = try ChangingCalls.calls(of: replica.recovery, in: folder.path)
        var tally = RemainsTally(of: "kills")
        for fault in faults(at: calls) {
            replica.label = "recovery, \(fault) of \(calls.count)"
            try SparseCopy.make(of: kept, at: replica.replica)
            try SparseCopy.make(of: keptJournal, at: replica.journal)
            #expect(try run(replica.recovery, until: fault), "\(replica.label): not killed")
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a recovery, at each call")
        #expect(tally[.old] == 0 && tally[.refused] > 20 && tally[.new] > 2)
    }

    private static let xfs = refusal ?? LoopMount.refusal(.xfs)

    @Test(
        "Through a clone the replica is old or new, and never refused",
        .enabled(if: xfs == nil, "\(xfs ?? "")"))
    func throughClone() throws {
        let mount = try LoopMount(.xfs)
        let pair = try StalePair(blockCount: 8)
        var replica = StoppedReplica(pair: pair, folder: mount.path, label: "")
        replica.options = ["--jobs", "1", "--apply", "clone"]
        try replica.reset()
        let calls = try ChangingCalls.calls(of: replica.job, in: mount.path)
        #expect(calls.contains { $0.name == "rename" } && calls.contains { $0.name == "clone" })
        var tally = RemainsTally(of: "kills")
        for call in calls {
            replica.label = "\(call.name), call \(call.number) of \(calls.count)"
            try replica.reset()
            let fault = ChangingCalls.Fault.kill(at: call.number)
            let environment = try ChangingCalls.environment(in: [mount.path], fault)
            #expect(try Program.run(replica.job, environment: environment).wasKilled)
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a run through a clone, at each call")
        #expect(tally[.refused] == 0 && tally[.old] > 20 && tally[.new] > 0)
    }

    /// Ends a run when half of the replica is written, and keeps what that leaves.
    private func interrupt(
        _ replica: StoppedReplica, keeping kept: String, journal: String
    ) throws {
        try replica.reset()
        let writes = try ChangingCalls.calls(of: replica.job, in: folder.path)
            .filter { $0.name == "pwrite" && $0.path == replica.replica && $0.byteCount >= 65536 }
        try replica.reset()
        let middle = try #require(writes.dropFirst(writes.count / 2).first).number
        #expect(try run(replica.job, until: .kill(at: middle)))
        #expect(try replica.remains() == .refused)
        try SparseCopy.make(of: replica.replica, at: kept)
        try SparseCopy.make(of: replica.journal, at: journal)
    }

    // MARK: At any time

    /// How long an undisturbed run takes, in microseconds.
    private func duration(of replica: StoppedReplica, _ arguments: [String]) throws -> UInt32 {
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try Program.run(arguments).status == 0)
        return UInt32((clock.now - start) / .microseconds(1))
    }

    @Test("At any time of a run, on all cores")
    func atAnyTime() throws {
        let pair = try StalePair(blockCount: 64)
        var replica = replica("", of: pair)
        try replica.reset()
        let duration = try duration(of: replica, replica.job)
        var random = SeededGenerator(seed: 70)
        var tally = RemainsTally(of: "kills")
        for index in 0..<60 {
            let delay = UInt32.random(in: 0..<duration, using: &random)
            replica.label = "seed 70, run \(index), after \(delay) µs"
            try replica.reset()
            let running = try Program.Running(replica.job)
            usleep(delay)
            running.send(SIGKILL)
            _ = try running.wait()
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a run, at any time")
    }

    @Test("At any time after the commit, on all cores, and its recovery after that")
    func whileApplying() throws {
        let pair = try StalePair(blockCount: 64)
        var replica = replica("", of: pair)
        try replica.reset()
        let atCommit = try sizeOfJournal(of: replica)
        let duration = try duration(of: replica, replica.recovery)
        var random = SeededGenerator(seed: 71)
        var tally = RemainsTally(of: "kills")
        var recoveries = RemainsTally(of: "kills")
        for index in 0..<50 {
            let delays = (0..<3).map { _ in UInt32.random(in: 0..<duration, using: &random) }
            replica.label = "seed 71, run \(index), \(delays[0]) µs after the commit"
            try replica.reset()
            let running = try Program.Running(replica.job)
            while running.isRunning, size(of: replica.journal) < atCommit { usleep(100) }
            usleep(delays[0] / 2)
            running.send(SIGKILL)
            _ = try running.wait()
            guard index % 2 == 1 else {
                try replica.expectOldRefusedOrNew(&tally)
                continue
            }
            for delay in delays.dropFirst() {
                replica.label += ", recovery after \(delay) µs"
                let recovery = try Program.Running(replica.recovery)
                usleep(delay)
                recovery.send(SIGKILL)
                _ = try recovery.wait()
                let remains = try #require(try replica.remains(), "\(replica.label)")
                recoveries.count(remains)
            }
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a run, at any time after the commit")
        recoveries.print("a recovery, at any time")
        #expect(tally[.refused] > 0)
    }

    private func size(of path: String) -> UInt64 {
        DiskFile.fingerprint(ofFileAt: path)?.byteCount ?? 0
    }

    /// How large the journal is when it has its end, which a run that was stopped there leaves.
    private func sizeOfJournal(of replica: StoppedReplica) throws -> UInt64 {
        let running = try Program.Running(replica.job)
        while running.isRunning, try !replica.journalIsCommitted() { usleep(100) }
        running.send(SIGKILL)
        _ = try running.wait()
        #expect(try replica.journalIsCommitted(), "it was over too soon")
        return size(of: replica.journal)
    }
}
