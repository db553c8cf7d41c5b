import CVHDResync
import Foundation
import Glibc
import TestSupport
import Testing

/// A replication service, through the functions that C calls.
@Suite struct ServiceTests {
    private func object(_ json: String?) throws -> [String: Any] {
        try JSONKeys.object(try #require(json))
    }

    @Test func aMachineIsResynchronizedAndWatched() throws {
        let pair = try DiskPair()
        let machine = try ServiceMachine(pair)
        let service = try #require(ServiceHandle.start(machine, "state").value)
        let started = service.resynchronize("vm1")
        #expect(started.code == VHDRESYNC_JOB_STARTED)
        let job = try #require(started.value)
        let recorder = ProgressRecorder()
        let ended = service.wait(for: job, recorder)
        #expect(ended.code == VHDRESYNC_COMPLETED && ended.error.isEmpty)
        #expect(try pair.replicaIsCurrent())
        let last = try #require(recorder.all.last)
        #expect(last.job_state == VHDRESYNC_STATE_COMPLETED && last.percent_complete == 100)
        #expect(last.bytes_compared == 6 << 30 && last.bytes_differing == 15 << 20)
        let percents = recorder.all.map(\.percent_complete)
        #expect(percents == percents.sorted())

        let shown = service.request(#"{"version":1,"request":"showJob","job":"\#(job)"}"#)
        #expect(shown.code == VHDRESYNC_COMPLETED)
        let found = try #require(try object(shown.value)["job"] as? [String: Any])
        #expect(found["JobState"] as? Int == 7)
        // The machine is replicating now, which forbids another one.
        let again = service.resynchronize("vm1")
        #expect(again.code == VHDRESYNC_INVALID_STATE && again.value == nil)
        #expect(!again.error.isEmpty)
        #expect(service.stop().code == VHDRESYNC_COMPLETED)
        #expect(service.stop().code == VHDRESYNC_INVALID_PARAMETER)
    }

    @Test func aJobWaitsForItsTimeOverServices() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let machine = try ServiceMachine(pair)
        let first = try #require(ServiceHandle.start(machine, "state").value)
        let second = ServiceHandle.start(machine, "state")
        #expect(second.code == VHDRESYNC_SYSTEM_IN_USE && second.value == nil)
        let tomorrow = Date.now.addingTimeInterval(86400)
            .formatted(
                .verbatim(
                    "\(year: .defaultDigits)\(month: .twoDigits)\(day: .twoDigits)",
                    timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
        let started = first.resynchronize("vm1", tomorrow + "000000.000000+000")
        #expect(started.code == VHDRESYNC_JOB_STARTED, "\(started.error)")
        let job = try #require(started.value)
        #expect(first.wait(for: job, milliseconds: 1).code == VHDRESYNC_JOB_STARTED)
        #expect(first.stop().code == VHDRESYNC_COMPLETED)

        let next = try #require(ServiceHandle.start(machine, "state").value)
        #expect(next.wait(for: job, milliseconds: 0).code == VHDRESYNC_JOB_STARTED)
        let begun = next.request(
            #"{"version":1,"request":"requestStateChange","job":"\#(job)","requestedState":2}"#)
        // The job's own code, which happens to be one of these.
        #expect(begun.code == VHDRESYNC_JOB_STARTED)
        #expect(next.wait(for: job).code == VHDRESYNC_COMPLETED)
        #expect(try pair.replicaIsCurrent())
        #expect(next.stop().code == VHDRESYNC_COMPLETED)
    }

    @Test func aCallbackEndsTheJob() throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let machine = try ServiceMachine(pair)
        let service = try #require(ServiceHandle.start(machine, "state").value)
        let tomorrow = "20991231000000.000000+000"
        #expect(service.resynchronize("vm1", tomorrow).code == VHDRESYNC_INVALID_PARAMETER)
        let job = try #require(service.resynchronize("vm1").value)
        let ended = service.wait(for: job, ProgressRecorder { _ in 1 })
        // It may have been faster.
        #expect([VHDRESYNC_FAILED, VHDRESYNC_COMPLETED].contains(ended.code))
        #expect(service.stop().code == VHDRESYNC_COMPLETED)
    }

    @Test func whatIsWrongIsSaid() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let machine = try ServiceMachine(pair)
        #expect(vhdresync_service_start(nil, "/x", nil, nil) == VHDRESYNC_INVALID_PARAMETER)
        #expect(vhdresync_service_stop(nil) == VHDRESYNC_COMPLETED)
        let broken = machine.folder.file("broken.json")
        try Data("{\"version\":2}".utf8).write(to: URL(filePath: broken))
        let refused = ServiceHandle.start(broken, machine.state("state"))
        #expect(refused.code == VHDRESYNC_INVALID_PARAMETER)
        #expect(refused.error.contains("broken.json:1:"))

        let service = try #require(ServiceHandle.start(machine, "state").value)
        #expect(service.reload(broken).code == VHDRESYNC_INVALID_PARAMETER)
        #expect(service.reload(machine.configuration).code == VHDRESYNC_COMPLETED)
        #expect(service.resynchronize("vm2").code == VHDRESYNC_SYSTEM_NOT_AVAILABLE)
        #expect(service.wait(for: "no job").code == VHDRESYNC_INVALID_PARAMETER)
        let request = service.request("{")
        #expect(request.code == VHDRESYNC_INVALID_PARAMETER)
        #expect(try object(request.value)["returnValue"] as? UInt32 == request.code)
        let missing = service.request(
            #"{"version":1,"request":"showMachine","computerSystem":"vm2"}"#)
        #expect(missing.code == VHDRESYNC_SYSTEM_NOT_AVAILABLE)
        #expect(try object(missing.value)["reason"] as? String == missing.error)
        #expect(service.stop().code == VHDRESYNC_COMPLETED)
    }

    @Test func servicesComeAndGo() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let machine = try ServiceMachine(pair)
        for _ in 0..<20 {
            let service = try #require(ServiceHandle.start(machine, "state").value)
            #expect(service.stop().code == VHDRESYNC_COMPLETED)
        }
    }
}
