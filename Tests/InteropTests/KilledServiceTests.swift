internal import Dispatch
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
    private static let roundCount = 6
    /// In a round, unless all machines are done before.
    private static let killCount = 40

    /// Each read takes some time, so that jobs live through several kills.
    private static let launcher = [
        "strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64", "-e",
        "inject=pread64:delay_enter=3000",
    ]

    /// What was asked and answered, and what was killed.
    private struct Tally {
        var kills = 0
        var accepted = 0
        var cancelled = 0
        var suspended = 0
        var continued = 0

        mutating func add(_ other: Tally) {
            kills += other.kills
            accepted += other.accepted
            cancelled += other.cancelled
            suspended += other.suspended
            continued += other.continued
        }
    }

    /// What is wrong: in threads that the test has made itself, nothing else is its own.
    private struct Finding: Error, CustomStringConvertible {
        var description: String
    }

    private static func demand(_ isSo: Bool, _ what: String) throws {
        if !isSo { throw Finding(description: what) }
    }

    @Test("No job is lost, none ends twice, and no machine stays in the midst of it")
    func underLoad() throws {
        // Much of the time is waiting, so several services are killed at once.
        let results = Lock<[Result<Tally, any Error>]>([])
        let rounds = DispatchGroup()
        for number in 0..<Self.roundCount {
            DispatchQueue.global().async(group: rounds) {
                let result = Result { try Self.round(seed: 130 + UInt64(number)) }
                results.withLock { $0.append(result) }
            }
        }
        rounds.wait()
        var tally = Tally()
        for result in results.withLock({ $0 }) { tally.add(try result.get()) }
        print(
            "a service under load: \(tally.kills) kills in \(Self.roundCount) rounds, "
                + "\(tally.accepted) jobs accepted, \(tally.cancelled) cancelled, "
                + "\(tally.suspended) suspended, \(tally.continued) begun more than once")
        #expect(tally.kills > 100)
        #expect(tally.continued > 10 && tally.cancelled > 0 && tally.suspended > 0)
    }

    /// From stale replicas to new ones, with kills on the way.
    private static func round(seed: UInt64) throws -> Tally {
        var random = SeededGenerator(seed: seed)
        var tally = Tally()
        let folder = try TemporaryFolder()
        let pairs = try MachinePairs(in: folder.file("disks"), count: machineCount)
        let hook = folder.file("hook.out")
        let machine = try ServiceMachine(
            pairs,
            service: [
                "maximumActiveTransfers": 2,
                "hookCommand": ["/bin/sh", "-c", "cat >>\"$0\"", hook],
            ])
        let service = try RunningService(machine, launcher: launcher)
        var accepted: Set<String> = []
        var left = killCount
        while left > 0, try !isDone(accepted, service) {
            let deadline =
                ContinuousClock.now + .milliseconds(Int.random(in: 0..<300, using: &random))
            try ask(service, until: deadline, &accepted, &tally, using: &random)
            service.end()
            tally.kills += 1
            left -= 1
            try service.restart(launcher: left == 0 ? [] : launcher)
        }
        try finish(service, &accepted)
        try judge(service, accepted, pairs, hook, &tally)
        tally.accepted = accepted.count
        return tally
    }

    private static func isDone(_ accepted: Set<String>, _ service: RunningService) throws -> Bool {
        guard accepted.count >= machineCount else { return false }
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        let machines = try client.answer(to: .listMachines).machines ?? []
        return machines.allSatisfy { $0.relationship.value?.replicationState == 3 }
    }

    /// Calls for machines, and changes its mind now and then.
    private static func ask(
        _ service: RunningService, until deadline: ContinuousClock.Instant,
        _ accepted: inout Set<String>, _ tally: inout Tally, using random: inout SeededGenerator
    ) throws {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        while ContinuousClock.now < deadline {
            let name = "vm\(Int.random(in: 1...machineCount, using: &random))"
            let change: UInt16? =
                switch Int.random(in: 0..<10, using: &random) {
                case 0: 9
                case 1: 7
                case 2: 3
                default: nil
                }
            guard let change else {
                let answer = try client.answer(to: .resynchronize(computerSystem: name))
                try demand([4096, 32775].contains(answer.returnValue), answer.sentence)
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
    private static func finish(_ service: RunningService, _ accepted: inout Set<String>) throws {
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
        throw Finding(description: "machines that are not replicating after minutes")
    }

    private static func judge(
        _ service: RunningService, _ accepted: Set<String>, _ pairs: MachinePairs, _ hook: String,
        _ tally: inout Tally
    ) throws {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        var completedCount: [String: UInt64] = [:]
        for id in accepted {
            guard let job = try client.answer(to: .showJob(id)).job else {
                throw Finding(description: "\(id) was accepted and is lost")
            }
            try demand([7, 8].contains(job.jobState), "\(id): \(job.jobStateName)")
            if job.jobState == 7 { completedCount[job.elementName, default: 0] += 1 }
            if job.attemptCount > 1 { tally.continued += 1 }
        }
        for machine in try client.answer(to: .listMachines).machines ?? [] {
            try demand(machine.relationship.value?.replicationState == 3, machine.elementName)
            let statistics = try client.answer(
                to: .getReplicationStatistics(computerSystem: machine.name)
            ).statistics
            try demand(
                statistics?.replicationSuccessCount == completedCount[machine.elementName],
                "\(machine.elementName): a job has ended twice, or without being counted")
        }
        service.end()
        // The hook is told of each end once at most.
        let told = try String(contentsOfFile: hook, encoding: .utf8).split(separator: "\n")
        let ids = try told.map { line in
            let object = try JSONKeys.object(String(line))
            return (object["job"] as? [String: Any])?["InstanceID"] as? String
        }
        try demand(!ids.contains(nil), "the hook was told of no job")
        try demand(Set(ids).count == ids.count, "the hook was told twice of an end")
        try demand(try pairs.areNew, "a replica is old")
    }
}
