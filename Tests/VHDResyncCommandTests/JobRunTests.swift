import Foundation
import Replication
import TestSupport
import Testing

@testable import Resync
@testable import VHDResyncCommand

/// A run with some work in the place of the engine, in a process of its own: it has signals.
private func run(
    _ words: String = "p r",
    _ work: @escaping @Sendable (ResyncMonitor) throws(ResyncError) -> DiskReport
) -> Never {
    let arguments = ["vhdresync"] + words.split(separator: " ").map(String.init)
    guard case .run(let invocation)? = try? Request(CommandLineArguments(parsing: arguments)) else {
        exit(99)
    }
    let disk = DiskReport(primary: "p", replica: "r", blockSize: 65536)
    let run = JobRun(
        invocation: invocation, disks: [DiskRun(disk: disk, isWriting: true, work: work)],
        summary: { report, _ in "\(report.counts.blocksDiffering) differ\n" })
    exit(run.run().exitStatus)
}

/// Waits, as the engine does at every block, until it is asked to stop; a test that hangs fails.
private func waitForStop(_ monitor: ResyncMonitor) throws(ResyncError) {
    for _ in 0..<2000 {
        if let reason = monitor.stopReason { throw .stopped(reason) }
        usleep(10_000)
    }
}

/// What one written block looks like in the monitor.
private func writeOneBlock(_ monitor: ResyncMonitor) {
    monitor.setDisk(1 << 20, blockSize: 65536)
    monitor.begin(.comparing, bytesToDo: 1 << 20)
    monitor.note(.halfWritten)
    var counts = ResyncCounts()
    counts.blocksCompared = 8
    counts.blocksDiffering = 2
    counts.bytesWritten = 65536
    counts.bytesCompared = 512 << 10
    counts.bytesDone = 512 << 10
    monitor.add(counts)
}

@Suite struct JobRunTests {
    private func output(_ result: ExitTest.Result?) -> String {
        String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    }

    private func error(_ result: ExitTest.Result?) -> String {
        String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    }

    @Test func successPrintsTheSummary() async {
        let result = await #expect(
            processExitsWith: .success,
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            run { _ in
                var report = DiskReport(primary: "p", replica: "r", blockSize: 65536)
                report.counts.blocksDiffering = 7
                return report
            }
        }
        #expect(output(result).contains("7 differ\n"))
        #expect(!error(result).contains("vhdresync"))
    }

    @Test func quietPrintsNothing() async {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            run("p r -q") { _ in DiskReport(primary: "p", replica: "r", blockSize: 65536) }
        }
        #expect(!output(result).contains("differ"))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func firstSignalStopsInAnOrderlyWay(_ number: Int32) async throws {
        let result = await #expect(
            processExitsWith: .exitCode(1),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { [number] in
            run("p r --json") { (monitor) throws(ResyncError) in
                writeOneBlock(monitor)
                kill(getpid(), number)
                try waitForStop(monitor)
                return DiskReport(primary: "p", replica: "r", blockSize: 65536)
            }
        }
        let sentence =
            "stopped on request; the replica is half-written, and refuses to open until "
            + "'vhdresync recover r', or the next run, has finished it"
        #expect(error(result).contains("vhdresync: \(sentence)\n"))
        let output = output(result)
        let object = try JSONKeys.object(String(output.drop { $0 != "{" }))
        #expect(object["returnValue"] as? Int == 32768)
        let job = try #require(object["job"] as? [String: Any])
        #expect(job["jobState"] as? Int == 8)
        #expect(job["percentComplete"] as? Int == 50)
        #expect(job["errorDescription"] as? String == sentence)
        let disk = try #require((object["disks"] as? [[String: Any]])?.first)
        #expect(Set(disk.keys) == JSONKeys.disk)
        #expect(disk["blocksDiffering"] as? Int == 2)
        #expect(disk["bytesWritten"] as? Int == 65536)
        let phases = try #require(disk["phases"] as? [String: [String: Int]])
        #expect(Set(phases.keys) == JSONKeys.phases)
        #expect(phases["comparing"] == ["bytes": 512 << 10])
    }

    @Test func secondSignalEndsTheProcessAtOnce() async {
        let result = await #expect(
            processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
        ) {
            run { monitor in
                kill(getpid(), SIGINT)
                while monitor.stopReason == nil { usleep(1000) }
                kill(getpid(), SIGTERM)
                sleep(20)
                exit(98)
            }
        }
        #expect(!error(result).contains("stopped"))
    }

    @Test func ignoredSignalStaysIgnored() async {
        await #expect(processExitsWith: .success) {
            signal(SIGHUP, SIG_IGN)
            run { monitor in
                kill(getpid(), SIGHUP)
                usleep(100_000)
                if monitor.stopReason != nil { exit(98) }
                return DiskReport(primary: "p", replica: "r", blockSize: 65536)
            }
        }
    }

    @Test func timeLimitEndsInItsOwnCode() async throws {
        let result = await #expect(
            processExitsWith: .exitCode(5),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            run("p r --timeout 0.05 --json") { (monitor) throws(ResyncError) in
                try waitForStop(monitor)
                return DiskReport(primary: "p", replica: "r", blockSize: 65536)
            }
        }
        #expect(
            error(result)
                .contains("stopped: the time limit was reached; the replica is as it was"))
        let output = output(result)
        let object = try JSONKeys.object(String(output.drop { $0 != "{" }))
        #expect(object["returnValue"] as? Int == 32772)
        #expect((object["job"] as? [String: Any])?["jobState"] as? Int == 10)
    }

    @Test func progressEventsEndWithTheLastState() async throws {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) {
            run("p r --progress json") { monitor in
                writeOneBlock(monitor)
                monitor.begin(.finished)
                return DiskReport(primary: "p", replica: "r", blockSize: 65536)
            }
        }
        let lines = error(result).split(separator: "\n")
        let last = try #require(lines.last { $0.hasPrefix("{") })
        let event = try JSONKeys.object(String(last))
        #expect(event["phase"] as? String == "finished")
        #expect(event["percentComplete"] as? Int == 100)
    }
}
