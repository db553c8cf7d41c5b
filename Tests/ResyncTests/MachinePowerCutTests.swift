import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A power cut while the disks of a machine become new together")
struct MachinePowerCutTests {
    private func run(
        _ scenario: MachineScenario, ignoredFlushes: Set<Int> = []
    ) throws -> PowerCutDisk {
        let disk = PowerCutDisk(scenario.files, ignoredFlushes: ignoredFlushes)
        try scenario.run(on: disk)
        return disk
    }

    @Test("After a restart all disks are old, or all are new")
    func eachCut() throws {
        let scenario = try MachineScenario.ofFour(seed: 90)
        let disk = try run(scenario)
        var count = 0
        var mixed = 0
        var second = 0
        var standings: Set<MachineScenario.Standing> = []
        try disk.forEachCrashState(of: "a machine", seed: 21, limit: 5) { state in
            count += 1
            let (faults, standing) = scenario.faults(
                of: state.files, marks: state.marks, runsAgain: count % 7 == 0)
            #expect(faults == [], "\(state.description)")
            standings.insert(standing)
            guard standing == .mixed, faults.isEmpty else { return }
            mixed += 1
            guard mixed % 30 == 0 else { return }
            second += try checkCuts(ofRecoveryFrom: state, scenario, seed: UInt64(count))
        }
        print(
            "power cuts: a machine: \(mixed) of them leave some disks new, "
                + "cut once more while they are finished: \(second) images")
        #expect(standings.count > 1 && mixed > 20 && second > 20)
    }

    /// The restart is cut as well.
    private func checkCuts(
        ofRecoveryFrom first: PowerCutDisk.CrashState, _ scenario: MachineScenario, seed: UInt64
    ) throws -> Int {
        let decision = try #require(MachineScenario.decision(in: first.files))
        let disk = PowerCutDisk(first.files)
        disk.mark("decided")
        try scenario.finish(decision, on: disk)
        disk.mark("finished")
        var count = 0
        disk.forEachCrashState(seed: seed, limit: 2) { state in
            count += 1
            let faults = scenario.faults(
                of: state.files, marks: state.marks, runsAgain: false
            ).faults
            #expect(faults == [], "\(first.description); then \(state.description)")
        }
        return count
    }

    /// What must be found where flushes of a disk alone are left out, by their numbers.
    static let flushes: [(ClosedRange<Int>, what: String, fault: String)] = [
        (0...0, "of the journal's name, before the decision", "is gone"),
        (1...1, "of its records, before the decision", "journal"),
        (2...2, "of the decision", "forgotten"),
        (3...3, "of the decision's name", "forgotten"),
    ]

    @Test("Without the flushes before the decision, or of it, a cut does harm")
    func neededFlushes() throws {
        let scenario = MachineScenario([JournalScenario(.inEachWay(seed: 94))])
        let all = try run(scenario).flushes
        #expect(
            all.prefix(7) == [
                "folder", "journal0", "decision", "folder", "journal0", "folder", "journal0",
            ])
        for (numbers, what, fault) in Self.flushes {
            let disk = try run(scenario, ignoredFlushes: Set(numbers))
            var found: Set<String> = []
            disk.forEachCrashState(seed: 22, limit: 12) { state in
                found.formUnion(
                    scenario.faults(of: state.files, marks: state.marks, runsAgain: false).faults)
            }
            #expect(found.contains { $0.contains(fault) }, "\(numbers), \(what): \(found)")
        }
    }
}
