import Dispatch
import FoundationEssentials
import Storage
import Testing

@testable import Replication

@Suite("Requests to a job")
struct JobRequestTests {
    /// Where a job may be when it is asked.
    struct Situation: Hashable, CustomStringConvertible {
        var state: JobState
        var isCommitted: Bool
        var pending: RequestedJobState?

        var description: String {
            "\(state)\(isCommitted ? ", committed" : "")\(pending.map { ", asked to \($0)" } ?? "")"
        }
    }

    static let situations: [Situation] =
        [
            Situation(state: .new, isCommitted: false),
            Situation(state: .new, isCommitted: false, pending: .start),
            Situation(state: .starting, isCommitted: false),
            Situation(state: .running, isCommitted: false),
            Situation(state: .running, isCommitted: false, pending: .suspend),
            Situation(state: .running, isCommitted: true),
            Situation(state: .suspended, isCommitted: false),
            Situation(state: .suspended, isCommitted: false, pending: .start),
            Situation(state: .service, isCommitted: false),
            Situation(state: .service, isCommitted: false, pending: .start),
            Situation(state: .shuttingDown, isCommitted: false, pending: .terminate),
            Situation(state: .shuttingDown, isCommitted: false, pending: .kill),
            Situation(state: .shuttingDown, isCommitted: true, pending: .kill),
        ]
        + JobState.allCases.filter(\.isFinal).flatMap { state in
            [false, true].map { Situation(state: state, isCommitted: $0) }
        }

