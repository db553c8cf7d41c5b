import Foundation
import Glibc
import Resync
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Replication

/// A machine with disks, a service that resynchronizes it in threads of its own, and others after it on the
/// same store.
private final class MachineTrial {
    let folder: TemporaryFolder
    let pairs: MachinePairs
    let store: StateStore
    var inventory = Inventory()
    /// What a test does in the midst of a transfer.
    var hooks = Hooks()
    private(set) var service: ReplicationService?
    private let timer = ServiceTimer()

    /// At which moments.
    struct Hooks: Sendable {
        var onBegin: @Sendable (ConcreteJob) -> Void = { _ in }
        /// Runs often, in threads of the transfer: between any two disks, among others. The service may be
        /// locked then.
        var often: @Sendable () -> Void = {}
        /// Right before it is decided, and right after.
        var beforeDecision: @Sendable () -> Void = {}
        var afterDecision: @Sendable () -> Void = {}
    }

    init(count: Int = 3) throws {
        folder = try TemporaryFolder()
        pairs = try MachinePairs(in: folder.file("disks"), count: count)
        store = try StateStore(opening: folder.file("state"))
        var machine = Inventory.machine(1)
        machine.disks = (0..<count).map {
            Inventory.Disk(name: "d\($0)", path: pairs.primary($0))
        }
        machine.primaryRelationship?.replicas = (0..<count).map { .local(pairs.replica($0)) }
        inventory.machines = [machine]
    }

    deinit { timer.stop() }

    var id: ReplicationRelationshipID { inventory.machines[0].relationship?.id ?? StoreTrial.id() }

    /// A service on the store. What the former one knew is gone, and nothing of it goes on.
    @discardableResult
    func start() throws -> ReplicationService {
        timer.stop()
        let (hooks, system) = (hooks, JobClock.system)
        let clock = JobClock(
            date: system.date,
            uptime: {
                hooks.often()
                return system.uptime()
            })
        let service = try ReplicationService(
            inventory, store: store, runner: HookedRunner(hooks: hooks), clock: clock,
            wake: timer.wake)
        self.service = service
        timer.start { [weak service] in service?.advance() }
        return service
    }

    /// Calls Resynchronize, or takes the job that goes on, and waits for its end.
    @discardableResult
    func job() throws -> ConcreteJob {
        let service = try service ?? start()
        let job = try #require(service.resynchronize(computerSystem: "vm1").job)
        try wait(for: job)
        return job
    }

    func wait(for job: ConcreteJob) throws {
        let end = DispatchTime.now().uptimeNanoseconds + 600_000_000_000
        while !job.properties.jobState.isFinal {
            guard DispatchTime.now().uptimeNanoseconds < end else {
                throw AgentTrial.DidNotHappen(what: "the end of a job")
            }
            usleep(2000)
        }
    }

    var openDecision: OpenDecision? {
        get throws {
            try store.read { (content) throws(StoreError) in try content.openDecision(of: id) }
        }
    }

    var relationship: StoredRelationship? {
        get throws {
            try store.read { (content) throws(StoreError) in try content.relationship(id) }
        }
    }

    func disks(of job: ConcreteJob) throws -> [StoredDiskResult] {
        try store.disks(of: try #require(try store.job(job.properties.instanceID)))
    }
}

private struct HookedRunner: TransferRunner {
    let hooks: MachineTrial.Hooks

    func begin(_ transfer: Transfer) -> @Sendable () -> Void {
        var transfer = transfer
        let (decide, hooks) = (transfer.decide, hooks)
        transfer.decide = { (disks, outcomes) throws(StoreError) in
            hooks.beforeDecision()
            try decide(disks, outcomes)
            hooks.afterDecision()
        }
        hooks.onBegin(transfer.job)
        return DiskTransferRunner().begin(transfer)
    }
}

/// Does something once.
private final class Once: Sendable {
    private let isDone = Lock(false)
    /// Who does it now.
    private let thread = Lock<pthread_t?>(nil)

