import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication
@testable import VHDResyncCommand

@Suite struct JobWatchTests {
    /// A job, changed by who asks for it.
    private func job(_ change: (inout ConcreteJob.Properties) -> Void = { _ in }) -> JobObject {
        var properties = ConcreteJob(elementName: "mail").properties
        properties.jobState = .running
        properties.activity = "comparing"
        change(&properties)
        let id = ReplicationRelationshipID(machineID: .zero, kind: .primary)
        return JobObject(StoredJob(properties, of: id))
    }

    private func job(
        percent: UInt16, seconds: Int = 0, activity: String = "comparing"
    ) -> JobObject {
        job {
            $0.percentComplete = percent
            $0.elapsedTime = .seconds(seconds)
            $0.activity = activity
        }
    }

    @Test func plainLinesAreFew() {
        var progress = JobProgress(style: .plain)
        let jobs: [(JobObject, String?)] = [
            (job(percent: 0), "vhdresync: comparing 0%\n"), (job(percent: 0), nil),
            (job(percent: 50, seconds: 4), nil), (job(percent: 9, seconds: 300), nil),
            (job(percent: 50, seconds: 5), "vhdresync: comparing 50%\n"),
            (job(percent: 51, seconds: 6, activity: "applying"), "vhdresync: applying 51%\n"),
            (job(percent: 51, seconds: 605, activity: "applying"), nil),
            (job(percent: 51, seconds: 606, activity: "applying"), "vhdresync: applying 51%\n"),
        ]
        for (job, expected) in jobs {
            let line = progress.text(for: job, columns: 80)
            #expect(line == expected)
        }
        let end = progress.end()
        #expect(end == nil)
    }

    @Test func aLineSaysWhatIsKnown() {
        var progress = JobProgress(style: .plain)
        let text = progress.text(
            for: job {
                $0.percentComplete = 45
                $0.figures = JobFigures(
                    bytesCompared: 5 << 30, bytesDiffering: 3 << 20, bytesSent: 1024)
                $0.bytesComparedPerSecond = 1e6
                $0.timeLeft = .seconds(70)
            }, columns: 80)
        #expect(
            text == "vhdresync: comparing 45%, 5.0 GiB compared, 3.0 MiB differ, 1.0 KiB sent, "
                + "976.6 KiB/s, ETA 1:10\n")
    }

    @Test func aWaitingJobSaysForWhat() {
        var progress = JobProgress(style: .plain)
        let date = Date.now + 86400
        let waiting = job {
            $0.jobState = .new
            $0.scheduledStartTime = date
        }
        let time = ControlText.time("\(CIMTimestamp(date))")
        let until = progress.text(for: waiting, columns: 80)
        #expect(until == "vhdresync: waits until \(time)\n")
        let next = job { $0.jobState = .new }
        var other = JobProgress(style: .plain)
        let turn = other.text(for: next, columns: 80)
        #expect(turn == "vhdresync: waits for its turn\n")
    }

    @Test func aBarFitsItsTerminalAndGoes() {
        var progress = JobProgress(style: .bar)
        for columns in [1, 2, 10, 80] {
            let text = progress.text(for: job { $0.activity = "a\u{1B}[2J" }, columns: columns)
            let line = text?.dropFirst().dropLast(3)
            #expect((line?.count ?? .max) <= max(columns - 1, 1))
            #expect(line?.contains("\u{1B}") == false)
        }
        let end = progress.end()
        #expect(end == ProgressPrinter.erasing)
        var quiet = JobProgress(style: .none)
        let nothing = [quiet.text(for: job(), columns: 80), quiet.end()]
        #expect(nothing == [nil, nil])
    }

    @Test func aProgramGetsTheJob() throws {
        var progress = JobProgress(style: .json)
        let text = progress.text(for: job(percent: 7), columns: 80) ?? ""
        #expect(try JSONKeys.object(text)["PercentComplete"] as? Int == 7)
        #expect(text.filter { $0 == "\n" }.count == 1 && text.hasSuffix("\n"))
    }
}
