import Foundation
import Storage
import Testing

@testable import Replication

/// `RequestReplicationStateChangeEx` of the service: the table itself is compared with its page
/// elsewhere.
@Suite("Changes of the replication state")
struct ReplicationStateChangeTests {
    private func change(_ trial: ServiceTrial, to state: UInt16) -> MethodAnswer {
        trial.service.requestReplicationStateChange(
            computerSystem: "vm1", to: state, owner: "admin")
    }

    private func trial(_ state: ReplicationState) throws -> ServiceTrial {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.put(1, state)
        return trial
    }

    // MARK: Refusals

    @Test("Machines, numbers and states that it does not know are refused with their codes")
    func refusals() throws {
        let trial = try ServiceTrial([Inventory.machine(1), Inventory.machine(2, .replica)])
        let call = trial.service.requestReplicationStateChange
        #expect(call("", 7, nil).returnValue == .invalidParameter)
        #expect(call("vm3", 7, nil).returnValue == .systemNotAvailable)
        for number in [0, 1, 2, 4, 5, 6, 8, 10, 65535] as [UInt16] {
            #expect(call("vm1", number, nil).returnValue == .invalidParameter, "\(number)")
        }
        for number in [3, 7, 9] as [UInt16] {
            let answer = call("vm1", number, nil)
            #expect(answer.returnValue == .invalidState)
            #expect(answer.reason?.contains("9 (Waiting to start resynchronization)") == true)
        }
        trial.service.shutDown()
        #expect(call("vm2", 7, nil).returnValue == .systemNotAvailable)
    }

    @Test(
        "A state that forbids it stays",
        arguments: [.disabled, .recovered, .failoverInProgress] as [ReplicationState])
    func forbidden(_ state: ReplicationState) throws {
        let trial = try trial(state)
        for number in [3, 7, 9] as [UInt16] {
            #expect(change(trial, to: number).returnValue == .invalidState)
        }
        #expect(try trial.state(1) == state)
    }

    // MARK: The relationship alone

    @Test("Replication is suspended and resumed at once, and stays so after a crash")
    func replication() throws {
        let trial = try trial(.replicating)
        let suspended = change(trial, to: 7)
        #expect(suspended.returnValue == .completed && suspended.job == nil)
        try trial.restart()
        #expect(try trial.state(1) == .suspended)
        #expect(change(trial, to: 7).returnValue == .invalidState)
        #expect(change(trial, to: 3).returnValue == .completed)
        try trial.restart()
        #expect(try trial.relationship(1)?.replicationHealth == .ok)
        #expect(try trial.state(1) == .replicating)
    }

    @Test("What the store refuses is not so, and the code is that of the store")
    func refusedByStore() throws {
        let trial = try trial(.replicating)
        try trial.store.write { (content) throws(StoreError) in
            _ = try content.change(
                "CREATE TRIGGER no BEFORE UPDATE ON relationships BEGIN SELECT RAISE(ABORT, 'no'); END",
                [])
        }
        #expect(change(trial, to: 7).returnValue == .failed)
        #expect(try trial.state(1) == .replicating)
    }

    // MARK: A job at work

    @Test("A job at work is suspended, goes on as the same job, and is cancelled")
    func job() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        let suspended = change(trial, to: 7)
        #expect(suspended.returnValue == .jobStarted && suspended.job === job)
        // Twice is once.
        #expect(change(trial, to: 7).returnValue == .jobStarted)
        #expect(trial.runner.stopped == ["vm1"])
        trial.end(1, .stopped("as asked"))
        #expect(try trial.state(1) == .resynchronizationSuspended)
        #expect(job.properties.jobState == .suspended)
        #expect(change(trial, to: 7).returnValue == .invalidState)

        let resumed = change(trial, to: 3)
        #expect(resumed.returnValue == .jobStarted && resumed.job === job)
        #expect(trial.runner.begun == ["vm1", "vm1"])
        #expect(job.properties.jobState == .running)
        #expect(try trial.state(1) == .resynchronizing)

