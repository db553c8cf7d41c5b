import FoundationEssentials
import TestSupport
import Testing
import Transport

@testable import Replication
@testable import Resync
@testable import VHDResyncCommand

/// A sample of a 4 GiB disk.
private func sample(
    _ phase: ResyncPhase = .comparing, at seconds: Double, done: UInt64, read: UInt64 = 0,
    differing: UInt64 = 0, stopping: Bool = false, toDo: UInt64? = nil
) -> ProgressSample {
    var counts = ResyncCounts()
    counts.virtualSize = phase == .opening ? 0 : 4 << 30
    counts.bytesDone = done
    counts.bytesToDo = toDo ?? counts.virtualSize
    counts.bytesRead = read
    counts.blocksDiffering = differing
    return ProgressSample(
        phase: phase, counts: counts, isStopping: stopping, elapsedSeconds: seconds,
        percentComplete: 0)
}

@Suite struct ProgressSampleTests {
    /// A disk of 4 GiB, a piece of work at a time.
    private struct Run {
        let monitor = ResyncMonitor()
        var options = ResyncOptions(workerCount: 1)

        func begin(_ phase: ResyncPhase, bytesToDo: UInt64 = 4 << 30) {
            monitor.begin(phase, bytesToDo: bytesToDo)
        }

        func add(_ done: UInt64) {
            var counts = ResyncCounts()
            counts.bytesDone = done
            monitor.add(counts)
        }

        var percents: [UInt16] {
            let sample = ProgressSample(monitor, elapsed: .zero)
            return [sample.percentOfPhase, sample.percentComplete]
        }
    }

    @Test func percentOfTheJobCoversAllPhases() {
        let run = Run()
        #expect(run.percents == [0, 0])
        run.monitor.expect(.resync(run.options))
        run.begin(.comparing)
        #expect(run.percents == [0, 0])
        run.add(2 << 30)
        #expect(run.percents == [50, 30])
        run.add(2 << 30)
        #expect(run.percents == [100, 60])
        run.begin(.applying, bytesToDo: 300 << 20)
        #expect(run.percents == [0, 60])
        run.add(150 << 20)
        #expect(run.percents == [50, 70])
        run.add(150 << 20)
        run.begin(.verifying, bytesToDo: 300 << 20)
        #expect(run.percents == [0, 80])
        // More than was thought of.
        run.add(400 << 20)
        #expect(run.percents == [100, 100])
        run.begin(.finished)
        #expect(run.percents == [100, 100])
    }

    @Test func aWholeVerificationIsAThird() {
        var run = Run()
        run.options.verifiesWholeReplica = true
        for method in [WriteMethod.journal, .clone] {
            run.options.writeMethod = method
            let plan = JobPlan.resync(run.options)
            #expect(plan.verifying < 0.67 && plan.applying < plan.verifying)
        }
        run.options.writeMethod = .inPlace
        run.monitor.expect(.resync(run.options))
        run.begin(.comparing)
        run.add(4 << 30)
        #expect(run.percents == [100, 66])
        run.monitor.expect(.looking)
        run.begin(.verifying)
        #expect(run.percents == [0, 66])
        run.add(2 << 30)
        #expect(run.percents == [50, 83])
        run.options.isDryRun = true
        #expect(JobPlan.resync(run.options) == .looking)
    }

    @Test("Progress of the job never goes back, whatever comes first or is done again")
    func neverGoesBack() {
        let run = Run()
        var last: UInt16 = 0
        func check(_ comment: Comment) {
            let percent = run.percents[1]
            #expect(percent >= last, comment)
            last = percent
        }
        run.monitor.expect(.recoveryBefore)
        for phase in [ResyncPhase.comparing, .applying, .verifying] {
            run.begin(phase, bytesToDo: 7)
            check("recovery")
            run.add(7)
            check("recovery")
        }
        #expect(last == 10)
        run.monitor.expect(.resync(run.options))
        for _ in 0..<2 {
            run.begin(.comparing)
            check("comparing")
            run.add(3 << 30)
            check("comparing")
        }
        for phase in [ResyncPhase.applying, .verifying, .verifying] {
            run.begin(phase, bytesToDo: 0)
            check("nothing to do")
            run.begin(phase, bytesToDo: 9)
            run.add(9)
            check("something")
        }
        #expect(last == 100)
    }

