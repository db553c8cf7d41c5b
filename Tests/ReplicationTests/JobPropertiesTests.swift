import FoundationEssentials
import Testing

@testable import Replication

@Suite("Properties of a job")
struct JobPropertiesTests {
    private func trial(_ state: JobState) -> JobTrial {
        let trial = JobTrial()
        trial.bring(
            to: state, isCommitted: false, pending: state == .shuttingDown ? .terminate : nil)
        return trial
    }

    @Test("Status and health are what the state is", arguments: JobState.allCases)
    func status(_ state: JobState) {
        let properties = trial(state).properties
        #expect(properties.jobState == state)
        let (operational, health, status): (UInt16, UInt16, String) =
            switch state {
            case .exception: (6, 20, "Error")
            case .terminated, .killed: (14, 5, "Error")
            case .completedWithWarnings: (2, 10, "Degraded")
            case .new, .starting, .running, .suspended, .shuttingDown, .completed, .service:
                (2, 5, "OK")
            }
        #expect(properties.operationalStatus.map(\.rawValue) == [operational])
        #expect(properties.healthState.rawValue == health)
        #expect(properties.status == status)
        let texts: [JobState: (String, String)] = [
            .exception: ("e", "Exception"), .terminated: ("t", "Terminated"),
            .killed: ("k", "Killed"), .completedWithWarnings: ("w", "w"),
        ]
        #expect(properties.statusDescriptions == [texts[state]?.0 ?? "OK"])
        #expect(properties.jobStatus == texts[state]?.1 ?? state.name)
        #expect((properties.percentComplete == 100) == (state.isFinal && !state.isFailure))
        #expect((properties.errorCode != 0) == state.isFailure)
        #expect((properties.errorDescription != nil) == state.isFailure)
        #expect((properties.errorSummaryDescription != nil) == state.isFailure)
        #expect((properties.recoveryAction != .unknown) == state.isFailure)
        let expected: RelationshipJob =
            state == .new ? .waiting : state.isFinal ? .none : .underWay
        #expect(properties.standing == expected)
    }

    @Test("A job that writes to the replica stands past its commit point")
    func committed() {
        let trial = JobTrial()
        trial.bring(to: .running, isCommitted: true, pending: nil)
        #expect(trial.properties.standing == .committed)
        trial.job.complete()
        #expect(trial.properties.standing == .none)
    }

    @Test(
        "There is an error exactly where the job did not do what it was for",
        arguments: JobState.allCases)
    func errors(_ state: JobState) {
        let trial = trial(state)
        #expect((trial.job.getError() != nil) == state.isFailure)
        let isOK = trial.properties.operationalStatus.contains(.ok)
        #expect(isOK == !state.isFailure)
    }

    @Test("What is the same for all jobs")
    func constants() {
        let properties = JobTrial(type: .resynchronizingExtendedReplication).properties
        #expect(properties.jobType.rawValue == 121)
        #expect(properties.name == "Resynchronizing extended replication")
        #expect(properties.caption == properties.name)
        #expect(properties.elementName == "vm1")
        #expect(properties.description == "Resynchronizing extended replication: vm1")
        #expect(properties.owner == "admin")
        #expect(ConcreteJob().properties.elementName == "Resynchronizing")
        #expect(ConcreteJob().properties.owner == nil)
        #expect(properties.installDate == nil)
        #expect(properties.untilTime == nil)
        #expect(properties.notify == nil)
        #expect(properties.priority == 0)
        #expect(properties.otherRecoveryAction == nil)
        #expect(properties.deleteOnCompletion)
        #expect("\(CIMInterval(properties.timeBeforeRemoval))" == "00000000000500.000000:000")
        #expect(properties.jobRunTimes == 1)
        #expect(properties.runMonth == nil)
        #expect(properties.runDay == nil)
        #expect(properties.runDayOfWeek == nil)
        #expect(properties.runStartInterval == nil)
        #expect(properties.localOrUtcTime == 2)
        #expect(JobRecoveryAction.allCases.map(\.rawValue) == Array(0...5))
    }

