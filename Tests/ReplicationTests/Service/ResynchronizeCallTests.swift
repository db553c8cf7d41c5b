import Foundation
import Storage
import Testing

@testable import Replication

@Suite("Msvm_ReplicationService.Resynchronize")
struct ResynchronizeCallTests {
    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    @Test("4096 comes with a job, which is in the store with its disks")
    func started() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        #expect(try trial.state(1) == .waitingToStartResynchronization)
        for name in ["vm1", "00000000-0000-0000-0000-000000000001"] {
            let answer = trial.service.resynchronize(computerSystem: name)
            #expect(answer.returnValue == .jobStarted && answer.reason == nil)
            let job = try #require(answer.job)
            #expect(job.properties.jobType == .resynchronizing)
            #expect(job.properties.jobState == .running)
            let stored = try #require(try trial.store.job(job.properties.instanceID))
            #expect(stored.properties.jobState == .running && stored.attemptCount == 1)
            #expect(
                try trial.store.disks(of: stored).map(\.primary) == ["/vm/1a.vhdx", "/vm/1b.vhdx"])
            #expect(trial.service.job(job.properties.instanceID) === job)
        }
        #expect(try trial.state(1) == .resynchronizing)
        #expect(trial.service.jobs.count == 1)
        #expect(trial.runner.begun == ["vm1"])
    }

    @Test("A replica is resynchronized with its extended replica")
    func extended() throws {
        let trial = try ServiceTrial([Inventory.machine(1, .replica)])
        let answer = trial.call(1)
        #expect(answer.job?.properties.jobType == .resynchronizingExtendedReplication)
        #expect(trial.runner.transfer("vm1")?.relationship.id.kind == .extended)
    }

    @Test("Parameters are checked before anything else")
    func parameters() throws {
        let trial = try ServiceTrial([
            Inventory.machine(1), Inventory.machine(2, .replica, hasRelationship: false),
        ])
        try trial.put(1, .replicating)
        func code(_ machine: String, _ start: String?) -> ReturnCode {
            let answer = trial.service.resynchronize(computerSystem: machine, startTime: start)
            #expect(answer.job == nil && answer.reason?.isEmpty == false)
            return answer.returnValue
        }
        #expect(code("", nil) == .invalidParameter)
        #expect(code("vm1", "2027-01-15T08:00:00Z") == .incorrectDataType)
        #expect(code("vm1", "") == .incorrectDataType)
        #expect(code("vm1", "00000000000500.000000:000") == .incorrectDataType)
        #expect(code("vm1", "20271315080000.000000+000") == .invalidParameter)
        #expect(code("vm1", "20270122080001.000000+000") == .invalidParameter)
        #expect(code("vm9", nil) == .systemNotAvailable)
        #expect(code("vm9", "x") == .incorrectDataType)
        #expect(code("vm1", "20270122080000.000000+000") == .invalidState)
        #expect(code("vm2", nil) == .invalidState)
        trial.service.shutDown()
        #expect(code("vm1", nil) == .systemNotAvailable)
    }

    @Test("The state decides as its table says")
    func states() throws {
        for state in ReplicationState.allCases {
            let trial = try ServiceTrial([Inventory.machine(1)])
            // What is in state 10 without a job is in state 9 after a restart.
            try trial.put(1, state)
            let answer = trial.call(1)
            let rule = try? state.resynchronize(beside: .none)
            #expect(answer.returnValue == (rule.map(ReturnCode.init) ?? .invalidState), "\(state)")
            #expect(try trial.state(1) == (rule == nil ? state : .resynchronizing), "\(state)")
            #expect(trial.runner.begun == (rule == nil ? [] : ["vm1"]), "\(state)")
        }
    }

    @Test("A second call gets the same job, which goes on as it was")
    func again() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        job.report(percentComplete: 40)
        for start in [nil, time(3600)] {
            #expect(trial.call(1, at: start).job === job)
        }
        #expect(job.properties.percentComplete == 40)
        #expect(job.properties.scheduledStartTime == nil)
        #expect(trial.runner.begun == ["vm1"])
        trial.end(1)
        try trial.put(1, .waitingToStartResynchronization)
        let other = trial.call(1)
        #expect(other.job != nil && other.job !== job)
    }

    @Test("A store that refuses the job is the code of the call, and there is no job")
    func storeFails() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.breakStore()
        let answer = trial.call(1)
        #expect(answer.returnValue == .failed && answer.job == nil)
        #expect(trial.service.jobs.isEmpty && trial.runner.begun.isEmpty)
        #expect(trial.service.storeError != nil)
        try trial.mendStore()
        #expect(trial.call(1).returnValue == .jobStarted)
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 10)
        #expect(trial.runner.begun == ["vm1"])
        #expect(trial.service.storeError == nil)
    }

    @Test("A job that is suspended is given up for one that starts over")
    func startOver() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let old = try #require(trial.call(1).job)
        #expect(old.requestStateChange(.suspend) == .transitionStarted)
        trial.wait(seconds: 1)
        #expect(trial.runner.stopped == ["vm1"])
        trial.end(1, .stopped("asked"))
        #expect(old.properties.jobState == .suspended)
        #expect(try trial.state(1) == .resynchronizationSuspended)
        // A restart changes nothing of that.
        try trial.restart()
        trial.wait(seconds: 1)
        #expect(trial.runner.begun.isEmpty)
        #expect(try trial.state(1) == .resynchronizationSuspended)
        let new = try #require(trial.call(1).job)
        let id = old.properties.instanceID
        #expect(trial.service.job(id)?.properties.jobState == .terminated)
        #expect(try trial.store.job(id)?.properties.jobState == .terminated)
        #expect(new.properties.instanceID != id && new.properties.jobState == .running)
        #expect(try trial.state(1) == .resynchronizing)
    }

    // MARK: Start times

    @Test("A future start is a job that waits, whose state is looked at when its time comes")
    func future() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2)])
        let job = try #require(trial.call(1, at: time(3600)).job)
        #expect(job.properties.jobState == .new)
        #expect(job.properties.scheduledStartTime == time(3600))
        #expect(try trial.state(1) == .waitingToStartResynchronization)
        #expect(trial.service.advance() == time(3600))
        trial.wait(seconds: 3599)
        #expect(job.properties.jobState == .new)
        trial.wait(seconds: 1)
        #expect(job.properties.jobState == .running)
        #expect(try trial.state(1) == .resynchronizing)

        let other = try #require(trial.call(2, at: time(7200)).job)
        try trial.put(2, .failoverInProgress)
        trial.wait(until: time(7200))
        let ended = trial.service.job(other.properties.instanceID)
        #expect(ended?.properties.errorCode == 32775)
        #expect(ended?.properties.jobState == .exception)
        #expect(try trial.state(2) == .failoverInProgress)
    }

    @Test("A job that waits gets the start time of the last call")
    func reschedule() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1, at: time(3600)).job)
        let id = job.properties.instanceID
        #expect(trial.call(1, at: time(600)).job === job)
        #expect(try trial.store.job(id)?.properties.scheduledStartTime == time(600))
        #expect(trial.call(1, at: time(7200)).job === job)
        trial.wait(seconds: 3600)
        #expect(job.properties.jobState == .new)
        #expect(trial.call(1).job === job)
        #expect(job.properties.jobState == .running)
    }

    @Test("A start time in the past, and null, is now", arguments: [nil, -1, -86400] as [Int64?])
    func past(_ seconds: Int64?) throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = trial.call(1, at: seconds.map(time)).job
        #expect(job?.properties.jobState == .running)
        #expect(job?.properties.scheduledStartTime == nil)
    }
}
