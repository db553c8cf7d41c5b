import Dispatch
import FoundationEssentials
import Replication
import Storage
import Testing

@Suite struct ConcreteJobTests {
    /// Seconds since the start of the test's own time.
    private let now = Lock<Int>(0)

    private func makeJob() -> ConcreteJob {
        let now = now
        return ConcreteJob(
            clock: JobClock(
                date: { Date(timeIntervalSince1970: TimeInterval(now.withLock { $0 })) },
                uptime: { .seconds(now.withLock { $0 }) }))
    }

    private func wait(seconds: Int) { now.withLock { $0 += seconds } }

    @Test func newJobHasNotStarted() throws {
        wait(seconds: 5)
        let job = makeJob()
        wait(seconds: 5)
        let properties = job.properties
        #expect(properties.jobState == .new)
        #expect(properties.jobType.rawValue == 107)
        #expect(properties.percentComplete == 0)
        #expect(properties.timeSubmitted == Date(timeIntervalSince1970: 5))
        #expect(properties.startTime == nil)
        #expect(properties.elapsedTime == .zero)
        #expect(properties.errorCode == 0)
        #expect(properties.errorDescription == nil)
    }

    @Test func instanceIDIsAGUIDInUpperCase() {
        let first = makeJob().properties.instanceID
        #expect(GUID(first) != nil)
        #expect(first == first.uppercased())
        #expect(first != makeJob().properties.instanceID)
    }

    @Test func completesWithHundredPercentAndAStandingClock() {
        let job = makeJob()
        wait(seconds: 2)
        job.start()
        #expect(job.properties.jobState == .running)
        #expect(job.properties.startTime == Date(timeIntervalSince1970: 2))
        wait(seconds: 3)
        #expect(job.properties.elapsedTime == .seconds(3))
        job.complete()
        wait(seconds: 100)
        #expect(job.properties.jobState == .completed)
        #expect(job.properties.percentComplete == 100)
        #expect(job.properties.elapsedTime == .seconds(3))
        #expect(job.properties.errorDescription == nil)
    }

    @Test func percentNeverFallsAndIsHundredOnlyAtTheEnd() {
        let job = makeJob()
        job.start()
        for (reported, expected) in [(10, 10), (5, 10), (60, 60), (200, 99), (3, 99)] {
            job.report(percentComplete: UInt16(reported))
            #expect(job.properties.percentComplete == expected)
        }
        job.complete()
        job.report(percentComplete: 7)
        #expect(job.properties.percentComplete == 100)
    }

    @Test func failureKeepsThePercentAndSaysWhy() {
        let job = makeJob()
        job.start()
        job.report(percentComplete: 42)
        wait(seconds: 1)
        job.fail(.invalidState, "the virtual sizes differ")
        job.report(percentComplete: 50)
        let properties = job.properties
        #expect(properties.jobState == .exception)
        #expect(properties.percentComplete == 42)
        #expect(properties.errorCode == 32775)
        #expect(properties.errorDescription == "the virtual sizes differ")
        #expect(properties.elapsedTime == .seconds(1))
    }

    @Test func terminationIsAStateOfItsOwn() {
        let job = makeJob()
        job.start()
        job.terminate(.failed, "stopped on request")
        #expect(job.properties.jobState == .terminated)
        #expect(job.properties.errorCode == 32768)
    }

    @Test func aJobThatNeverStartedCanFail() {
        let job = makeJob()
        wait(seconds: 9)
        job.fail(.invalidParameter, "unknown option '--x'")
        #expect(job.properties.jobState == .exception)
        #expect(job.properties.elapsedTime == .zero)
        #expect(job.properties.startTime == nil)
    }

    @Test func endsOnce() async {
        await #expect(processExitsWith: .failure) {
            let job = ConcreteJob()
            job.start()
            job.complete()
            job.complete()
        }
    }

    @Test func manyThreadsReportAtOnce() {
        let job = makeJob()
        job.start()
        DispatchQueue.concurrentPerform(iterations: 64) { index in
            for percent in 0...UInt16(index) {
                let before = job.properties.percentComplete
                job.report(percentComplete: percent)
                #expect(job.properties.percentComplete >= before)
            }
        }
        #expect(job.properties.percentComplete == 63)
    }
}
