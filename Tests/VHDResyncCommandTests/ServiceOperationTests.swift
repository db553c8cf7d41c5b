import Foundation
import Glibc
import Replication
import TestSupport
import Testing

/// The built program as a service, as its surroundings see it: its log, its manager, its hook, its file of
/// figures, and another inventory for it.
@Suite struct ServiceOperationTests {
    /// Waits for datagrams at a path, and writes each on a line.
    private static let manager = """
        import socket, sys
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(sys.argv[1])
        print("listening", flush=True)
        while True:
            print(repr(receiver.recv(4096).decode()), flush=True)
        """

    private func wait(for what: String, _ isDone: () throws -> Bool) throws {
        for _ in 0..<12_000 {
            if try isDone() { return }
            usleep(10_000)
        }
        Issue.record("in two minutes there was not \(what)")
    }

    private func events(_ name: String, _ service: RunningService) throws -> [[String: Any]] {
        try service.program.errorSoFar().split(separator: "\n").filter {
            $0.contains("\"event\":\"\(name)\"")
        }.compactMap { try? JSONKeys.object(String($0)) }
    }

    @Test func aJobIsInTheLogTheFiguresAndTheHook() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let folder = try TemporaryFolder()
        let (figures, hook) = (folder.file("figures.prom"), folder.file("hook"))
        let machine = try ServiceMachine(
            pair,
            service: [
                "logFormat": "json", "metricsFile": figures,
                "hookCommand": ["/bin/sh", "-c", "cat >\"$0\"", hook],
            ])
        let service = try RunningService(machine)
        #expect(try service.call("vm", "resync", "vm1", "--wait", "-q").status == 0)
        let ended = try #require(try events("job-ended", service).first)
        #expect(ended["code"] as? Int == 0 && ended["jobState"] as? String == "Completed")
        #expect(ended["owner"] as? String != nil && ended["machine"] as? String == "vm1")
        try wait(for: "the hook") {
            guard let text = try? String(contentsOfFile: hook, encoding: .utf8) else {
                return false
            }
            return text.hasSuffix("\n")
        }
        let told = try JSONKeys.object(String(contentsOfFile: hook, encoding: .utf8))
        let job = try #require(told["job"] as? [String: Any])
        #expect(job["InstanceID"] as? String == ended["job"] as? String)
        #expect((job["disks"] as? [[String: Any]])?.first?["verified"] as? Bool == true)
        #expect((told["machine"] as? [String: Any])?["ElementName"] as? String == "vm1")
        service.program.send(SIGTERM)
        #expect(try service.program.wait().status == 0)
        #expect(try events("stopped", service).count == 1)
        let text = try String(contentsOfFile: figures, encoding: .utf8)
        #expect(text.contains("\nvhdresync_resynchronizations_total{machine=\"vm1\","))
        #expect(text.contains("HVR\\\\0\"} 1\n"))
    }

    @Test func anotherInventoryCountsAtOnceAndABadOneDoesNot() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let machine = try ServiceMachine(pair, service: ["logFormat": "json"])
        let service = try RunningService(machine)
        let good = try String(contentsOfFile: machine.configuration, encoding: .utf8)
        func reload(_ text: String) throws {
            try text.write(toFile: machine.configuration, atomically: true, encoding: .utf8)
            service.program.send(SIGHUP)
        }
        try reload("{\"version\":1,\n\"machines\":[{}]}")
        try wait(for: "a refusal") { try !events("inventory-unusable", service).isEmpty }
        let message = try events("inventory-unusable", service).first?["message"] as? String
        #expect(message?.contains("inventory.json:2:") == true)
        #expect(try service.call("vm", "show", "vm1").status == 0)

        try reload(good.replacing("\"vm1\"", with: "\"renamed\""))
        try wait(for: "a reload") { try !events("inventory-reloaded", service).isEmpty }
        #expect(
            try service.call("vm", "show", "vm1").status
                == ReturnCode.systemNotAvailable.exitStatus)
        #expect(try service.call("vm", "resync", "renamed", "--wait", "-q").status == 0)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func theManagerIsToldHowItIs() throws {
        let folder = try TemporaryFolder()
        let socket = folder.file("notify")
        let manager = try RunningProgram(
            at: URL(filePath: "/usr/bin/python3"), ["-c", Self.manager, socket])
        defer {
            manager.send(SIGKILL)
            _ = try? manager.wait()
        }
        try wait(for: "the manager") { try manager.outputSoFar().hasPrefix("listening") }
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let machine = try ServiceMachine(pair)
        let service = try RunningService(
            machine, launcher: ["env", "NOTIFY_SOCKET=\(socket)"])
        #expect(try service.call("vm", "resync", "vm1", "--wait", "-q").status == 0)
        service.program.send(SIGHUP)
        try wait(for: "a reload") { try manager.outputSoFar().contains("RELOADING=1") }
        service.program.send(SIGTERM)
        #expect(try service.program.wait().status == 0)
        let lines = try manager.outputSoFar().split(separator: "\n").dropFirst()
        #expect(lines.first == #"'READY=1\nSTATUS=0 running, 0 waiting\n'"#)
        #expect(lines.contains(#"'STATUS=1 running, 0 waiting\n'"#))
        #expect(lines.contains { $0.contains(#"'RELOADING=1\nMONOTONIC_USEC="#) })
        #expect(lines.contains { $0.hasPrefix(#"'STOPPING=1\nSTATUS=stopping"#) })
    }
}