    @Test("Times are when things happened")
    func times() {
        let scheduled = Date(timeIntervalSince1970: 10)
        let trial = JobTrial(scheduledStartTime: scheduled)
        func changed() -> TimeInterval {
            trial.properties.timeOfLastStateChange.timeIntervalSince1970
        }
        trial.wait(seconds: 1)
        #expect(trial.properties.timeSubmitted == Date(timeIntervalSince1970: 0))
        #expect(trial.properties.scheduledStartTime == scheduled)
        #expect(changed() == 0)
        #expect(trial.job.reschedule(to: nil))
        #expect(trial.properties.scheduledStartTime == nil)
        #expect(trial.job.reschedule(to: scheduled))
        trial.wait(seconds: 9)
        trial.job.start()
        #expect(trial.properties.startTime == scheduled)
        #expect(changed() == 10)
        #expect(!trial.job.reschedule(to: nil))
        #expect(trial.properties.scheduledStartTime == scheduled)
        trial.wait(seconds: 1.5)
        #expect("\(CIMInterval(trial.properties.elapsedTime))" == "00000000000001.500000:000")
        trial.job.report(percentComplete: 5)
        #expect(changed() == 10)
        trial.job.suspend()
        #expect(changed() == 11.5)
        trial.wait(seconds: 1)
        trial.job.resume()
        #expect(changed() == 12.5)
        #expect(trial.properties.startTime == scheduled)
        trial.wait(seconds: 1)
        trial.job.complete()
        #expect(changed() == 13.5)
        trial.wait(seconds: 1)
        #expect(trial.properties.elapsedTime == .seconds(2.5))
        #expect(changed() == 13.5)
    }

    @Test(
        "A job is removed five minutes after its end, whatever that is",
        arguments: JobState.allCases)
    func removal(_ state: JobState) {
        let trial = JobTrial()
        trial.wait(seconds: 7)
        trial.bring(
            to: state, isCommitted: false, pending: state == .shuttingDown ? .terminate : nil)
        let cases: [(Double, Bool)] = [
            (0, false), (7, false), (306.999, false), (307, true), (1e9, true),
        ]
        for (seconds, isOver) in cases {
            #expect(
                trial.job.isToBeRemoved(at: .seconds(seconds)) == (isOver && state.isFinal),
                "\(seconds)")
        }
    }

    @Test(
        "What is to be done about a failure follows from its code, or is said",
        arguments: ReturnCode.allCases)
    func recovery(_ code: ReturnCode) {
        guard code != .completed, code != .jobStarted else { return }
        let failed = trial(.running)
        failed.job.fail(code, "e")
        let isTransient = [32771, 32772, 32774, 32777, 32778].contains(code.rawValue)
        #expect(failed.properties.recoveryAction == (isTransient ? .rerunJob : .doNotContinue))
        #expect(failed.properties.errorSummaryDescription == code.name)
        let halfWritten = trial(.running)
        halfWritten.job.fail(code, "e", recovery: .runRecoveryJob)
        #expect(halfWritten.properties.recoveryAction == .runRecoveryJob)
    }

    @Test("A job that is killed while it writes needs the recovery job", arguments: [false, true])
    func killed(_ isCommitted: Bool) {
        let trial = JobTrial()
        trial.bring(to: .running, isCommitted: isCommitted, pending: .kill)
        trial.job.kill(.failed, "k")
        #expect(
            trial.properties.recoveryAction == (isCommitted ? .runRecoveryJob : .rerunJob))
    }

    @Test("The status is what the job says that it does, until its end")
    func activity() {
        let trial = trial(.running)
        trial.job.report(JobFigures(), share: 0.5, activity: "comparing")
        #expect(trial.properties.jobStatus == "comparing")
        #expect(trial.properties.statusDescriptions == ["OK"])
        trial.job.complete()
        #expect(trial.properties.jobStatus == "Completed")
    }
}
