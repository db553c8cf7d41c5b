import Testing

@testable import Replication

@Suite("Figures and pace of a job")
struct JobFiguresTests {
    private func report(_ trial: JobTrial, _ share: Double) {
        let figures = JobFigures(
            bytesCompared: UInt64(max(share, 0) * 1000), bytesDiffering: 7,
            bytesSent: UInt64(max(share, 0) * 100))
        trial.job.report(figures, share: share)
    }

    @Test("A job says what it has done, how fast it is, and how long it will take")
    func pace() {
        let trial = JobTrial()
        #expect(trial.properties.figures == JobFigures())
        trial.job.start()
        report(trial, 0)
        #expect(trial.properties.timeLeft == nil)
        trial.wait(seconds: 2)
        report(trial, 0.25)
        let properties = trial.properties
        #expect(properties.percentComplete == 25)
        #expect(
            properties.figures
                == JobFigures(bytesCompared: 250, bytesDiffering: 7, bytesSent: 25))
        #expect(properties.bytesComparedPerSecond == 125)
        #expect(properties.bytesSentPerSecond == 12.5)
        #expect(properties.timeLeft == .seconds(6))
    }

    @Test("The pace is that of the last ten seconds")
    func window() {
        let trial = JobTrial()
        trial.job.start()
        for second in 0...20 {
            report(trial, second <= 10 ? 0 : Double(second - 10) / 100)
            trial.wait(seconds: 1)
        }
        let left = trial.properties.timeLeft
        #expect(left.map { abs($0 / .seconds(1) - 90) < 1e-6 } == true)
    }

    @Test("A job that does not work has no pace")
    func noPace() {
        let trial = JobTrial()
        trial.job.start()
        report(trial, 0)
        trial.wait(seconds: 1)
        report(trial, 0.5)
        #expect(trial.properties.timeLeft != nil)
        trial.job.suspend()
        #expect(trial.properties.timeLeft == nil)
        #expect(trial.properties.bytesComparedPerSecond == nil)
        trial.wait(seconds: 100)
        trial.job.resume()
        report(trial, 0.5)
        #expect(trial.properties.timeLeft == nil)
        trial.wait(seconds: 1)
        report(trial, 0.75)
        #expect(trial.properties.timeLeft == .seconds(1))
        trial.job.complete()
        #expect(trial.properties.timeLeft == nil)
        #expect(trial.properties.bytesSentPerSecond == nil)
        #expect(trial.properties.figures.bytesCompared == 750)
        report(trial, 0.8)
        #expect(trial.properties.figures.bytesCompared == 750)
    }

    @Test(
        "Any share is a percentage that does not fall",
        arguments: [
            (0.1, 10), (0.05, 10), (-1, 10), (.nan, 10), (.infinity, 99), (2, 99), (0.999, 99),
            (-.infinity, 10),
        ] as [(Double, UInt16)])
    func anyShare(_ share: Double, _ expected: UInt16) {
        let trial = JobTrial()
        trial.job.start()
        trial.job.report(JobFigures(), share: 0.1)
        trial.wait(seconds: 1)
        trial.job.report(JobFigures(), share: share)
        #expect(trial.properties.percentComplete == expected)
        _ = trial.properties.timeLeft
    }

    @Test("What would take longer than anybody waits is unknown")
    func centuries() {
        let trial = JobTrial()
        trial.job.start()
        trial.job.report(JobFigures(), share: 0)
        trial.wait(seconds: 1)
        trial.job.report(JobFigures(), share: 1e-300)
        #expect(trial.properties.timeLeft == nil)
    }

    @Test("A rate needs half a second, and forgets")
    func movingRate() {
        var rate = MovingRate()
        #expect(rate.perSecond == nil)
        rate.add(10, atSeconds: 0)
        #expect(rate.perSecond == nil)
        rate.add(20, atSeconds: 0.25)
        #expect(rate.perSecond == nil)
        rate.add(30, atSeconds: 0.5)
        #expect(rate.perSecond == 40)
        rate.add(0, atSeconds: 1)
        #expect(rate.perSecond == 0)
        rate.forget()
        #expect(rate.perSecond == nil)
    }
}
