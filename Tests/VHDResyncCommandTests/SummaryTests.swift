import Resync
import Testing

@testable import VHDResyncCommand

private func report(differing: UInt64, written: UInt64 = 0, verified: Bool = false) -> DiskReport {
    var report = DiskReport(primary: "p.vhdx", replica: "r.vhdx", blockSize: 65536)
    report.counts.virtualSize = 4 << 30
    report.counts.blocksTotal = 65536
    report.counts.blocksSkipped = 30000
    report.counts.blocksCompared = 35536
    report.counts.blocksDiffering = differing
    report.counts.bytesRead = 4 << 30
    report.counts.bytesWritten = written
    report.isVerified = verified
    return report
}

@Suite struct SummaryTests {
    private var options = ResyncOptions(workerCount: 1)

    private func headline(_ text: String) -> String { String(text.prefix { $0 != "\n" }) }

    private func lines(_ text: String) -> [String] {
        text.split(separator: "\n").dropFirst().map { $0.drop { $0 == " " } }.map(String.init)
    }

    @Test func saysWhatTheReplicaIsNow() {
        var report = report(differing: 355, written: 355 << 16, verified: true)
        report.counts.bytesRecorded = 12 << 20
        #expect(
            Summary.resync(report, .seconds(2), options) == """
                r.vhdx now reads as p.vhdx: verified
                  disk:      4.0 GiB, 65536 blocks of 64.0 KiB
                  empty:     30000 blocks, not read
                  compared:  35536 blocks, 4.0 GiB read
                  differing: 355 blocks
                  journal:   12.0 MiB, removed
                  written:   22.2 MiB
                  time:      2.0 s, 2.0 GiB/s read

                """)
    }

    @Test func saysOnWhichWayItWasWritten() {
        var options = options
        let report = report(differing: 16, written: 1 << 20, verified: true)
        #expect(lines(Summary.resync(report, .zero, options)).contains("written:   1.0 MiB"))
        options.writeMethod = .inPlace
        #expect(
            lines(Summary.resync(report, .zero, options)).contains("written:   1.0 MiB, in place"))
        options.writeMethod = .clone
        #expect(
            lines(Summary.resync(report, .zero, options))
                .contains("written:   1.0 MiB, to a clone that took its place"))
    }

    @Test func saysWhatAnEarlierRunHadLeft() {
        var held = report(differing: 9, written: 9 << 16, verified: true)
        held.counts.blocksHeld = 7
        #expect(
            lines(Summary.resync(held, .zero, options))
                .contains("held:      7 blocks, recorded by an earlier run and not read again"))
        var finished = report(differing: 0, written: 1 << 20, verified: true)
        finished.recovery = .finished(journal: "j")
        let text = Summary.resync(finished, .zero, options)
        #expect(headline(text) == "r.vhdx now reads as p.vhdx: verified")
        #expect(lines(text).contains("finished:  what j held from an earlier run"))
    }

    @Test func headlines() {
        var dry = options
        dry.isDryRun = true
        #expect(
            headline(Summary.resync(report(differing: 0), .zero, options))
                == "r.vhdx reads as p.vhdx already")
        #expect(
            headline(Summary.resync(report(differing: 1), .zero, dry))
                == "r.vhdx does not read as p.vhdx; dry run: nothing was written")
        #expect(headline(Summary.diff(report(differing: 1), .zero)) == "p.vhdx and r.vhdx differ")
        #expect(
            headline(Summary.diff(report(differing: 0), .zero))
                == "p.vhdx and r.vhdx read the same")
        var map = report(differing: 0)
        map.output = DiskReport.OutputFile(path: "m", byteCount: 1)
        #expect(headline(Summary.map(map, .zero)) == "m holds the digests of p.vhdx")
        #expect(
            headline(Summary.apply(report(differing: 2), .zero))
                == "r.vhdx now reads as p.vhdx says: verified")
        #expect(
            headline(Summary.apply(report(differing: 0), .zero))
                == "r.vhdx reads as p.vhdx says already")
    }

    @Test func outcomesOfARecovery() {
        var report = report(differing: 12, written: 12 << 16, verified: true)
        #expect(
            Summary.recovery(report, .zero) == "r.vhdx is whole: there is nothing to recover\n")
        report.recovery = .unfinishedJournal("r.vhdx.resync")
        #expect(
            Summary.recovery(report, .zero) == """
                r.vhdx is whole: there is nothing to recover
                  journal: r.vhdx.resync, unfinished: the next run goes on with it

                """)
        report.recovery = .finished(journal: "r.vhdx.resync")
        report.counts.blocksHeld = 12
        #expect(
            Summary.recovery(report, .milliseconds(50)) == """
                r.vhdx is whole again: verified
                  disk:     4.0 GiB, 65536 blocks of 64.0 KiB
                  recorded: 12 blocks
                  finished: what r.vhdx.resync held from an earlier run
                  written:  768.0 KiB
                  time:     0.1 s

                """)
    }

    @Test func namesTheFileThatWasMade() {
        var diff = report(differing: 3)
        diff.output = DiskReport.OutputFile(path: "d\u{7}.delta", byteCount: 198_000)
        let text = Summary.diff(diff, .zero)
        #expect(lines(text).contains("file:      d\\u{7}.delta, 193.4 KiB"))
        #expect(lines(Summary.map(diff, .zero)).contains { $0.hasPrefix("file: ") })
    }

    @Test func saysWhetherAMapWasTrusted() {
        var map = report(differing: 0)
        map.counts.bytesRead = 0
        map.reuse = .reused
        #expect(
            Summary.map(map, .zero) == """
                 holds the digests of p.vhdx
                  disk:   4.0 GiB, 65536 blocks of 64.0 KiB
                  reused: nothing has changed since: 0 bytes read
                  time:   0.0 s

                """)
        for reason in MapReuse.Reason.allCases {
            map.reuse = .notReused(reason)
            let last = lines(Summary.map(map, .zero)).dropLast().last
            #expect(last?.hasPrefix("not reused: ") == true, "\(reason)")
        }
    }

    @Test func shortRunHasNoRateAndAComparisonWritesNothing() {
        let text = Summary.diff(report(differing: 1), .milliseconds(50))
        #expect(text.hasSuffix("time:      0.1 s\n"))
        #expect(!text.contains("written"))
        #expect(!Summary.map(report(differing: 0), .zero).contains("differing"))
    }
}