    @Test func monitorThatHasNotBegunIsOpening() {
        let monitor = ResyncMonitor()
        let opening = ProgressSample(monitor, elapsed: .milliseconds(250))
        #expect(opening.activity == "opening")
        #expect(opening.elapsedSeconds == 0.25)
        #expect(opening.percentOfPhase == 0)
        monitor.requestStop(.timeout)
        #expect(ProgressSample(monitor, elapsed: .zero).activity == "stopping")
    }
}

@Suite struct RateEstimatorTests {
    @Test func knowsNothingAtFirst() {
        var rates = RateEstimator()
        #expect(rates.bytesReadPerSecond == nil)
        rates.add(sample(at: 0, done: 0))
        rates.add(sample(at: 0.2, done: 1 << 30, read: 2 << 30))
        #expect(rates.bytesReadPerSecond == nil)
        #expect(rates.secondsLeft == nil)
    }

    @Test func followsTheLastSeconds() {
        var rates = RateEstimator()
        // 1 GiB in the first 10 s, then another in 2 s.
        for tick in 0...10 {
            rates.add(sample(at: Double(tick), done: UInt64(tick) << 30 / 10, read: 0))
        }
        #expect(rates.secondsLeft == 30)
        for tick in 1...60 {
            let done: UInt64 = (1 << 30) + UInt64(tick) << 20 * 50
            rates.add(sample(at: 10 + Double(tick) / 5, done: done, read: done * 2))
        }
        // The window lies wholly in the fast part: 250 MiB of disk a second.
        let left = (4 << 30) - ((1 << 30) + 60 << 20 * 50)
        #expect(rates.secondsLeft == Double(left) / (250 * 0x1p20))
        #expect(rates.bytesReadPerSecond == 500 * 0x1p20)
    }

    @Test func startsAnewWithEachPhase() {
        var rates = RateEstimator()
        rates.add(sample(at: 0, done: 0))
        rates.add(sample(at: 5, done: 4 << 30, read: 8 << 30))
        rates.add(sample(.verifying, at: 5.2, done: 1, read: 8 << 30))
        #expect(rates.secondsLeft == nil)
        #expect(rates.bytesReadPerSecond == nil)
    }

    @Test func standstillHasNoEnd() {
        var rates = RateEstimator()
        rates.add(sample(at: 0, done: 7))
        rates.add(sample(at: 5, done: 7))
        #expect(rates.secondsLeft == nil)
        #expect(rates.bytesReadPerSecond == 0)
    }
}

@Suite struct ProgressLineTests {
    /// Half of the disk in one second.
    private var rates: RateEstimator {
        var rates = RateEstimator()
        rates.add(sample(at: 0, done: 0))
        rates.add(sample(at: 1, done: 2 << 30, read: 4 << 30, differing: 355))
        return rates
    }

    private func line(_ columns: Int) -> String {
        ProgressLine.bar(sample(at: 1, done: 2 << 30, differing: 355), rates, columns: columns)
    }

    @Test func showsAllThatTheTerminalHasRoomFor() {
        let cells = String(repeating: "#", count: 20) + String(repeating: "-", count: 20)
        let tail = "2.0 of 4.0 GiB  355 differ  4.0 GiB/s  ETA 0:01"
        #expect(line(200) == "comparing  50%  [\(cells)]  \(tail)")
        #expect(line(80) == "comparing  50%  [######------]  \(tail)")
        #expect(line(73) == "comparing  50%  \(tail)")
        #expect(line(64) == "comparing  50%  \(tail)")
        let withoutRate = "2.0 of 4.0 GiB  355 differ  ETA 0:01"
        #expect(line(63) == "comparing  50%  [###---]  \(withoutRate)")
        #expect(line(53) == "comparing  50%  \(withoutRate)")
        #expect(line(52) == "comparing  50%  [#####------]  355 differ  ETA 0:01")
        #expect(line(36) == "comparing  50%  355 differ")
        #expect(line(26) == "comparing  50%  [###----]")
        #expect(line(15) == "comparing  50%")
        #expect(line(8) == "compari")
    }