    func callAsFunction(_ body: () -> Void) {
        // What it does may itself look at the clock, and so come here.
        guard thread.withLock({ $0 != pthread_self() }) else { return }
        // Whoever else comes meanwhile waits until it is done.
        isDone.withLock { isDone in
            guard !isDone else { return }
            thread.withLock { $0 = pthread_self() }
            body()
            thread.withLock { $0 = nil }
            isDone = true
        }
    }
}

/// Holds a thread that is to be gone, until a test has ended.
private final class Crash: Sendable {
    private let isOver = ConditionLock(false)
    private let isReached = ConditionLock(false)

    func stay() {
        isReached.withLock { $0 = true }
        isOver.withLock(when: { $0 }) { _ in }
    }

    func waitUntilReached() { isReached.withLock(when: { $0 }) { _ in } }
    func end() { isOver.withLock { $0 = true } }
}

@Suite("The disks of a machine become new together")
struct MachineTransferTests {
    @Test("All become new, and the decision is in the store before any of them does")
    func success() throws {
        let trial = try MachineTrial()
        let seen = Lock<[String]>([])
        let (pairs, store, id) = (trial.pairs, trial.store, trial.id)
        @Sendable func look() {
            let decision = try? store.read { (content) throws(StoreError) in
                try content.openDecision(of: id)
            }
            let areOld = (try? pairs.areOld) == true
            seen.withLock { $0.append("\(decision?.disks.count ?? 0) decided, old: \(areOld)") }
        }
        trial.hooks.beforeDecision = { look() }
        trial.hooks.afterDecision = { look() }
        let job = try trial.job()
        #expect(seen.withLock { $0 } == ["0 decided, old: true", "3 decided, old: true"])
        #expect(job.properties.jobState == .completed, "\(job.properties)")
        #expect(try trial.pairs.areNew)
        #expect(!trial.pairs.hasJournals)
        #expect(try trial.openDecision == nil)
        let disks = try trial.disks(of: job)
        #expect(disks.map(\.returnCode) == [.completed, .completed, .completed])
        #expect(disks.allSatisfy { $0.isVerified && $0.rootDigest != nil })
        #expect(disks.allSatisfy { $0.counts.blocksDiffering == 13 })
        #expect(disks.allSatisfy { $0.counts.bytesWritten > 0 && $0.counts.bytesVerified > 0 })
        #expect(job.properties.figures.bytesCompared == 18 << 30)
        #expect(job.properties.figures.bytesDiffering == 3 * 13 * 65536)
        #expect(try trial.relationship?.replicationState == .replicating)
        // Equal disks need no decision.
        var relationship = try #require(try trial.relationship)
        relationship.replicationState = .suspended
        try trial.store.write { [relationship] (content) throws(StoreError) in
            try content.put(relationship)
        }
        try trial.start()
        #expect(try trial.job().properties.jobState == .completed)
        #expect(seen.withLock { $0.count } == 2)
    }

    // MARK: Before the decision

