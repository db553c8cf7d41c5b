import Foundation
import Storage
import Testing

@testable import Replication

@Suite("Resynchronization without being asked")
struct AutomaticResynchronizationTests {
    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    private func window(_ start: Int, _ end: Int) throws -> AutoResynchronizeWindow {
        try AutoResynchronizeWindow(
            isEnabled: true, start: CIMInterval(.seconds(start)), end: CIMInterval(.seconds(end)))
    }

    @Test("What is in state 9 begins when its window opens, and nothing else does")
    func opens() throws {
        // From 18:30 to 06:00; it is 08:00.
        let nightly = try window(18 * 3600 + 1800, 6 * 3600)
        let trial = try ServiceTrial([
            Inventory.machine(1, window: nightly), Inventory.machine(2),
            Inventory.machine(3, window: nightly),
        ])
        try trial.put(3, .critical)
        #expect(trial.service.advance() == time(10 * 3600 + 1800))
        trial.wait(until: time(10 * 3600 + 1799))
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 1)
        #expect(trial.runner.begun == ["vm1"])
        let job = try #require(trial.service.jobs.first)
        #expect(job.properties.owner == ReplicationService.automaticOwner)
        #expect(job.properties.jobState == .running)
        #expect(trial.call(1).job === job)
        #expect(try trial.store.job(job.properties.instanceID)?.attemptCount == 1)
    }

    @Test("What needs it in the midst of the window begins at once")
    func inTheMidst() throws {
        let trial = try ServiceTrial([Inventory.machine(1, window: window(7 * 3600, 9 * 3600))])
        #expect(trial.runner.begun == ["vm1"])
    }

    @Test("Other attempts wait for the window, and those that somebody has asked for do not")
    func retries() throws {
        // Until 08:10:00.
        let short = try window(7 * 3600, 8 * 3600 + 600)
        let trial = try ServiceTrial([Inventory.machine(1, window: short)])
        trial.end(1, ServiceTrial.network)
        trial.wait(seconds: 60)
        trial.wait(seconds: 530)
        #expect(trial.runner.begun == ["vm1", "vm1"])
        // 08:09:50, so that 2 minutes later the window is closed.
        trial.end(1, ServiceTrial.network)
        #expect(try trial.relationship(1)?.nextAttemptTime == time(23 * 3600))
        trial.wait(seconds: 600)
        trial.call(1)
        trial.end(1, ServiceTrial.network)
        #expect(try trial.relationship(1)?.nextAttemptTime == trial.date + 60)
        trial.wait(seconds: 60)
        #expect(trial.runner.begun.count == 4)
    }

    @Test("Forty machines in one window: those that did not come to begin wait for the next night")
    func forty() throws {
        let night = try window(22 * 3600, 23 * 3600)
        let trial = try ServiceTrial(
            (1...40).map { Inventory.machine($0, window: night) }, limit: 4)
        trial.wait(until: time(14 * 3600))
        for number in 1...10 {
            #expect(trial.runner.running.count <= 4)
            trial.end(number)
        }
        // No job waits that nobody has asked for.
        #expect(trial.service.jobs.count == 14)
        trial.wait(until: time(15 * 3600 + 1))
        for number in 11...14 { trial.end(number) }
        #expect(trial.runner.running.isEmpty)
        #expect(trial.service.advance() == time(15 * 3600 + 1 + 300))
        trial.wait(until: time(38 * 3600))
        #expect(trial.runner.running == ["vm15", "vm16", "vm17", "vm18"])
    }

    @Test("In the nights in which clocks change the window opens when they first show its start")
    func daylightSaving() throws {
        let berlin = try #require(TimeZone(identifier: "Europe/Berlin"))
        func date(_ text: String) throws -> Date {
            try #require(try CIMTimestamp(parsing: text).date(inZoneOfServer: berlin))
        }
        // 02:30 is skipped on 28 March 2027, and comes twice on 31 October 2027.
        for (before, opening) in [
            ("20270328012959.000000+060", "20270328010000.000000+000"),
            ("20271031022959.000000+120", "20271031003000.000000+000"),
        ] {
            let trial = try ServiceTrial(
                [Inventory.machine(1, window: window(9000, 6 * 3600))], zone: berlin,
                at: date(before))
            #expect(trial.runner.begun.isEmpty)
            #expect(try trial.service.advance() == date(opening))
            trial.wait(until: try date(opening))
            #expect(trial.runner.begun == ["vm1"])
        }
    }

    @Test("Over midnight the window is one")
    func midnight() throws {
        let trial = try ServiceTrial(
            [Inventory.machine(1, window: window(23 * 3600, 3600))], at: time(16 * 3600 + 1800))
        #expect(trial.runner.begun == ["vm1"])
    }

    @Test("What was stopped on request is not begun again while its window is open")
    func stopped() throws {
        let trial = try ServiceTrial([
            Inventory.machine(1, window: window(7 * 3600, 12 * 3600))
        ])
        let job = try #require(trial.service.jobs.first)
        #expect(job.requestStateChange(.terminate) == .transitionStarted)
        trial.wait(seconds: 1)
        trial.end(1, .stopped("asked"))
        trial.wait(seconds: 3600)
        #expect(trial.runner.begun.count == 1)
        try trial.restart()
        trial.wait(until: time(23 * 3600 - 1))
        #expect(trial.runner.begun.isEmpty)
        trial.wait(seconds: 1)
        #expect(trial.runner.begun == ["vm1"])
    }
}