    @Test func leavesTheLastColumnFree() {
        for columns in 1...300 {
            #expect(line(columns).count <= max(columns - 1, 1), "\(columns)")
        }
    }

    @Test func barFillsAtTheEndAlone() {
        for (done, percent) in [(0, 0), (4 << 30 - 1, 99), (4 << 30, 100)] as [(UInt64, Int)] {
            let line = ProgressLine.bar(
                sample(at: 0, done: done), RateEstimator(), columns: 300)
            #expect(line.contains("\(percent)%"))
            #expect(line.filter { $0 == "#" }.count == 40 * percent / 100)
        }
    }

    @Test func diskThatIsNotOpenHasNoNumbers() {
        let opening = sample(.opening, at: 0, done: 0)
        #expect(ProgressLine.bar(opening, RateEstimator(), columns: 80) == "opening")
        #expect(ProgressLine.plain(opening, RateEstimator()) == "opening")
    }

    @Test func plainLineSaysTheSame() {
        let now = sample(at: 1, done: 2 << 30, differing: 355)
        #expect(
            ProgressLine.plain(now, rates)
                == "comparing: 50 %, 2.0 of 4.0 GiB, 355 differ, 4.0 GiB/s, ETA 0:01")
    }

    @Test func writingHasItsOwnTotalAndRate() {
        var rates = RateEstimator()
        rates.add(sample(.applying, at: 0, done: 0, read: 7 << 30, toDo: 300 << 20))
        let now = sample(
            .applying, at: 1, done: 60 << 20, read: 7 << 30, differing: 4800, toDo: 300 << 20)
        rates.add(now)
        #expect(
            ProgressLine.plain(now, rates)
                == "applying: 20 %, 60.0 of 300.0 MiB, 4800 differ, 60.0 MiB/s, ETA 0:04")
        #expect(ProgressLine.bar(now, rates, columns: 40).hasPrefix("applying  20%  "))
    }
}

@Suite struct ProgressPrinterTests {
    @Test func styleFollowsChoiceAndTerminal() {
        let cases: [(ProgressChoice, Bool, Bool, ProgressStyle)] = [
            (.auto, false, true, .bar), (.auto, false, false, .plain),
            (.plain, false, true, .plain),
            (.json, false, true, .json), (.none, false, true, .none), (.auto, true, true, .none),
            (.json, true, false, .none),
        ]
        for (choice, quiet, terminal, style) in cases {
            #expect(ProgressStyle(choice, isQuiet: quiet, isTerminal: terminal) == style)
        }
    }

    @Test func barIsDrawnOverItselfAndErased() {
        var printer = ProgressPrinter(style: .bar)
        let text = printer.text(for: sample(at: 0.2, done: 0), columns: 80)
        #expect(text?.hasPrefix("\rcomparing   0%") == true)
        #expect(text?.hasSuffix("\u{1B}[K") == true)
        #expect(text?.contains("\n") == false)
        #expect(printer.end(sample(.finished, at: 1, done: 0)) == "\r\u{1B}[K")
    }

    @Test func runTooShortForABarLeavesNothing() {
        var printer = ProgressPrinter(style: .bar)
        #expect(printer.end(sample(.finished, at: 0.1, done: 0)) == nil)
    }

    @Test func plainLinesAreFew() {
        var printer = ProgressPrinter(style: .plain)
        var lines: [String] = []
        // An hour of comparing, then an hour of verifying, at 5 Hz.
        for phase in [ResyncPhase.opening, .comparing, .verifying] {
            for tick in 0..<18_000 {
                let done = UInt64(tick) * (4 << 30) / 18_000
                let seconds = Double(phase.rawValue * 18_000 + tick) / 5
                let text = printer.text(for: sample(phase, at: seconds, done: done), columns: 80)
                if let text { lines.append(text) }
            }
        }
        #expect(lines.count == 20)
        #expect(lines.first == "vhdresync: comparing: 0 %, 0.0 of 4.0 GiB, 0 differ\n")
        #expect(lines.allSatisfy { $0.hasSuffix("\n") })
        #expect(printer.end(sample(.finished, at: 1, done: 0)) == nil)
    }