    /// The codes of docs/jobs.md for each situation, in the order of the requests.
    static func documented() throws -> [Situation: [UInt32]] {
        let table = try DocumentedTable("jobs.md", startingWith: ["states", "committed"])
        #expect(
            table.header == [
                "states", "committed", "asked for before", "start (2)", "suspend (3)",
                "terminate (4)", "kill (5)", "service (6)",
            ])
        var codes: [Situation: [UInt32]] = [:]
        for row in table.rows {
            for number in try DocumentedTable.numbers(row[0]) {
                let state = try #require(JobState(rawValue: number))
                for committed in row[1].split(separator: ", ") {
                    let pending = RequestedJobState.allCases.first { "\($0)" == row[2] }
                    #expect((pending == nil) == (row[2] == "–"), "\(row)")
                    let situation = Situation(
                        state: state, isCommitted: committed == "yes", pending: pending)
                    #expect(codes[situation] == nil, "\(situation) stands twice")
                    codes[situation] = row[3...].compactMap { UInt32($0) }
                }
            }
        }
        return codes
    }

    @Test("The page has each situation")
    func pageIsComplete() throws {
        #expect(Set(try Self.documented().keys) == Set(Self.situations))
    }

    @Test(
        "Each request is answered as the page says, and reaches who does the work",
        arguments: situations)
    func table(_ situation: Situation) throws {
        let codes = try #require(try Self.documented()[situation])
        #expect(codes.count == RequestedJobState.allCases.count)
        for (requested, code) in zip(RequestedJobState.allCases, codes) {
            let trial = JobTrial()
            trial.bring(
                to: situation.state, isCommitted: situation.isCommitted, pending: situation.pending)
            let before = trial.properties
            #expect(before.jobState == situation.state)
            #expect(before.isCommitted == situation.isCommitted)
            if requested == .terminate { #expect(before.cancellable == (code == 4096)) }
            trial.wait(seconds: 1)
            let answer = trial.job.requestStateChange(requested)
            #expect(answer.rawValue == code, "\(requested)")
            #expect(trial.requests == (code == 4096 ? [requested] : []), "\(requested)")
            let isEnd = requested == .terminate || requested == .kill
            let expected = code == 4096 && isEnd ? .shuttingDown : situation.state
            #expect(trial.properties.jobState == expected, "\(requested)")
            let isChange = expected != situation.state
            #expect(
                trial.properties.timeOfLastStateChange
                    == before.timeOfLastStateChange.addingTimeInterval(isChange ? 1 : 0))
            #expect(trial.properties.errorCode == before.errorCode)
        }
    }

    @Test("What nobody can do is not supported, and changes nothing", arguments: situations)
    func unsupported(_ situation: Situation) throws {
        let codes = try #require(try Self.documented()[situation])
        for (requested, code) in zip(RequestedJobState.allCases, codes) {
            let trial = JobTrial()
            trial.bring(
                to: situation.state, isCommitted: situation.isCommitted, pending: situation.pending)
            trial.job.install(trial.control([]))
            #expect(!trial.properties.cancellable)
            let before = trial.properties
            let answer = trial.job.requestStateChange(requested)
            #expect(answer.rawValue == (code == 4096 ? 1 : code), "\(requested)")
            #expect(trial.properties == before)
        }
    }

    @Test("Numbers and names of requests and codes are the documented ones")
    func numbers() {
        #expect(RequestedJobState.allCases.map(\.rawValue) == [2, 3, 4, 5, 6])
        #expect(
            JobRequestCode.allCases.map(\.rawValue) == [
                0, 1, 2, 3, 4, 5, 6, 4096, 4097, 4098, 4099,
            ])
        #expect(
            JobRequestCode.allCases.map(\.name) == [
                "Completed with No Error", "Not Supported", "Unknown/Unspecified Error",
                "Can NOT complete within Timeout Period", "Failed", "Invalid Parameter", "In Use",
                "Method Parameters Checked - Transition Started", "Invalid State Transition",
                "Use of Timeout Parameter Not Supported", "Busy",
            ])
        let trial = JobTrial()
        trial.bring(to: .running, isCommitted: false, pending: nil)
        for number in [0, 1, 7, 4096, UInt16.max] {
            #expect(trial.job.requestStateChange(number: number) == .invalidParameter)
        }
        #expect(trial.job.requestStateChange(number: 3) == .transitionStarted)
        #expect(trial.requests == [.suspend])
    }

    @Test("Only a time limit of nothing is supported")
    func timeouts() throws {
        let cases: [(String, JobRequestCode)] = [
            ("00000000000000.000000:000", .transitionStarted),
            ("00000000000000.000001:000", .timeoutNotSupported),
            ("00000001000000.000000:000", .timeoutNotSupported),
            ("20260101000000.000000+000", .invalidParameter),
        ]
        for (text, code) in cases {
            let trial = JobTrial()
            trial.bring(to: .running, isCommitted: false, pending: nil)
            let timeout = try CIMDateTime(parsing: text)
            #expect(trial.job.requestStateChange(.suspend, timeout: timeout) == code)
            #expect(trial.requests == (code == .transitionStarted ? [.suspend] : []))
        }
    }

    @Test(
        "A job that nobody has taken on ends at once",
        arguments: [.terminate, .kill] as [RequestedJobState])
    func nobodysJob(_ requested: RequestedJobState) {
        let trial = JobTrial()
        #expect(trial.properties.cancellable)
        #expect(trial.job.requestStateChange(.start) == .notSupported)
        #expect(trial.job.requestStateChange(requested) == .completed)
        #expect(trial.properties.jobState == (requested == .kill ? .killed : .terminated))
        #expect(trial.properties.errorDescription == "stopped before it began")
        #expect(trial.properties.startTime == nil)
        #expect(!trial.job.start())
        #expect(trial.job.requestStateChange(requested) == .invalidTransition)
    }

    @Test("A job that was taken on and asked to end does not begin")
    func endBeforeTheStart() {
        let trial = JobTrial()
        trial.bring(to: .new, isCommitted: false, pending: .terminate)
        #expect(!trial.job.start())
        trial.job.terminate(.failed, "t")
        #expect(trial.properties.jobState == .terminated)
        #expect(trial.properties.startTime == nil)
        #expect(trial.properties.elapsedTime == .zero)
    }

    @Test("A suspension takes place when the work stands still, and the work goes on")
    func suspendAndResume() {
        let trial = JobTrial()
        trial.bring(to: .running, isCommitted: false, pending: .suspend)
        trial.wait(seconds: 2)
        #expect(trial.properties.jobState == .running)
        #expect(trial.job.suspend())
        #expect(trial.properties.jobState == .suspended)
        trial.wait(seconds: 100)
        #expect(trial.properties.elapsedTime == .seconds(2))
        #expect(trial.job.requestStateChange(.start) == .transitionStarted)
        #expect(trial.properties.jobState == .suspended)
        #expect(trial.job.resume())
        #expect(trial.properties.jobState == .running)
        trial.wait(seconds: 3)
        #expect(trial.properties.elapsedTime == .seconds(5))
        #expect(trial.job.requestStateChange(.suspend) == .transitionStarted)
        #expect(trial.requests == [.start, .suspend])
        trial.job.complete()
        #expect(trial.properties.elapsedTime == .seconds(5))
    }

    @Test("Who was asked to end is told when it would stand still, or go on")
    func endOverSuspension() {
        let first = JobTrial()
        first.bring(to: .running, isCommitted: false, pending: .suspend)
        #expect(first.job.requestStateChange(.terminate) == .transitionStarted)
        #expect(!first.job.suspend())
        first.job.terminate(.failed, "t")
        let second = JobTrial()
        second.bring(to: .suspended, isCommitted: false, pending: .start)
        #expect(second.job.requestStateChange(.kill) == .transitionStarted)
        #expect(!second.job.resume())
        second.job.kill(.failed, "k")
        #expect(second.properties.jobState == .killed)
    }

    @Test(
        "What was asked for comes before the commit point",
        arguments: [.suspend, .terminate, .kill] as [RequestedJobState])
    func requestBeforeCommit(_ requested: RequestedJobState) {
        let trial = JobTrial()
        trial.bring(to: .running, isCommitted: false, pending: requested)
        #expect(!trial.job.passCommitPoint())
        #expect(!trial.properties.isCommitted)
    }

    @Test("A job that was asked to end may have reached its end before", arguments: 0..<4)
    func endsOtherwise(_ end: Int) {
        let trial = JobTrial()
        trial.bring(to: .shuttingDown, isCommitted: false, pending: .terminate)
        switch end {
        case 0: trial.job.complete()
        case 1: trial.job.complete(warning: "w")
        case 2: trial.job.fail(.failed, "e")
        default: trial.job.kill(.failed, "k")
        }
        let expected: [JobState] = [.completed, .completedWithWarnings, .exception, .killed]
        #expect(trial.properties.jobState == expected[end])
    }

    @Test("Who does the work may look at the job while it is asked")
    func reentrance() {
        let trial = JobTrial()
        let seen = Lock<[JobState]>([])
        let job = trial.job
        job.install(
            JobControl(terminate: {
                seen.withLock { $0.append(job.properties.jobState) }
                job.terminate(.failed, "t")
            }))
        job.start()
        #expect(job.requestStateChange(.terminate) == .transitionStarted)
        #expect(seen.withLock { $0 } == [.shuttingDown])
        #expect(job.properties.jobState == .terminated)
        job.install(JobControl())
    }

    @Test("Of an end and a commit at the same time one wins, never both")
    func endOrCommit() {
        for _ in 0..<500 {
            let trial = JobTrial()
            trial.job.install(trial.control())
            trial.job.start()
            let outcome = Lock<(isCommitted: Bool, code: JobRequestCode)>((false, .unknown))
            DispatchQueue.concurrentPerform(iterations: 2) { index in
                if index == 0 {
                    let isCommitted = trial.job.passCommitPoint()
                    outcome.withLock { $0.isCommitted = isCommitted }
                } else {
                    let code = trial.job.requestStateChange(.terminate)
                    outcome.withLock { $0.code = code }
                }
            }
            let (isCommitted, code) = outcome.withLock { $0 }
            #expect(code == (isCommitted ? .invalidTransition : .transitionStarted))
            #expect(trial.requests == (isCommitted ? [] : [.terminate]))
        }
    }

    @Test("A job takes the steps of its work in their order only")
    func wrongOrder() async {
        await #expect(processExitsWith: .failure) { ConcreteJob().suspend() }
        await #expect(processExitsWith: .failure) { ConcreteJob().resume() }
        await #expect(processExitsWith: .failure) { _ = ConcreteJob().passCommitPoint() }
        await #expect(processExitsWith: .failure) {
            let job = ConcreteJob()
            job.start()
            job.start()
        }
        await #expect(processExitsWith: .failure) {
            let job = ConcreteJob()
            job.start()
            _ = job.passCommitPoint()
            job.suspend()
        }
    }
}
