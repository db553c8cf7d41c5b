import Resync
import Storage
import TestSupport
import Testing

@testable import Replication

/// Jobs as a program in Swift runs them: watched as a sequence, or through functions.
@Suite struct BackgroundJobTests {
    private func job(_ primary: String, _ replica: String) throws(CodedError) -> BackgroundJob {
        var options = JobOptions()
        options.progressInterval = .milliseconds(10)
        return try BackgroundJob(
            .resynchronize(primary: primary, replica: replica), options: options)
    }

    // MARK: As a sequence

    @Test func progressIsASequenceThatEndsWithTheJob() async throws {
        let pair = try DiskPair()
        let job = try job(pair.primary, pair.replica)
        let updates = job.updates
        job.start()
        var all: [BackgroundJob.Progress] = []
        for await progress in updates { all.append(progress) }
        let ending = await job.ending()
        #expect(ending.code == .completed && ending.errorDescription == nil)
        #expect(ending.report.isVerified)
        #expect(try pair.replicaIsCurrent())
        let last = try #require(all.last)
        #expect(last.state == .completed && last.sample.phase == .finished)
        #expect(last.sample.percentComplete == 100 && !last.sample.isStopping)
        #expect(last.sample.counts == ending.report.counts)
        let percents = all.map(\.sample.percentComplete)
        #expect(percents == percents.sorted())
        // Who comes late is told the end.
        var late: [JobState] = []
        for await progress in job.updates { late.append(progress.state) }
        #expect(late == [.completed])
    }

    @Test func toWatchNoLongerDoesNotStopTheJob() async throws {
        let pair = try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 20)
        let job = try job(pair.primary, pair.replica)
        job.start()
        for await _ in job.updates { break }
        #expect(await job.ending().code == .completed)
    }

    // MARK: Cancellation

    /// A job that ends by itself only where a test would hang: the other host never answers. A task may
    /// wait for minutes until other tests let it have a thread.
    private func endlessJob(_ pair: DiskPair) throws(CodedError) -> BackgroundJob {
        var options = JobOptions()
        options.remote.shell = ["sh", "-c", "exec sleep 80000"]
        options.timeout = .seconds(80000)
        options.remote.idleTimeoutSeconds = 80000
        return try BackgroundJob(
            .resynchronize(primary: pair.primary, replica: "h:r"), options: options)
    }

    @Test func aTaskThatIsCancelledCancelsTheJob() async throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let job = try endlessJob(pair)
        job.start()
        let working = Task { () -> BackgroundJob.Ending in
            for await _ in job.updates {}
            return await job.ending()
        }
        let waiting = Task { await job.ending() }
        for await progress in job.updates where progress.state == .running { break }
        working.cancel()
        for ending in [await working.value, await waiting.value] {
            #expect(ending.code == .failed)
            #expect(ending.errorDescription == "stopped on request")
        }
        #expect(job.progress.state == .terminated && !job.progress.sample.isStopping)
    }

    @Test func aJobOfATaskThatWasCancelledBeforeEndsToo() async throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let job = try endlessJob(pair)
        let task = Task { () -> BackgroundJob.Ending in
            while !Task.isCancelled { await Task.yield() }
            job.start()
            return await job.ending()
        }
        task.cancel()
        #expect(await task.value.code == .failed)
    }

    // MARK: Through functions

    @Test func functionsAreToldProgressAndEnd() async throws {
        let pair = try LongPair()
        let job = try job(pair.primary, pair.replica)
        let told = Lock<[BackgroundJob.Progress]>([])
        let ending = await withCheckedContinuation { continuation in
            job.start(
                progress: { progress in
                    told.withLock { $0.append(progress) }
                    if progress.sample.counts.bytesDone > 0 { job.cancel() }
                },
                completion: { continuation.resume(returning: $0) })
        }
        #expect(ending.code == .failed)
        let states = told.withLock { $0.map(\.state) }
        #expect(states.last == .terminated)
        #expect(states.count >= 2 && states.dropLast().allSatisfy { $0 == .running })
        #expect(job.wait(milliseconds: 0)?.code == .failed)
    }

    // MARK: What makes no sense

    @Test func namesThatMakeNoSenseAreRefused() {
        let cases: [(JobTask, ReturnCode, String)] = [
            (.resynchronize(primary: "h:p", replica: "k:r"), .invalidParameter, "other hosts"),
            (.resynchronize(primary: "", replica: "r"), .invalidParameter, "empty"),
            (
                .resynchronize(primary: "p", replica: "vhdresync://h/r"), .invalidParameter,
                "certificate is missing"
            ),
            (.recover(replica: "h:r"), .notSupported, "another host"),
            (.map(disk: "h:d", output: "m"), .notSupported, "another host"),
            (.diff(primary: "p", replicaOrMap: "h:r"), .notSupported, "another host"),
            (.apply(delta: "d", replica: "h:r"), .notSupported, "another host"),
        ]
        for (task, code, words) in cases {
            let error = #expect(throws: CodedError.self) { try BackgroundJob(task) }
            #expect(error?.code == code, "\(task)")
            #expect(error?.description.contains(words) == true, "\(task)")
        }
    }

    @Test func optionsThatMakeNoSenseAreRefused() {
        let cases: [(String, (inout JobOptions) -> Void)] = [
            ("time limit", { $0.timeout = .zero }),
            ("time limit", { $0.timeout = .seconds(400 * 24 * 3600) }),
            ("interval", { $0.progressInterval = .milliseconds(9) }),
            ("interval", { $0.progressInterval = .seconds(11) }),
            ("block size", { $0.resync.blockSize = 5000 }),
            (
                "dry run",
                {
                    $0.resync.isDryRun = true
                    $0.resync.verifiesWholeReplica = true
                }
            ),
            ("parent", { $0.resync.parentOfNewReplica = "a" }),
            (
                "in place",
                {
                    $0.resync.writeMethod = .inPlace
                    $0.resync.journalFolder = "/tmp"
                }
            ),
            ("program", { $0.remote.shell = [] }),
            ("program", { $0.remote.command = [] }),
            ("called again", { $0.remote.retryCount = -1 }),
            ("1024 bytes", { $0.remote.bytesPerSecond = 1023 }),
            ("idle timeout", { $0.remote.idleTimeoutSeconds = .nan }),
        ]
        for (words, change) in cases {
            var options = JobOptions()
            change(&options)
            let error = #expect(throws: CodedError.self) {
                try BackgroundJob(.recover(replica: "r"), options: options)
            }
            #expect(error?.code == .invalidParameter, "\(words)")
            #expect(error?.description.contains(words) == true, "\(words)")
        }
    }
}
