import Glibc
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A replica or its journal whose file fails")
struct JournalReplicaFailureTests {
    /// Which file fails.
    private enum Failing {
        case replica, journal
        /// The calls on the journal's name.
        case name
    }

    /// What came of a run of which one call failed.
    private struct Trial {
        var left: [String: SparseBytes]
        var error: ResyncError?
        var steps: Set<JournalRun.Step>
        var isReached: Bool
    }

    private func run(
        _ scenario: JournalScenario, _ failing: Failing, _ plan: FailingFile.Plan
    ) -> Trial {
        let replica = MemoryFile(
            content: scenario.files[JournalScenario.replicaName] ?? SparseBytes())
        let memory = MemoryFile(
            name: JournalPlace<MemoryFile>.path,
            content: scenario.files[JournalScenario.journalName] ?? SparseBytes())
        let replicaFile = FailingFile(replica, plan: failing == .replica ? plan : nil)
        let journalFile = FailingFile(memory, plan: failing == .journal ? plan : nil)
        let place = JournalPlace(
            journalFile, in: memory,
            isThere: scenario.files[JournalScenario.journalName] != nil,
            failing: failing == .name ? plan.index : nil)
        let steps = Lock<Set<JournalRun.Step>>([])
        var run = scenario.run()
        run.didReach = { step in steps.withLock { _ = $0.insert(step) } }
        var error: ResyncError?
        do throws(ResyncError) {
            try run(scenario.primary, place.store) { () throws(VHDXError) in
                try ImageWriter(replicaFile, acceptsMark: true)
            }
        } catch let thrown {
            error = thrown
        }
        var left = [JournalScenario.replicaName: replica.content]
        left[JournalScenario.journalName] = place.content
        let isReached =
            failing == .name
            ? place.callCount > plan.index
            : replicaFile.failureCount + journalFile.failureCount > 0
        return Trial(
            left: left, error: error, steps: steps.withLock { $0 }, isReached: isReached)
    }

    private func check(
        _ trial: Trial, _ scenario: JournalScenario, _ failing: Failing, _ errno: Int32,
        isCommitted: Bool, runsAgain: Bool, _ comment: Comment
    ) {
        switch (trial.error, failing) {
        case (.disk(.replica, .file(.system(_, _, _, let found))), .replica),
            (.file(.system(_, _, _, let found)), .journal),
            (.file(.system(_, _, _, let found)), .name):
            #expect(found == errno, comment)
        case (nil, _):
            // Space that could not be given back is no reason to fail.
            #expect(trial.steps.contains(.done), comment)
            #expect(trial.left[JournalScenario.journalName] == nil, comment)
        default:
            Issue.record("\(comment): \(String(describing: trial.error))")
        }
        if case .file(.system(let operation, _, _, let code)) = trial.error, !isCommitted,
            !trial.steps.contains(.committed), code == ENOSPC || operation == .flush
        {
            // What could not be made durable is not gone on with.
            #expect(trial.left[JournalScenario.journalName] == nil, comment)
        }
        let faults = scenario.faults(
            of: trial.left, isCommitted: isCommitted || trial.steps.contains(.committed),
            isApplied: trial.steps.contains(.applied), runsAgain: runsAgain)
        #expect(faults == [], comment)
    }

    /// Fails each call in turn until a run makes fewer.
    ///
    /// - Returns: how many calls there were.
    private func failEachCall(
        of scenario: JournalScenario, _ failing: Failing, errno: Int32 = EIO,
        calls: Set<FailingFile.Call> = FailingFile.Call.mutating, partialByteCount: Int = 0,
        isPermanent: Bool = false, isCommitted: Bool = false
    ) -> Int {
        var index = 0
        while true {
            let plan = FailingFile.Plan(
                failing: index, of: calls, errno: errno, partialByteCount: partialByteCount,
                isPermanent: isPermanent)
            let trial = run(scenario, failing, plan)
            guard trial.isReached else {
                #expect(trial.error == nil)
                return index
            }
            check(
                trial, scenario, failing, errno, isCommitted: isCommitted,
                runsAgain: index % 2 == 0,
                """
                \(failing), call \(index), errno \(errno), \(partialByteCount) bytes written\
                \(isPermanent ? ", all later ones too" : "")
                """)
            index += 1
        }
    }

    private func report(_ name: String, _ counts: [Int]) {
        print("failing calls: journal, \(name): \(counts.reduce(0, +)) of \(counts)")
        #expect(counts.allSatisfy { $0 > 2 })
    }

    @Test("Each call on the replica that fails: as it was, or refused and finished, or new")
    func replica() throws {
        let scenario = JournalScenario(.inEachWay(seed: 81))
        report(
            "the replica",
            [
                failEachCall(of: scenario, .replica),
                failEachCall(of: scenario, .replica, errno: ENOSPC, partialByteCount: 512),
                failEachCall(
                    of: scenario, .replica, partialByteCount: 65536 + 1536, isPermanent: true),
            ])
    }

    @Test("Each call on the journal or its name that fails, reads among them")
    func journal() throws {
        let scenario = JournalScenario(.inEachWay(seed: 82))
        report(
            "the journal",
            [
                failEachCall(of: scenario, .journal),
                failEachCall(of: scenario, .journal, errno: ENOSPC),
                failEachCall(of: scenario, .journal, errno: ENOSPC, partialByteCount: 700),
                failEachCall(of: scenario, .journal, partialByteCount: 100, isPermanent: true),
                failEachCall(
                    of: scenario, .journal, calls: Set(FailingFile.Call.allCases)),
                failEachCall(of: scenario, .name),
            ])
    }

    @Test("Each call that fails while an earlier run's unfinished journal is gone on with")
    func resumed() throws {
        var scenario = JournalScenario(.inEachWay(seed: 83))
        let files = JournalScenario.Files(scenario.files)
        let target = try files.open()
        _ = try scenario.run().record(scenario.primary, files.journal.store, on: target)
        target.abandon()
        var content = try #require(files.journal.content)
        content.resize(to: content.byteCount - 400)
        scenario.files[JournalScenario.journalName] = content
        report(
            "an unfinished journal",
            [
                failEachCall(
                    of: scenario, .journal, calls: Set(FailingFile.Call.allCases)),
                failEachCall(of: scenario, .name),
            ])
    }

    @Test("Each call that fails while a half-written replica is finished by its journal")
    func recovery() throws {
        var scenario = JournalScenario(.inEachWay(seed: 85))
        let trial = run(
            scenario, .replica, FailingFile.Plan(failing: 30, errno: EIO, isPermanent: true))
        #expect(try JournalScenario.content(trial.left) == nil)
        scenario.files = trial.left
        report(
            "recovery",
            [
                failEachCall(of: scenario, .replica, isCommitted: true),
                failEachCall(of: scenario, .replica, partialByteCount: 512, isCommitted: true),
                failEachCall(
                    of: scenario, .journal, calls: Set(FailingFile.Call.allCases),
                    isCommitted: true),
                failEachCall(of: scenario, .name, isCommitted: true),
            ])
    }

    @Test("Each call that fails where the journal is written to the replica in several commits")
    func batches() throws {
        let scenario = JournalScenario(.inBatches(seed: 84))
        report(
            "batches",
            [
                failEachCall(of: scenario, .replica),
                failEachCall(of: scenario, .journal),
            ])
    }
}