    /// Runs a machine of which something fails before the decision: all disks stay what they are.
    private func fail(
        _ trial: MachineTrial, _ code: ReturnCode, disk: Int, _ words: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let job = try trial.job()
        #expect(try trial.pairs.areOld, sourceLocation: sourceLocation)
        let properties = job.properties
        #expect(properties.jobState == .exception, sourceLocation: sourceLocation)
        #expect(
            properties.errorCode == UInt16(code.rawValue), "\(properties)",
            sourceLocation: sourceLocation)
        let text = properties.errorDescription ?? ""
        #expect(
            text.hasPrefix("disk \(disk + 1) of 3 (d\(disk)): ") && text.contains(words)
                && text.hasSuffix("; none of the disks was changed"), "\(text)",
            sourceLocation: sourceLocation)
        #expect(!properties.isCommitted, sourceLocation: sourceLocation)
        #expect(try trial.openDecision == nil, sourceLocation: sourceLocation)
        let codes = try trial.disks(of: job).map(\.returnCode)
        #expect(codes[disk] == code, "\(codes)", sourceLocation: sourceLocation)
        #expect(codes.compactMap(\.self).count == 1, "\(codes)", sourceLocation: sourceLocation)
    }

    /// What was wrong is right again: the next job makes all disks new.
    private func goOn(_ trial: MachineTrial) throws {
        trial.hooks = MachineTrial.Hooks()
        try trial.start()
        #expect(try trial.job().properties.jobState == .completed)
        #expect(try trial.pairs.areNew)
        #expect(!trial.pairs.hasJournals)
    }

    @Test("A primary that is not there, whichever disk it is", arguments: 0..<3)
    func missingPrimary(_ disk: Int) throws {
        let trial = try MachineTrial()
        let path = trial.pairs.primary(disk)
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        try fail(trial, .fileNotFound, disk: disk, "No such file")
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        try goOn(trial)
    }

    @Test("A replica that somebody has open, whichever disk it is", arguments: 0..<3)
    func lockedReplica(_ disk: Int) throws {
        let trial = try MachineTrial()
        let reader = try ImageReader(openingImageAt: trial.pairs.replica(disk))
        try fail(trial, .systemInUse, disk: disk, trial.pairs.replica(disk))
        withExtendedLifetime(reader) {}
        #expect(try trial.relationship?.nextAttemptTime != nil)
    }

    @Test(
        "A folder of journals that is full",
        .enabled(if: LoopMount.refusal(.ext4) == nil, "\(LoopMount.refusal(.ext4) ?? "")"))
    func fullFolder() throws {
        let trial = try MachineTrial()
        let mount = try LoopMount(.ext4, byteCount: 8 << 20)
        let free = try Volume.freeByteCount(at: mount.path)
        // Room for two journals of some 590 KiB, and not for three.
        let filler = Int(free) - 1_300_000
        try Data(count: filler).write(to: URL(filePath: mount.file("filler")))
        trial.inventory.machines[0].primaryRelationship?.settings.journalFolder = mount.path
        try fail(trial, .failed, disk: 2, "No space left")
        try FileManager.default.removeItem(atPath: mount.file("filler"))
        try goOn(trial)
    }

    /// Does something to a disk when the journal of the last one is there, and before all are checked.
    private func meddle(
        _ trial: MachineTrial, _ body: @escaping @Sendable () -> Void
    ) {
        let (once, last) = (Once(), trial.pairs.journal(2))
        trial.hooks.often = {
            guard FileManager.default.fileExists(atPath: last) else { return }
            once(body)
        }
    }

    @Test("A primary that was written to after it was compared")
    func changedPrimary() throws {
        let trial = try MachineTrial()
        let pairs = trial.pairs
        meddle(trial) { try? pairs.use(pairs.primary(0)) }
        try fail(trial, .invalidState, disk: 0, "was changed while it was being read")
        try goOn(trial)
    }

    @Test("A replica that was opened, or whose journal went, after it was prepared")
    func disturbedReplica() throws {
        for isJournal in [false, true] {
            let trial = try MachineTrial()
            let pairs = trial.pairs
            meddle(trial) {
                if isJournal {
                    try? FileManager.default.removeItem(atPath: pairs.journal(1))
                } else {
                    try? FileManager.default.setAttributes(
                        [.modificationDate: Date(timeIntervalSince1970: 1_100_000_000)],
                        ofItemAtPath: pairs.replica(1))
                }
            }
            try fail(
                trial, .invalidState, disk: 1,
                isJournal ? "is gone" : "somebody has changed it")
            try goOn(trial)
        }
    }

    @Test("A store that refuses the decision")
    func refusedDecision() throws {
        let trial = try MachineTrial()
        try trial.store.write { (content) throws(StoreError) in
            _ = try content.change(
                "CREATE TRIGGER no BEFORE INSERT ON decided_disks "
                    + "BEGIN SELECT RAISE(ABORT, 'no'); END", [])
        }
        let job = try trial.job()
        #expect(job.properties.jobState == .exception && !job.properties.isCommitted)
        #expect(job.properties.errorDescription?.hasSuffix("none of the disks was changed") == true)
        #expect(try trial.relationship?.nextAttemptTime != nil)
        #expect(try trial.pairs.areOld)
        #expect(try trial.openDecision == nil)
        try trial.store.write { (content) throws(StoreError) in
            _ = try content.change("DROP TRIGGER no", [])
        }
        try goOn(trial)
    }

    @Test("An end that is asked for before the decision comes first, and after it comes too late")
    func requests() throws {
        for isBefore in [true, false] {
            let trial = try MachineTrial()
            let (begun, codes) = (Lock<ConcreteJob?>(nil), Lock<[JobRequestCode]>([]))
            trial.hooks.onBegin = { job in begun.withLock { $0 = job } }
            let ask: @Sendable () -> Void = {
                guard let job = begun.withLock({ $0 }) else { return }
                codes.withLock {
                    $0 = [job.requestStateChange(.suspend), job.requestStateChange(.terminate)]
                }
            }
            if isBefore {
                meddle(trial, ask)
            } else {
                trial.hooks.afterDecision = ask
            }
            let job = try trial.job()
            if isBefore {
                #expect(codes.withLock { $0.last } == .transitionStarted)
                #expect(job.properties.jobState == .terminated)
                #expect(try trial.pairs.areOld)
                #expect(try trial.openDecision == nil)
                try goOn(trial)
            } else {
                #expect(codes.withLock { $0 } == [.invalidTransition, .invalidTransition])
                #expect(job.properties.jobState == .completed)
                #expect(try trial.pairs.areNew)
            }
        }
    }

    @Test("A transfer whose job was asked for its end does not decide, whether it was told or not")
    func commitPoint() throws {
        let trial = try MachineTrial()
        let relationship = try #require(trial.inventory.machines[0].primaryRelationship)
        for decision in [nil, TransferDecision(isOwn: false, disks: [])] {
            let job = ConcreteJob()
            job.install(JobControl(suspend: {}, terminate: {}))
            job.start()
            #expect(job.requestStateChange(.terminate) == .transitionStarted)
            let calls = Lock<[String]>([])
            let transfer = Transfer(
                job: job, machine: trial.inventory.machines[0], relationship: relationship,
                attempt: 1, decision: decision,
                decide: { (_, _) throws(StoreError) in calls.withLock { $0.append("decided") } },
                noteCarriedOut: { () throws(StoreError) in calls.withLock { $0.append("noted") } },
                end: { _ in })
            let outcome = MachineTransfer(transfer).run()
            guard case .stopped = outcome.ending else {
                Issue.record("\(outcome.ending)")
                continue
            }
            #expect(calls.withLock { $0 } == [])
            #expect(try trial.pairs.areOld)
        }
    }

    // MARK: From the decision on

    @Test(
        "One that cannot be finished now does not keep the others, and the next attempt finishes it"
    )
    func finishedLater() throws {
        let trial = try MachineTrial()
        let path = trial.pairs.replica(1)
        let reader = Lock<ImageReaderBox?>(nil)
        trial.hooks.afterDecision = { reader.withLock { $0 = try? ImageReaderBox(path) } }
        let job = try trial.job()
        #expect(job.properties.jobState == .exception)
        #expect(job.properties.errorCode == 32774)
        let text = job.properties.errorDescription ?? ""
        #expect(
            text.hasPrefix("disk 2 of 3 (d1): ")
                && text.hasSuffix(
                    "; disks 1 and 3 are new, and disk 2 becomes new with the next attempt"),
            "\(text)")
        #expect(try trial.pairs.isNew(0) && trial.pairs.isOld(1) && trial.pairs.isNew(2))
        let codes = try trial.disks(of: job).map(\.returnCode)
        #expect(codes == [.completed, .systemInUse, .completed])
        #expect(try trial.openDecision?.disks.map(\.position) == [0, 1, 2])
        #expect(try trial.relationship?.replicationState == .waitingToStartResynchronization)
        #expect(try trial.relationship?.nextAttemptTime != nil)
        reader.withLock { $0 = nil }

        // It is finished before anything is compared: the primary is not there for that.
        let primary = trial.pairs.primary(2)
        try FileManager.default.moveItem(atPath: primary, toPath: primary + ".away")
        trial.hooks = MachineTrial.Hooks()
        let (begun, answers) = (Lock<ConcreteJob?>(nil), Lock<Set<JobRequestCode>>([]))
        let isInside = Lock(false)
        trial.hooks.often = {
            // To look at a job is to look at the clock.
            let isFirst = isInside.withLock { isInside in
                defer { isInside = true }
                return !isInside
            }
            guard isFirst else { return }
            defer { isInside.withLock { $0 = false } }
            guard let job = begun.withLock({ $0 }), job.properties.isCommitted else { return }
            answers.withLock { _ = $0.insert(job.requestStateChange(.terminate)) }
        }
        trial.hooks.onBegin = { job in begun.withLock { $0 = job } }
        try trial.start()
        let second = try trial.job()
        #expect(answers.withLock { $0 } == [.invalidTransition])
        #expect(second.properties.errorCode == 32779 && !second.properties.isCommitted)
        #expect(try trial.pairs.isNew(1))
        #expect(try trial.openDecision == nil)
        try FileManager.default.moveItem(atPath: primary + ".away", toPath: primary)
        try goOn(trial)
    }

    @Test("What cannot be finished any more becomes new by another decision")
    func decidedAnew() throws {
        let trial = try MachineTrial()
        let pairs = trial.pairs
        trial.hooks.afterDecision = { try? pairs.use(pairs.replica(2)) }
        let job = try trial.job()
        #expect(job.properties.errorCode == 32775)
        #expect(try trial.relationship?.replicationState == .critical)
        #expect(try pairs.isNew(0) && pairs.isNew(1) && !pairs.isNew(2))
        #expect(try trial.openDecision?.decision.job == job.properties.instanceID)
        // The next one, after which somebody writes to a replica again, takes the place of this one.
        try trial.start()
        let second = try trial.job()
        #expect(second.properties.errorCode == 32775)
        let left = try trial.store.read { (content) throws(StoreError) in
            try content.decisionsToCarryOut()
        }
        #expect(left.map(\.job) == [second.properties.instanceID])
        try goOn(trial)
        #expect(try trial.openDecision == nil)
        #expect(
            try trial.store.read { (content) throws(StoreError) in
                try content.decisionsToCarryOut().count
            } == 0)
    }

    @Test("A restart carries out what was decided, without comparing, and nobody can stop it")
    func restart() throws {
        let trial = try MachineTrial()
        let crash = Crash()
        defer { crash.end() }
        trial.hooks.afterDecision = { crash.stay() }
        let job = try #require(trial.start().resynchronize(computerSystem: "vm1").job)
        crash.waitUntilReached()
        #expect(try trial.pairs.areOld)
        let instanceID = job.properties.instanceID

        for disk in 0..<3 {
            let path = trial.pairs.primary(disk)
            try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        }
        trial.hooks = MachineTrial.Hooks()
        // A service that has not begun yet.
        let waiting = try ReplicationService(
            trial.inventory, store: trial.store, runner: StubRunner())
        let restored = try #require(waiting.job(instanceID))
        #expect(restored.properties.jobState == .suspended && restored.properties.isCommitted)
        #expect(restored.requestStateChange(.terminate) == .invalidTransition)
        #expect(restored.requestStateChange(.suspend) == .invalidTransition)
        #expect(!restored.properties.cancellable)

        let service = try trial.start()
        let same = try #require(service.job(instanceID))
        try trial.wait(for: same)
        #expect(same.properties.jobState == .completed, "\(same.properties)")
        for disk in 0..<3 {
            let path = trial.pairs.primary(disk)
            try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        }
        #expect(try trial.pairs.areNew)
        #expect(!trial.pairs.hasJournals)
        #expect(try trial.openDecision == nil)
        #expect(
            try trial.disks(of: same).map(\.returnCode) == [.completed, .completed, .completed])
        #expect(try trial.relationship?.replicationState == .replicating)
    }

    @Test("A restart before the decision finds nothing to carry out, and a job that can be stopped")
    func restartBefore() throws {
        let trial = try MachineTrial()
        let crash = Crash()
        defer { crash.end() }
        trial.hooks.beforeDecision = { crash.stay() }
        let job = try #require(trial.start().resynchronize(computerSystem: "vm1").job)
        crash.waitUntilReached()
        // What is remembered of progress says that it has passed its commit point.
        let stored = StoredJob(job.properties, of: trial.id)
        #expect(stored.properties.isCommitted)
        try trial.store.write { (content) throws(StoreError) in try content.update(stored) }
        let waiting = try ReplicationService(
            trial.inventory, store: trial.store, runner: StubRunner())
        let restored = try #require(waiting.job(job.properties.instanceID))
        #expect(!restored.properties.isCommitted)
        #expect(restored.properties.cancellable)
        #expect(try trial.pairs.areOld)
        trial.hooks = MachineTrial.Hooks()
        let same = try #require(trial.start().job(job.properties.instanceID))
        try trial.wait(for: same)
        #expect(same.properties.jobState == .completed)
        #expect(try trial.pairs.areNew)
    }

    // MARK: On another host

    @Test("An agent that is killed after the decision is called again, and finishes")
    func killedAgent() throws {
        let trial = try MachineTrial()
        let shell = trial.folder.file("shell")
        let pids = trial.folder.file("pids")
        let text = """
            #!/bin/bash
            echo $$ >> '\(pids)'
            shift
            exec "$@"
            """
        try Data(text.utf8).write(to: URL(filePath: shell))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: shell)
        let relationship = try #require(trial.inventory.machines[0].primaryRelationship)
        trial.inventory.machines[0].primaryRelationship?.recoveryConnectionPoint = .ssh(
            user: nil, host: "backup", folder: trial.pairs.folder)
        trial.inventory.machines[0].primaryRelationship?.replicas = (0..<3).map {
            .ssh(user: nil, host: "backup", path: trial.pairs.replica($0))
        }
        trial.inventory.machines[0].primaryRelationship?.settings.remoteShell = [shell]
        trial.inventory.machines[0].primaryRelationship?.settings.remoteCommand = [
            try Program.path().path
        ]
        #expect(relationship.settings.retryCount == 0)
        let agents: @Sendable () -> [pid_t] = {
            let text = (try? String(contentsOfFile: pids, encoding: .utf8)) ?? ""
            return text.split(separator: "\n").compactMap { pid_t($0) }
        }
        trial.hooks.afterDecision = { for agent in agents() { kill(agent, SIGKILL) } }
        let job = try trial.job()
        #expect(job.properties.jobState == .completed, "\(job.properties)")
        #expect(agents().count == 2)
        #expect(try trial.pairs.areNew)
        #expect(!trial.pairs.hasJournals)
        #expect(try trial.openDecision == nil)
        #expect(job.properties.figures.bytesSent > 1 << 19)
    }
}

/// Holds an image open.
private final class ImageReaderBox: Sendable {
    private let reader: ImageReader<DiskFile>

    init(_ path: String) throws { reader = try ImageReader(openingImageAt: path) }
}
