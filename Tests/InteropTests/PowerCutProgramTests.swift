internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// The program on a file system whose power is cut: what was flushed is there afterwards, and of the
/// rest what the file system happened to write.
@Suite("The program, and a power cut", .serialized)
struct PowerCutProgramTests {
    private static let ext4 = LoopMount.refusal(.ext4)
    private static let xfs = LoopMount.refusal(.xfs)

    /// A run of this many cuts.
    private struct Plan {
        var fileSystem: LoopMount.FileSystem
        var count: Int
        var seed: UInt64
        var options: [String] = []
        /// Whether the journal stands on another file system, whose power stays on.
        var hasJournalElsewhere = false
        /// Cuts after the commit alone.
        var waitsForCommit = false
    }

    private func cut(_ plan: Plan, _ subject: String) throws -> RemainsTally {
        let pair = try StalePair(blockCount: 32)
        var mount = try LoopMount(plan.fileSystem)
        let elsewhere = try TemporaryFolder()
        var replica = StoppedReplica(pair: pair, folder: mount.path, label: "")
        replica.options = plan.options
        replica.needsDurability = true
        if plan.hasJournalElsewhere { replica.journalFolder = elsewhere.path }
        let power = try PowerSwitch(for: mount.path)
        let duration = try duration(of: replica)
        var random = SeededGenerator(seed: plan.seed)
        var tally = RemainsTally(of: "power cuts")
        for index in 0..<plan.count {
            let delay = UInt32.random(in: 0..<duration, using: &random)
            replica.label = "\(subject), seed \(plan.seed), cut \(index) after \(delay) µs"
            try replica.reset()
            let running = try Program.Running(replica.job)
            if plan.waitsForCommit {
                while running.isRunning, try !replica.journalIsCommitted() { usleep(100) }
                usleep(delay / 4)
            } else {
                usleep(delay)
            }
            try power.cut()
            running.send(SIGKILL)
            _ = try running.wait()
            try mount.remount()
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print(subject)
        #expect(tally.total == plan.count, "\(subject)")
        return tally
    }

    /// How long an undisturbed run takes, in microseconds.
    private func duration(of replica: StoppedReplica) throws -> UInt32 {
        try replica.reset()
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try Program.run(replica.job).status == 0)
        return UInt32((clock.now - start) / .microseconds(1))
    }

    @Test("On ext4, at any time", .enabled(if: ext4 == nil, "\(ext4 ?? "")"))
    func onExt4() throws {
        _ = try cut(Plan(fileSystem: .ext4, count: 30, seed: 80), "ext4, at any time")
    }

    @Test("On ext4, after the commit", .enabled(if: ext4 == nil, "\(ext4 ?? "")"))
    func onExt4WhileApplying() throws {
        let plan = Plan(fileSystem: .ext4, count: 20, seed: 81, waitsForCommit: true)
        let tally = try cut(plan, "ext4, after the commit")
        #expect(tally[.refused] > 0)
    }

    @Test("On XFS, at any time", .enabled(if: xfs == nil, "\(xfs ?? "")"))
    func onXFS() throws {
        _ = try cut(Plan(fileSystem: .xfs, count: 20, seed: 82), "XFS, at any time")
    }

    @Test("On XFS, after the commit", .enabled(if: xfs == nil, "\(xfs ?? "")"))
    func onXFSWhileApplying() throws {
        let plan = Plan(fileSystem: .xfs, count: 15, seed: 83, waitsForCommit: true)
        let tally = try cut(plan, "XFS, after the commit")
        #expect(tally[.refused] > 0)
    }

    @Test(
        "With a journal on another file system", .enabled(if: ext4 == nil, "\(ext4 ?? "")"),
        arguments: [false, true])
    func withJournalElsewhere(_ waits: Bool) throws {
        let plan = Plan(
            fileSystem: .ext4, count: 6, seed: waits ? 85 : 84, hasJournalElsewhere: true,
            waitsForCommit: waits)
        _ = try cut(
            plan, "ext4, the journal elsewhere, \(waits ? "after the commit" : "at any time")")
    }

    @Test(
        "Through a clone the replica is old or new, and never refused",
        .enabled(if: xfs == nil, "\(xfs ?? "")"), arguments: [false, true])
    func throughClone(_ waits: Bool) throws {
        let plan = Plan(
            fileSystem: .xfs, count: 12, seed: waits ? 87 : 86, options: ["--apply", "clone"],
            waitsForCommit: waits)
        let tally = try cut(
            plan, "XFS, through a clone, \(waits ? "after the commit" : "at any time")")
        #expect(tally[.refused] == 0)
    }
}
