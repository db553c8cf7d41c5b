import FoundationEssentials
import Resync
import Testing

@testable import VHDResyncCommand

/// A sample of a 4 GiB disk.
private func sample(
    _ phase: ResyncPhase = .comparing, at seconds: Double, done: UInt64, read: UInt64 = 0,
    differing: UInt64 = 0, stopping: Bool = false
) -> ProgressSample {
    var counts = ResyncCounts()
    counts.virtualSize = phase == .opening ? 0 : 4 << 30
    counts.bytesDone = done
    counts.bytesRead = read
    counts.blocksDiffering = differing
    return ProgressSample(
        phase: phase, counts: counts, isStopping: stopping, elapsedSeconds: seconds,
        percentComplete: 0)
}

@Suite struct ProgressSampleTests {
    @Test func percentOfTheJobCoversAllPhases() {
        func percent(_ phase: ResyncPhase, _ done: UInt64, verifies: Bool) -> UInt16 {
            ProgressSample.percentComplete(
                phase, sample(phase, at: 0, done: done).counts, verifies: verifies)
        }
        #expect(percent(.opening, 0, verifies: false) == 0)
        #expect(percent(.comparing, 0, verifies: false) == 0)
        #expect(percent(.comparing, 2 << 30, verifies: false) == 50)
        #expect(percent(.comparing, 4 << 30, verifies: false) == 100)
        #expect(percent(.comparing, 4 << 30, verifies: true) == 66)
        #expect(percent(.verifying, 0, verifies: true) == 66)
        #expect(percent(.verifying, 4 << 30, verifies: true) == 100)
        #expect(percent(.comparing, 5 << 30, verifies: false) == 100)
        #expect(percent(.finished, 0, verifies: true) == 100)
    }

    @Test func monitorThatHasNotBegunIsOpening() {
        let monitor = ResyncMonitor()
        let opening = ProgressSample(monitor, elapsed: .milliseconds(250), verifies: false)
        #expect(opening.activity == "opening")
        #expect(opening.elapsedSeconds == 0.25)
        #expect(opening.percentOfPhase == 0)
        monitor.requestStop(.timeout)
        #expect(ProgressSample(monitor, elapsed: .zero, verifies: false).activity == "stopping")
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

    @Test func noneWritesNothing() {
        var printer = ProgressPrinter(style: .none)
        #expect(printer.text(for: sample(at: 0, done: 0), columns: 80) == nil)
        #expect(printer.end(sample(.finished, at: 0, done: 0)) == nil)
    }
}
