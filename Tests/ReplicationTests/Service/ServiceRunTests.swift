import Foundation
import Storage
import Testing

@testable import Replication

@Suite("Runs of the replication service")
struct ServiceRunTests {
    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    @Test("A machine that was resynchronized is replicating, with health, figures and statistics")
    func success() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        #expect(try trial.relationship(1)?.replicationHealth == .warning)
        trial.wait(seconds: 60)
        trial.end(1)
        #expect(job.properties.jobState == .completed)
        #expect(job.properties.percentComplete == 100)
        #expect(job.properties.figures.bytesCompared == 100)
        let relationship = try #require(try trial.relationship(1))
        #expect(relationship.replicationState == .replicating)
        #expect(relationship.replicationHealth == .ok)
        #expect(relationship.lastReplicationTime == time(60))
        let stored = try #require(try trial.store.job(job.properties.instanceID))
        #expect(stored.properties.jobState == .completed)
        #expect(try trial.store.disks(of: stored).map(\.returnCode) == [.completed, nil])
        let statistics = try trial.store.read { (content) throws(StoreError) in
            try content.statistics(of: trial.id(1))
        }
        #expect(statistics.replicationSuccessCount == 1 && statistics.replicationSize == 5)
        #expect(trial.call(1).returnValue == .invalidState)
    }

    @Test("A failure that lasts is critical and waits for somebody")
    func failure() throws {
        let trial = try ServiceTrial([Inventory.machine(1, window: .always)])
        trial.wait(seconds: 0)
        trial.end(1, ServiceTrial.broken)
        let relationship = try #require(try trial.relationship(1))
        #expect(relationship.replicationState == .critical)
        #expect(relationship.replicationHealth == .critical)
        #expect(relationship.statusDescription == "the disk is damaged")
        #expect(relationship.nextAttemptTime == nil)
        let job = try #require(trial.service.jobs.last)
        #expect(job.properties.recoveryAction == .doNotContinue)
        #expect(job.getError()?.messageID == "32768")
        trial.wait(seconds: 86400)
        #expect(trial.runner.begun.count == 1)
        #expect(trial.call(1).returnValue == .jobStarted)
    }

    @Test("A failure that may pass is tried again after 1, 2, 4, 8, 10 and then every 30 minutes")
    func retries() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        trial.call(1)
        var count = 1
        for minutes in [1, 2, 4, 8, 10, 30, 30] {
            trial.end(1, ServiceTrial.network)
            #expect(try trial.state(1) == .waitingToStartResynchronization)
            trial.wait(seconds: Double(minutes) * 60 - 1)
            #expect(trial.runner.begun.count == count, "\(minutes)")
            // The number of failures survives.
            try trial.restart()
            trial.wait(seconds: 1)
            #expect(trial.runner.begun.count == 1, "\(minutes)")
            #expect(trial.service.jobs.last?.properties.owner == "admin")
            count = 1
        }
        trial.end(1)
        #expect(try trial.relationship(1)?.retrySchedule.failureCount == 0)
        #expect(try trial.relationship(1)?.nextAttemptTime == nil)
    }

    @Test("Who asks for it begins the back-off anew")
    func resetByCall() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        trial.call(1)
        trial.end(1, ServiceTrial.network)
        trial.wait(seconds: 60)
        trial.end(1, ServiceTrial.network)
        #expect(try trial.relationship(1)?.nextAttemptTime == trial.date + 120)
        trial.call(1)
        #expect(trial.runner.running == ["vm1"])
        trial.end(1, ServiceTrial.network)
        #expect(try trial.relationship(1)?.nextAttemptTime == trial.date + 60)
    }

    @Test("Forty machines fail at once: so many run as may, in order, and the rest waits")
    func forty() throws {
        let machines = (1...40).map { Inventory.machine($0, host: $0 % 2 == 0 ? "far" : "near") }
        let trial = try ServiceTrial(machines, limit: 4, limitPerHost: 2)
        for number in 1...40 { #expect(trial.call(number).returnValue == .jobStarted) }
        #expect(trial.runner.begun == ["vm1", "vm2", "vm3", "vm4"])
        #expect(trial.service.jobs.count { $0.properties.jobState == .new } == 36)
        for number in 1...40 {
            #expect(trial.runner.running.count <= 4)
            trial.end(number, ServiceTrial.network)
            trial.wait(seconds: 1)
        }
        // All had a turn before anybody had a second one; then those that failed first.
        #expect(Array(trial.runner.begun.prefix(40)) == (1...40).map { "vm\($0)" })
        trial.wait(seconds: 600)
        #expect(trial.runner.running.count == 4)
        #expect(trial.runner.running == ["vm1", "vm2", "vm3", "vm4"])
        trial.wait(seconds: 300)
        // What has failed is history by now, and each machine has one job at most.
        #expect(trial.service.jobs.count == 4)
    }

    @Test("A job can be read for 5 minutes after its end, and then it is history")
    func history() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)])
        let id = try #require(trial.call(1).job).properties.instanceID
        trial.end(1)
        #expect(trial.service.advance() == time(300))
        trial.wait(seconds: 200)
        try trial.restart()
        trial.wait(seconds: 99)
        #expect(trial.service.job(id)?.properties.jobState == .completed)
        trial.wait(seconds: 1)
        #expect(trial.service.job(id) == nil)
        #expect(try trial.store.job(id)?.timeOfRemoval == time(300))
        #expect(trial.service.advance() == nil)
    }

    @Test("A job that is terminated ends when its transfer does; its relationship stays in state 9")
    func terminate() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        #expect(job.requestStateChange(.terminate) == .transitionStarted)
        trial.wait(seconds: 1)
        #expect(trial.runner.stopped == ["vm1"])
        #expect(job.properties.jobState == .shuttingDown)
        trial.end(1, .stopped("asked"))
        #expect(job.properties.jobState == .terminated)
        #expect(try trial.state(1) == .waitingToStartResynchronization)
        trial.wait(seconds: 86400)
        #expect(trial.runner.begun.count == 1)
    }

    @Test("A job that waits ends at once, and another one can be asked for")
    func terminateWaiting() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1, at: time(600)).job)
        #expect(job.requestStateChange(.terminate) == .transitionStarted)
        trial.wait(seconds: 0)
        #expect(job.properties.jobState == .terminated)
        #expect(try trial.state(1) == .waitingToStartResynchronization)
        trial.wait(seconds: 600)
        #expect(trial.runner.begun.isEmpty)
        #expect(trial.call(1).job !== job)
    }

    @Test("Where a job that waits has taken the place of a suspended one, its end leads to state 9")
    func terminateWaitingInPlaceOfSuspended() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let suspended = try #require(trial.call(1).job)
        #expect(suspended.requestStateChange(.suspend) == .transitionStarted)
        trial.wait(seconds: 1)
        trial.end(1, .stopped("asked"))
        let waiting = try #require(trial.call(1, at: time(600)).job)
        #expect(waiting !== suspended && waiting.properties.jobState == .new)
        #expect(try trial.state(1) == .resynchronizationSuspended)
        #expect(waiting.requestStateChange(.terminate) == .transitionStarted)
        trial.wait(seconds: 0)
        #expect(waiting.properties.jobState == .terminated)
        #expect(try trial.state(1) == .waitingToStartResynchronization)
    }

    @Test("A job that is suspended goes on when it is asked to; kill is not supported")
    func suspend() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        #expect(job.requestStateChange(.kill) == .notSupported)
        #expect(job.requestStateChange(.suspend) == .transitionStarted)
        trial.wait(seconds: 1)
        trial.end(1, .stopped("asked"))
        #expect(trial.service.isIdle)
        trial.wait(seconds: 3600)
        #expect(try trial.state(1) == .resynchronizationSuspended)
        #expect(job.requestStateChange(.start) == .transitionStarted)
        trial.wait(seconds: 0)
        #expect(job.properties.jobState == .running)
        #expect(try trial.state(1) == .resynchronizing)
        #expect(trial.runner.begun == ["vm1", "vm1"])
    }

    @Test("A job may begin before its time when it is asked to")
    func startEarly() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1, at: time(600)).job)
        #expect(job.requestStateChange(.start) == .transitionStarted)
        trial.wait(seconds: 0)
        #expect(job.properties.jobState == .running)
    }

    @Test("A beginning that the store refuses is tried again, and not at once")
    func beginningIsRefused() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1, at: time(60)).job)
        try trial.breakStore()
        trial.wait(seconds: 60)
        #expect(trial.runner.begun.isEmpty && job.properties.jobState == .new)
        #expect(trial.service.storeError != nil)
        #expect(trial.service.advance() == time(70))
        try trial.mendStore()
        trial.wait(seconds: 9)
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 1)
        #expect(trial.runner.begun == ["vm1"])
        #expect(trial.service.storeError == nil)
    }

    @Test("An end that the store refuses is remembered when it does not any more")
    func endIsRefused() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let job = try #require(trial.call(1).job)
        trial.call(2)
        try trial.breakStore()
        trial.end(1)
        #expect(job.properties.jobState == .running)
        #expect(trial.service.storeError != nil)
        trial.wait(seconds: 30)
        #expect(trial.runner.begun == ["vm1"])
        let next = try #require(trial.service.advance())
        #expect(next > trial.date)
        try trial.mendStore()
        trial.wait(seconds: 30)
        #expect(job.properties.jobState == .completed)
        #expect(try trial.state(1) == .replicating)
        trial.wait(seconds: 10)
        #expect(trial.runner.begun == ["vm1", "vm2"])
    }
}