    @Test func plainLinesShowAStandstill() {
        var printer = ProgressPrinter(style: .plain)
        let due = (0..<2000).filter { second in
            printer.text(for: sample(at: Double(second), done: 0), columns: 80) != nil
        }
        #expect(due == [0, 600, 1200, 1800])
    }

    @Test func requestToStopIsShownAtOnce() {
        var printer = ProgressPrinter(style: .plain)
        _ = printer.text(for: sample(at: 0, done: 0), columns: 80)
        let text = printer.text(for: sample(at: 0.2, done: 0, stopping: true), columns: 80)
        #expect(text?.hasPrefix("vhdresync: stopping: 0 %") == true)
    }

    @Test func eventsAreLinesOfJSONWithAllKeys() throws {
        var printer = ProgressPrinter(style: .json)
        let texts = [
            printer.text(for: sample(.opening, at: 0, done: 0), columns: 80),
            printer.text(for: sample(.opening, at: 0.9, done: 0), columns: 80),
            printer.text(for: sample(at: 0.9, done: 1, read: 2, differing: 3), columns: 80),
            printer.text(for: sample(at: 1.8, done: 2), columns: 80),
            printer.text(for: sample(at: 2, done: 2 << 30, read: 9), columns: 80),
            printer.end(sample(.finished, at: 3, done: 4 << 30)),
        ]
        #expect(texts.map { $0 == nil } == [false, true, false, true, false, false])
        for text in texts.compactMap(\.self) {
            #expect(text.hasSuffix("}\n"))
            #expect(text.filter { $0 == "\n" }.count == 1)
            #expect(try JSONKeys.keys(of: text) == JSONKeys.progressEvent)
        }
        #expect(texts[0]?.contains("\"etaSeconds\":null") == true)
        #expect(texts[0]?.contains("\"phase\":\"opening\"") == true)
        #expect(texts[2]?.contains("\"blocksDiffering\":3") == true)
        #expect(texts[5]?.contains("\"phase\":\"finished\"") == true)
    }

    @Test func otherCallsOfAHostAreToldOnce() throws {
        var sample = sample(at: 3, done: 0)
        sample.retry = Retry(
            host: "other", error: .connection(.ended(peer: "other")), number: 2, limit: 5,
            seconds: 4)
        let line =
            "vhdresync: \(ResyncError.connection(.ended(peer: "other"))); "
            + "other is called again in 4.0 s, try 2 of 5\n"
        var plain = ProgressPrinter(style: .plain)
        #expect(plain.text(for: sample, columns: 80)?.hasPrefix(line + "vhdresync: comp") == true)
        #expect(plain.text(for: sample, columns: 80) == nil)
        sample.retry?.number = 3
        #expect(plain.text(for: sample, columns: 80)?.contains("try 3 of 5\n") == true)

        var bar = ProgressPrinter(style: .bar)
        #expect(bar.text(for: sample, columns: 80)?.hasPrefix("vhdresync: ") == true)
        sample.retry?.number = 4
        #expect(bar.text(for: sample, columns: 80)?.hasPrefix("\r\u{1B}[Kvhdresync: ") == true)

        var json = ProgressPrinter(style: .json)
        let texts = json.text(for: sample, columns: 80)?.split(separator: "\n").map(String.init)
        #expect(try texts?.map(JSONKeys.keys) == [JSONKeys.retryEvent, JSONKeys.progressEvent])
        #expect(texts?.first?.contains("\"attempt\":4,\"attempts\":5,") == true)
    }

    @Test func noneWritesNothing() {
        var printer = ProgressPrinter(style: .none)
        #expect(printer.text(for: sample(at: 0, done: 0), columns: 80) == nil)
        var retried = sample(at: 1, done: 0)
        retried.retry = Retry(
            host: "other", error: .connection(.closed), number: 1, limit: 1, seconds: 1)
        #expect(printer.text(for: retried, columns: 80) == nil)
        #expect(printer.end(sample(.finished, at: 0, done: 0)) == nil)
    }
}
