import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("What a replication service tells")
struct ServiceEventTests {
    @Test("Each step of a job, in its order")
    func job() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let job = try #require(trial.call(1).job)
        trial.call(2)
        #expect(trial.takeEvents() == ["job-accepted vm1", "job-begun vm1", "job-accepted vm2"])
        #expect(job.requestStateChange(.suspend) == .transitionStarted)
        trial.wait(seconds: 1)
        trial.end(1, .stopped("on request"))
        #expect(trial.takeEvents() == ["job-suspended vm1", "job-begun vm2"])
        trial.end(2, ServiceTrial.network)
        let event = try #require(trial.events.withLock { $0.first })
        #expect(event.kind == .jobEnded && event.machine == "vm2")
        #expect(event.job?.jobState == .exception)
        #expect(event.relationship?.replicationState == .waitingToStartResynchronization)
        let text = event.line.text(.text, at: StoreTrial.time(0))
        for part in [
            "2027-01-15T08:00:00.000Z job-ended machine=\"vm2\"", "jobState=\"Exception\"",
            "owner=\"admin\" code=32777 bytesCompared=100 bytesDiffering=10 bytesSent=5",
            "replicationHealth=\"Critical\" nextAttemptTime=\"2027-01-15T08:01:01Z\"",
            "message=\"the line is cut\"",
        ] { #expect(text.contains(part), "\(text)") }
    }

    @Test("What the service begins by itself, and what takes the place of another")
    func automatic() throws {
        let trial = try ServiceTrial([Inventory.machine(1, window: .always)])
        trial.wait(seconds: 0)
        #expect(trial.takeEvents() == ["job-accepted vm1", "job-begun vm1"])
        let job = try #require(trial.service.jobs.first)
        #expect(job.requestStateChange(.suspend) == .transitionStarted)
        trial.wait(seconds: 1)
        trial.end(1, .stopped("on request"))
        _ = trial.takeEvents()
        trial.call(1)
        #expect(trial.takeEvents() == ["job-ended vm1", "job-accepted vm1", "job-begun vm1"])
    }

    @Test("What a change of the state cancels without a job is a job that is over at once")
    func cancelledWithoutJob() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.put(1, .resynchronizationSuspended)
        _ = trial.takeEvents()
        let answer = trial.service.requestReplicationStateChange(computerSystem: "vm1", to: 9)
        #expect(answer.job?.properties.jobState == .completed, "\(answer)")
        #expect(trial.takeEvents() == ["job-accepted vm1", "job-ended vm1"])
    }

    @Test("A store that refuses a change of the state is told of too")
    func storeRefusesStateChange() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.put(1, .replicating)
        try trial.breakStore(tables: ["relationships"])
        let answer = trial.service.requestReplicationStateChange(computerSystem: "vm1", to: 7)
        #expect(answer.returnValue != .completed)
        #expect(trial.events.withLock { $0.contains { $0.kind == .storeRefused } })
    }

    @Test("A store that refuses is told of once, and again when it refuses anew")
    func storeRefuses() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.breakStore()
        for _ in 0..<3 {
            trial.call(1)
            trial.wait(seconds: 20)
        }
        let refusals = trial.events.withLock { $0.filter { $0.kind == .storeRefused } }
        #expect(refusals.count == 1 && refusals.first?.message?.isEmpty == false)
        try trial.mendStore()
        trial.wait(seconds: 20)
        #expect(trial.call(1).returnValue == .jobStarted)
        trial.end(1)
        #expect(trial.takeEvents().last == "job-ended vm1")
    }

    @Test("A job that was asked to end has it after a crash at once")
    func terminatedIsRemembered() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let id = try #require(trial.call(1).job).properties.instanceID
        // The progress is saved now, and then not for a while.
        trial.wait(seconds: 0)
        #expect(trial.service.job(id)?.requestStateChange(.terminate) == .transitionStarted)
        trial.wait(seconds: 1)
        try trial.restart()
        #expect(trial.service.job(id)?.properties.jobState == .terminated)
    }

    @Test("Of many jobs that are over the oldest are history before their time")
    func manyJobs() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let count = ReplicationService.endedJobLimit + 3
        var ids: [String] = []
        for _ in 0..<count {
            ids.append(try #require(trial.call(1).job).properties.instanceID)
            trial.end(1, ServiceTrial.broken)
        }
        trial.wait(seconds: 0)
        #expect(trial.service.jobs.map(\.properties.instanceID) == Array(ids.dropFirst(3)))
        let stored = try trial.store.job(ids[0])
        #expect(stored?.properties.jobState == .exception)
    }
}
