internal import Foundation
internal import Replication
internal import Storage
internal import TestSupport
internal import Testing

/// A service with much to do that is killed again and again: every job that it has accepted comes to its
/// end, and to one end; no machine is left in the midst of it.
@Suite("A service, killed under load")
struct KilledServiceTests {
    private static let machineCount = 8
    private static let killCount = 200

    /// Each read takes some time, so that jobs live through several kills.
    private static let launcher = [
        "strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64", "-e",
        "inject=pread64:delay_enter=3000",
    ]

    /// What was asked and answered, and what was killed.
    private struct Tally {
        var kills = 0
        var rounds = 0
        var accepted: Set<String> = []
        var cancelled = 0
        var suspended = 0
        var continued = 0
    }

    @Test("No job is lost, none ends twice, and no machine stays in the midst of it")
    func underLoad() throws {
        var random = SeededGenerator(seed: 130)
        var tally = Tally()
        while tally.kills < Self.killCount {
            try round(&tally, using: &random)
        }
        print(
            "a service under load: \(tally.kills) kills in \(tally.rounds) rounds, "
                + "\(tally.accepted.count) jobs accepted, \(tally.cancelled) cancelled, "
                + "\(tally.suspended) suspended, \(tally.continued) begun more than once")
        #expect(tally.accepted.count >= Self.machineCount)
        #expect(tally.continued > 10 && tally.cancelled > 0 && tally.suspended > 0)
    }

    /// From stale replicas to new ones, with kills on the way.
    private func round(_ tally: inout Tally, using random: inout SeededGenerator) throws {
        let folder = try TemporaryFolder()
        let pairs = try MachinePairs(in: folder.file("disks"), count: Self.machineCount)
        let hook = folder.file("hook.out")
        let machine = try ServiceMachine(
            pairs,
            service: [
                "maximumActiveTransfers": 2,
                "hookCommand": ["/bin/sh", "-c", "cat >>\"$0\"", hook],
            ])
        let service = try RunningService(machine, launcher: Self.launcher)
        var accepted: Set<String> = []
        var left = 40
        while left > 0, try !isDone(accepted, service) {
            let deadline =
                ContinuousClock.now + .milliseconds(Int.random(in: 0..<300, using: &random))
            try ask(service, until: deadline, &accepted, &tally, using: &random)
            service.end()
            tally.kills += 1
            left -= 1
            try service.restart(launcher: left == 0 ? [] : Self.launcher)
        }
        try finish(service, &accepted)
        try judge(service, accepted, pairs, hook, &tally)
        tally.rounds += 1
        tally.accepted.formUnion(accepted)
    }

    private func isDone(_ accepted: Set<String>, _ service: RunningService) throws -> Bool {
        guard accepted.count >= Self.machineCount else { return false }
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        let machines = try client.answer(to: .listMachines).machines ?? []
        return machines.allSatisfy { $0.relationship.value?.replicationState == 3 }
    }

    /// Calls for machines, and changes its mind now and then.
    private func ask(
        _ service: RunningService, until deadline: ContinuousClock.Instant,
        _ accepted: inout Set<String>, _ tally: inout Tally, using random: inout SeededGenerator
    ) throws {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        while ContinuousClock.now < deadline {
            let name = "vm\(Int.random(in: 1...Self.machineCount, using: &random))"
            let change: UInt16? =
                switch Int.random(in: 0..<10, using: &random) {
                case 0: 9
                case 1: 7
                case 2: 3
                default: nil
                }
            guard let change else {
                let answer = try client.answer(to: .resynchronize(computerSystem: name))
                #expect([4096, 32775].contains(answer.returnValue), "\(answer.sentence)")
                if let job = answer.job { accepted.insert(job.instanceID) }
                usleep(5000)
                continue
            }
            let answer = try client.answer(
                to: .requestReplicationStateChange(
                    computerSystem: name, requestedState: change))
            guard answer.returnValue < 32768 else { continue }
            if change == 9 { tally.cancelled += 1 }
            if change == 7 { tally.suspended += 1 }
        }
    }

    /// Whatever was stopped on the way is asked for again, until every machine is replicating.
    private func finish(_ service: RunningService, _ accepted: inout Set<String>) throws {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        for _ in 0..<6000 {
            let machines = try client.answer(to: .listMachines).machines ?? []
            let late = machines.filter { $0.relationship.value?.replicationState != 3 }
            if late.isEmpty { return }
            for machine in late {
                let state = machine.relationship.value?.replicationState
                if state == 7 {
                    _ = try client.answer(
                        to: .requestReplicationStateChange(
                            computerSystem: machine.name, requestedState: 3))
                }
                let answer = try client.answer(to: .resynchronize(computerSystem: machine.name))
                if let job = answer.job { accepted.insert(job.instanceID) }
            }
            usleep(20_000)
        }
        Issue.record("machines that are not replicating after minutes")
    }

    private func judge(
        _ service: RunningService, _ accepted: Set<String>, _ pairs: MachinePairs, _ hook: String,
        _ tally: inout Tally
    ) throws {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        var completedCount: [String: UInt64] = [:]
        for id in accepted {
            let job = try #require(
                try client.answer(to: .showJob(id)).job, "\(id) was accepted and is lost")
            #expect([7, 8].contains(job.jobState), "\(id): \(job.jobStateName)")
            if job.jobState == 7 { completedCount[job.elementName, default: 0] += 1 }
            if job.attemptCount > 1 { tally.continued += 1 }
        }
        for machine in try client.answer(to: .listMachines).machines ?? [] {
            #expect(machine.relationship.value?.replicationState == 3, "\(machine.elementName)")
            let statistics = try client.answer(
                to: .getReplicationStatistics(computerSystem: machine.name)
            ).statistics
            #expect(
                statistics?.replicationSuccessCount == completedCount[machine.elementName],
                "\(machine.elementName): a job has ended twice, or without being counted")
        }
        service.end()
        // The hook is told of each end once at most.
        let told = try String(contentsOfFile: hook, encoding: .utf8).split(separator: "\n")
        let ids = try told.map { line in
            let object = try JSONKeys.object(String(line))
            return try #require((object["job"] as? [String: Any])?["InstanceID"] as? String)
        }
        #expect(Set(ids).count == ids.count)
        #expect(try pairs.areNew)
    }
}