        let cancelled = change(trial, to: 9)
        #expect(cancelled.returnValue == .jobStarted && cancelled.job === job)
        #expect(change(trial, to: 9).returnValue == .jobStarted)
        #expect(change(trial, to: 7).returnValue == .invalidState)
        trial.end(1, .stopped("as asked"))
        #expect(job.properties.jobState == .terminated)
        #expect(try trial.state(1) == .waitingToStartResynchronization)
    }

    @Test("A job that writes to the replica can only be finished")
    func committed() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1).job)
        #expect(job.passCommitPoint())
        for number in [7, 9] as [UInt16] {
            let answer = change(trial, to: number)
            #expect(answer.returnValue == .invalidState)
            #expect(answer.reason?.contains("can only be finished") == true)
        }
        #expect(trial.runner.stopped.isEmpty)
    }

    @Test("A suspended job that is to go on does so after a crash, though it had no place")
    func durableResumption() throws {
        let trial = try ServiceTrial(
            [Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let id = try #require(trial.call(1).job).properties.instanceID
        _ = change(trial, to: 7)
        trial.end(1, .stopped("as asked"))
        trial.call(2)
        #expect(trial.runner.running == ["vm2"])
        try trial.restart()
        // It stays suspended, since nobody has asked.
        #expect(try trial.state(1) == .resynchronizationSuspended)
        trial.service.advance()
        #expect(trial.runner.running == ["vm2"])

        #expect(change(trial, to: 3).returnValue == .jobStarted)
        #expect(try trial.state(1) == .resynchronizing)
        #expect(trial.service.job(id)?.properties.jobState == .suspended)
        try trial.restart()
        trial.service.advance()
        // What was begun before goes on first, in order.
        #expect(trial.runner.running == ["vm1"])
        #expect(trial.service.job(id)?.properties.jobState == .running)
        #expect(try trial.state(1) == .resynchronizing)
    }

    @Test("One that waits for its turn to go on is suspended again, and is cancelled, at once")
    func waitingToGoOn() throws {
        let trial = try ServiceTrial(
            [Inventory.machine(1), Inventory.machine(2)], limit: 1)
        let job = try #require(trial.call(1).job)
        _ = change(trial, to: 7)
        trial.end(1, .stopped("as asked"))
        trial.call(2)
        #expect(change(trial, to: 3).returnValue == .jobStarted)
        #expect(change(trial, to: 7).returnValue == .jobStarted)
        #expect(try trial.state(1) == .resynchronizationSuspended)
        trial.end(2)
        #expect(trial.runner.begun == ["vm1", "vm2"])
        #expect(job.properties.jobState == .suspended)

        #expect(change(trial, to: 9).returnValue == .jobStarted)
        #expect(job.properties.jobState == .terminated)
        #expect(try trial.state(1) == .waitingToStartResynchronization)
        try trial.restart()
        #expect(trial.service.jobs.first?.properties.jobState == .terminated)
    }

    // MARK: A job that waits

    @Test(
        "A job that waits for its time is cancelled at once, and the state stays",
        arguments: [.suspended, .critical, .waitingToStartResynchronization] as [ReplicationState])
    func waiting(_ state: ReplicationState) throws {
        let trial = try trial(state)
        let job = try #require(trial.call(1, at: trial.date + 3600).job)
        let answer = change(trial, to: 9)
        #expect(answer.returnValue == .jobStarted && answer.job === job)
        #expect(job.properties.jobState == .terminated)
        try trial.restart()
        #expect(try trial.state(1) == state)
        #expect(trial.service.jobs.first?.properties.jobState == .terminated)
        trial.wait(seconds: 7200)
        #expect(trial.runner.begun.isEmpty)
    }

    @Test("A store that refuses the end of such a job leaves it as it is")
    func waitingAndRefused() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let job = try #require(trial.call(1, at: trial.date + 3600).job)
        try trial.breakStore()
        #expect(change(trial, to: 9).returnValue == .failed)
        #expect(job.properties.jobState == .new)
        try trial.mendStore()
        #expect(change(trial, to: 9).returnValue == .jobStarted)
    }

    @Test("Where a suspended resynchronization has no job, resume makes one, and cancel says so")
    func withoutJob() throws {
        let resumed = try trial(.resynchronizationSuspended)
        let job = try #require(change(resumed, to: 3).job)
        #expect(job.properties.owner == "admin")
        #expect(resumed.runner.running == ["vm1"])
        #expect(try resumed.state(1) == .resynchronizing)

        let waiting = try trial(.resynchronizationSuspended)
        let later = try #require(waiting.call(1, at: waiting.date + 3600).job)
        #expect(change(waiting, to: 3).job === later)
        #expect(waiting.runner.running == ["vm1"])

        let cancelled = try trial(.resynchronizationSuspended)
        let answer = change(cancelled, to: 9)
        #expect(answer.returnValue == .jobStarted)
        #expect(answer.job?.properties.jobType == .stoppingResynchronization)
        #expect(answer.job?.properties.jobState == .completed)
        try cancelled.restart()
        #expect(try cancelled.state(1) == .waitingToStartResynchronization)
        #expect(cancelled.service.jobs.count == 1)
    }
}
