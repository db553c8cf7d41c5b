internal import Foundation
internal import TestSupport
internal import Testing

/// A service that is killed, or loses its power, while the disks of a machine become new together: after the
/// next start all are new, or, where nothing was decided, all are what they were until then.
@Suite("The disks of a machine, and a service that is stopped", .serialized)
struct KilledMachineTests {
    private static let refusal = ChangingCalls.refusal
    private static let ext4 = LoopMount.refusal(.ext4)
    private static let xfs = LoopMount.refusal(.xfs)

    private typealias Tally = [StoppedMachine.Standing: Int]

    private func say(_ tally: Tally, _ name: String) {
        func count(_ standing: StoppedMachine.Standing) -> Int { tally[standing] ?? 0 }
        print(
            "a machine, \(name): \(tally.values.reduce(0, +)) runs, \(count(.old)) undecided and old, "
                + "\(count(.decided)) decided and old, \(count(.mixed)) mixed, "
                + "\(count(.new)) new, \(count(.finished)) finished")
    }

    /// How long a run takes that nobody disturbs, in microseconds.
    private func duration(of machine: StoppedMachine) throws -> UInt32 {
        try machine.reset()
        let clock = ContinuousClock()
        let start = clock.now
        let report = try machine.start().report()
        #expect(report.isCompleted && report.hasDecided, "\(report.lines)")
        #expect(try machine.pairs.areNew)
        return UInt32((clock.now - start) / .microseconds(1))
    }

    @Test("Killed at any time, and at any time after the decision")
    func atAnyTime() throws {
        let folder = try TemporaryFolder()
        let machine = try StoppedMachine(in: folder.path)
        let longest = try duration(of: machine)
        var random = SeededGenerator(seed: 120)
        for waits in [false, true] {
            var tally: Tally = [:]
            for index in 0..<(waits ? 40 : 70) {
                try machine.reset()
                let delay = UInt32.random(in: 0..<longest / (waits ? 5 : 1), using: &random)
                let run = try machine.start()
                if waits { run.wait(for: "decided") }
                usleep(delay)
                run.kill()
                let label = "seed 120, kill \(index) after \(delay) µs, waits: \(waits)"
                tally[try machine.standing(run.report(), label), default: 0] += 1
            }
            say(tally, "killed at any time\(waits ? " after the decision" : "")")
            #expect(!waits || tally[.old] == nil)
            #expect(waits || (tally[.old] ?? 0) > 10)
        }
    }

    @Test(
        "Killed at calls that change files, or in the middle of writes",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func atCalls() throws {
        let folder = try TemporaryFolder()
        let machine = try StoppedMachine(in: folder.path)
        try machine.reset()
        let logs = try TemporaryFolder()
        let log = logs.file("calls")
        let undisturbed = try machine.start(
            ChangingCalls.environment(in: [folder.path], log: log)
        ).report()
        #expect(undisturbed.isCompleted, "\(undisturbed.lines)")
        let calls = try ChangingCalls.calls(notedIn: log)
        var tally: Tally = [:]
        // With threads of its own it makes them in another order now and then.
        for call in calls where call.number.isMultiple(of: 3) {
            try machine.reset()
            let isTorn = call.name == "pwrite" && call.number.isMultiple(of: 2)
            let fault: ChangingCalls.Fault =
                isTorn ? .tear(at: call.number) : .kill(at: call.number)
            let run = try machine.start(ChangingCalls.environment(in: [folder.path], fault))
            let label = "\(fault) of \(calls.count), \(call.name) \(call.path)"
            tally[try machine.standing(run.report(), label), default: 0] += 1
        }
        say(tally, "killed at calls, of \(calls.count)")
        #expect((tally[.old] ?? 0) > 10 && (tally[.mixed] ?? 0) > 10)
    }

    @Test("On ext4, power cuts", .enabled(if: ext4 == nil, "\(ext4 ?? "")"))
    func onExt4() throws {
        try cut(.ext4, seed: 121)
    }

    @Test("On XFS, power cuts", .enabled(if: xfs == nil, "\(xfs ?? "")"))
    func onXFS() throws {
        try cut(.xfs, seed: 122)
    }

    private func cut(_ fileSystem: LoopMount.FileSystem, seed: UInt64) throws {
        var mount = try LoopMount(fileSystem)
        let machine = try StoppedMachine(in: mount.path)
        let power = try PowerSwitch(for: mount.path)
        let longest = try duration(of: machine)
        var random = SeededGenerator(seed: seed)
        var tally: Tally = [:]
        for index in 0..<30 {
            try machine.reset()
            let waits = index % 3 > 0
            let delay = UInt32.random(in: 0..<longest / (waits ? 5 : 1), using: &random)
            let run = try machine.start()
            if waits { run.wait(for: "decided") }
            usleep(delay)
            // What it says while the file system stops is not to be believed.
            let report = run.reportSoFar
            try power.cut()
            run.kill()
            _ = run.report()
            try mount.remount()
            let label = "\(fileSystem), seed \(seed), cut \(index) after \(delay) µs"
            tally[try machine.standing(report, label), default: 0] += 1
        }
        say(tally, "power cuts on \(fileSystem)")
        #expect((tally[.mixed] ?? 0) + (tally[.decided] ?? 0) + (tally[.new] ?? 0) > 3)
    }
}
