import Foundation
import Storage
import Testing

@testable import Replication

@Suite("A replication service after a crash")
struct ServiceRestartTests {
    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    @Test("A job waits on over a restart before its time, and begins after one that misses it")
    func scheduled() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let id = try #require(trial.call(1, at: time(3600)).job).properties.instanceID
        try trial.restart(afterSeconds: 1800)
        trial.wait(seconds: 0)
        let job = try #require(trial.service.job(id))
        #expect(job.properties.jobState == .new)
        #expect(job.properties.scheduledStartTime == time(3600))
        #expect(trial.call(1, at: time(3600)).job === job)
        // Nobody was there when the time came.
        try trial.restart(afterSeconds: 7200)
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 0)
        #expect(trial.service.job(id)?.properties.jobState == .running)
        #expect(trial.service.job(id)?.properties.startTime == time(9000))
    }

    @Test("Jobs that waited for a place wait on in their order")
    func queue() throws {
        let trial = try ServiceTrial((1...6).map { Inventory.machine($0) }, limit: 1)
        for number in [3, 1, 2, 6, 5, 4] { trial.call(number) }
        trial.end(3)
        try trial.restart()
        trial.wait(seconds: 0)
        for number in [1, 2, 6, 5, 4] { trial.end(number) }
        #expect(trial.runner.begun == [1, 2, 6, 5, 4].map { "vm\($0)" })
    }

    @Test("What was at work goes on, before others begin, as the same job")
    func interrupted() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let job = try #require(trial.call(2).job)
        trial.call(1)
        job.report(percentComplete: 40)
        trial.wait(seconds: 10)
        let id = job.properties.instanceID
        try trial.restart()
        #expect(try trial.state(2) == .waitingToStartResynchronization)
        let same = try #require(trial.service.job(id))
        #expect(same.properties.jobState == .suspended)
        #expect(same.properties.percentComplete == 40)
        // A call meanwhile gets it too.
        #expect(trial.call(2).job === same)
        trial.wait(seconds: 0)
        #expect(trial.runner.begun == ["vm2"])
        #expect(trial.runner.transfer("vm2")?.attempt == 2)
        #expect(same.properties.jobState == .running)
        #expect(same.properties.elapsedTime == .seconds(10))
        #expect(try trial.state(2) == .resynchronizing)
        trial.end(2)
        #expect(try trial.state(2) == .replicating)
        #expect(trial.runner.begun == ["vm2", "vm1"])
    }

    @Test(
        "After a crash at any step no job is lost or done twice, and no relationship stays in state 10"
    )
    func everyStep() throws {
        let steps: [(ServiceTrial) -> Void] = [
            { $0.call(1) }, { $0.call(2) }, { $0.call(3, at: StoreTrial.time(50)) },
            { $0.wait(seconds: 10) }, { $0.end(1) },
            { _ = $0.service.jobs[1].requestStateChange(.terminate) },
            { $0.wait(seconds: 1) }, { $0.end(2, .stopped("asked")) },
            { $0.wait(seconds: 50) }, { $0.end(3, ServiceTrial.network) },
        ]
        for count in 0...steps.count {
            let trial = try ServiceTrial((1...3).map { Inventory.machine($0) }, limit: 1)
            for step in steps.prefix(count) { step(trial) }
            let accepted = trial.service.jobs.map(\.properties)
            try trial.restart()
            #expect(trial.service.jobs.map(\.properties.instanceID) == accepted.map(\.instanceID))
            for number in 1...3 { #expect(try trial.state(number) != .resynchronizing, "\(count)") }
            for job in accepted where job.jobState.isFinal {
                let now = trial.service.job(job.instanceID)?.properties.jobState
                #expect(now == job.jobState, "\(count)")
            }
            trial.wait(seconds: 110)
            for _ in 1...3 {
                for number in 1...3 { trial.end(number) }
            }
            #expect(trial.runner.running.isEmpty, "\(count)")
            for job in trial.service.jobs {
                #expect(job.properties.jobState.isFinal, "\(count)")
            }
            #expect(trial.runner.begun.count == Set(trial.runner.begun).count, "\(count)")
            for number in 1...3 { #expect(try trial.state(number) != .resynchronizing, "\(count)") }
        }
    }

    @Test("A job whose end was asked for has ended after a crash")
    func shuttingDown() throws {
        let trial = try ServiceTrial([Inventory.machine(1, window: .always)])
        let job = try #require(trial.call(1).job)
        _ = job.requestStateChange(.terminate)
        trial.wait(seconds: 10)
        try trial.restart()
        let id = job.properties.instanceID
        #expect(trial.service.job(id)?.properties.jobState == .terminated)
        #expect(try trial.store.job(id)?.properties.jobState == .terminated)
        trial.wait(seconds: 60)
        // Not again before the window opens anew, at midnight.
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 16 * 3600)
        #expect(trial.runner.begun == ["vm1"])
    }

    @Test("A service that is shut down stops what is at work, and the next one goes on with it")
    func shutDown() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let id = try #require(trial.call(1).job).properties.instanceID
        trial.call(2)
        trial.service.shutDown()
        #expect(trial.runner.stopped == ["vm1"])
        #expect(!trial.service.isIdle)
        trial.end(1, .stopped("asked"))
        #expect(trial.service.isIdle)
        #expect(trial.runner.begun == ["vm1"])
        try trial.restart()
        trial.wait(seconds: 0)
        #expect(trial.runner.begun == ["vm1"])
        #expect(trial.service.job(id)?.properties.jobState == .running)
    }

    @Test("A job whose machine is not in the inventory any more ends with 32777")
    func machineIsGone() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let jobs = try [1, 2].map { try #require(trial.call($0).job).properties.instanceID }
        trial.inventory.machines = []
        try trial.restart()
        trial.wait(seconds: 0)
        for id in jobs {
            #expect(trial.service.job(id)?.properties.errorCode == 32777)
        }
    }
}
