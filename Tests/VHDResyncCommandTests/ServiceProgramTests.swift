import Foundation
import Glibc
import Replication
import TestSupport
import Testing

/// The built program as a service, and as those who ask it.
@Suite struct ServiceProgramTests {
    private static func names(_ pair: DiskPair) -> (primary: String, replica: String) {
        (pair.primary, pair.replica)
    }

    private func object(_ ending: Program.Ending) throws -> [String: Any] {
        try JSONKeys.object(ending.output)
    }

    private func job(_ ending: Program.Ending) throws -> [String: Any] {
        try #require(try object(ending)["job"] as? [String: Any], "\(ending)")
    }

    /// The ID that `vm resync` prints.
    private func id(_ ending: Program.Ending) throws -> String {
        #expect(ending.status == 0, "\(ending.error)")
        return ending.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func ask(
        _ request: ControlRequest, _ service: RunningService
    ) throws -> ControlAnswer {
        let client = try ControlClient(path: service.socket)
        defer { client.close() }
        return try client.answer(to: request)
    }

    private func state(_ job: String, of service: RunningService) throws -> String {
        try #require(try ask(.showJob(job), service).job).jobStateName
    }

    private func waitForWork(_ service: RunningService) throws {
        try wait(for: "a job at work") {
            try ask(.listJobs, service).jobs?.first?.jobStateName == "Running"
        }
    }

    private func wait(for what: String, _ isDone: () throws -> Bool) throws {
        for _ in 0..<6000 {
            if try isDone() { return }
            usleep(10_000)
        }
        Issue.record("in a minute there was not \(what)")
    }

    /// Each read of a disk takes so long.
    private static func slowly(_ disk: String, milliseconds: Int = 20) -> [String] {
        [
            "strace", "-D", "-f", "-q", "-o", "/dev/null", "-P", disk, "-e", "trace=pread64",
            "-e", "inject=pread64:delay_enter=\(milliseconds * 1000)",
        ]
    }

    // MARK: Runs

    @Test("Two machines: 'vm resync --wait' makes the replicas equal, and all verbs show it")
    func machines() throws {
        let pairs = try (0..<2).map { _ in try DiskPair(dataByteCount: 4 << 20) }
        let service = try RunningService(pairs.map(Self.names))
        let list = try service.call("vm", "list")
        #expect(list.status == 0)
        let lines = list.output.split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("MACHINE  MODE"))
        #expect(lines[1].hasPrefix("vm1      Primary  Waiting to start resynchronization  "))

        let first = try service.call("vm", "resync", "vm1", "--wait")
        #expect(first.status == 0, "\(first.error)")
        #expect(first.output.hasPrefix("vm1: Completed\n"))
        #expect(first.output.contains("6.0 GiB, 48 blocks differed, verified"))
        #expect(try pairs[0].replicaIsCurrent())
        #expect(try !pairs[1].replicaIsCurrent())

        let second = try service.call("vm", "resync", "vm2", "--wait", "--json", "-q")
        #expect(second.status == 0 && second.error.isEmpty)
        let job = try job(second)
        #expect(job["JobStateName"] as? String == "Completed")
        #expect(job["bytesDiffering"] as? Int == 3 << 20)
        #expect((job["disks"] as? [[String: Any]])?.first?["verified"] as? Bool == true)
        #expect(try pairs[1].replicaIsCurrent())

        let shown = try service.call("vm", "show", "vm1")
        #expect(shown.output.contains("state:        3 Replicating, since "))
        let jobs = try service.call("job", "list")
        #expect(jobs.output.split(separator: "\n").count == 3)
        let id = try #require(job["InstanceID"] as? String)
        let description = try service.call("job", "show", id)
        #expect(description.output.contains("state:     7 Completed, 100%"))
        let watched = try service.call("job", "watch", id)
        #expect(watched.status == 0 && watched.output.hasPrefix("vm2: Completed\n"))
    }

    @Test("Wrong names, states that forbid it, and times that are none have their codes")
    func refusals() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let service = try RunningService([Self.names(pair)])
        func code(_ words: String...) throws -> Int {
            let ending = try Program.run(service.words(words) + ["--json"])
            let value = try #require(try object(ending)["returnValue"] as? Int)
            #expect(ending.status == ReturnCode(rawValue: UInt32(value))?.exitStatus)
            #expect(ending.error.hasPrefix("vhdresync: ") && ending.error.hasSuffix("\n"))
            return value
        }
        #expect(try code("vm", "resync", "vm2") == 32777)
        #expect(try code("vm", "show", "vm2") == 32777)
        for (time, expected) in [
            ("20270101000000.000000x000", 32776), ("20271301000000.000000+000", 32773),
            ("9999-01-01 00:00", 32773), ("soon", 32773),
        ] {
            #expect(try code("vm", "resync", "vm1", "--start-time", time) == expected, "\(time)")
        }
        #expect(try code("vm", "suspend", "vm1") == 32775)
        #expect(try code("job", "show", "x") == 32773)
        #expect(try code("job", "watch", "x") == 32773)
        #expect(try service.call("vm", "resync", "vm1", "--wait", "-q").status == 0)
        #expect(try code("vm", "resync", "vm1") == 32775)
        #expect(try code("vm", "resync", "vm1", "--wait") == 32775)
        // Replication itself is suspended, and resumed.
        #expect(try service.call("vm", "suspend", "vm1").output == "vm1: Suspended\n")
        #expect(try service.call("vm", "resume", "vm1").output == "vm1: Replicating\n")
    }

    @Test("A job that fails has its sentence and its code, for who waits for it too")
    func failure() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let service = try RunningService([Self.names(pair)])
        try FileManager.default.removeItem(atPath: pair.primary)
        let ending = try service.call("vm", "resync", "vm1", "--wait", "--json")
        #expect(ending.status == 12)
        #expect(ending.error.contains("vhdresync: vm1: cannot open \(pair.primary): No such file"))
        let error = try #require(try job(ending)["error"] as? [String: Any])
        #expect(error["MessageID"] as? String == "32779")
        #expect(try service.call("vm", "show", "vm1").output.contains("8 Critical, since"))
    }

    // MARK: Time

    @Test("A job with a start time waits, is New after a restart and a kill, and is cancelled")
    func startTime() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let service = try RunningService([Self.names(pair)])
        let start = CIMTimestamp(Date.now + 3600)
        let id = try id(service.call("vm", "resync", "vm1", "--start-time", "\(start)"))
        #expect(try state(id, of: service) == "New")
        service.program.send(SIGTERM)
        #expect(try service.program.wait().status == 0)
        try service.restart()
        #expect(try state(id, of: service) == "New")
        service.end()
        // The socket of the dead one is in the way of nobody.
        #expect(FileManager.default.fileExists(atPath: service.socket))
        try service.restart()
        let job = try job(service.call("job", "show", id, "--json"))
        #expect(job["ScheduledStartTime"] as? String == "\(start)")
        #expect(job["JobStateName"] as? String == "New")
        // Another call moves it.
        let moved = try service.call("vm", "resync", "vm1", "--start-time", "00:00", "--json")
        #expect(try self.job(moved)["InstanceID"] as? String == id)
        #expect(try service.call("vm", "list").output.contains(" 00:00"))
        let cancelled = try service.call("vm", "cancel", "vm1")
        #expect(cancelled.output.hasSuffix("job \(id) Terminated\n"))
        #expect(try state(id, of: service) == "Terminated")
    }

    // MARK: Stops

    @Test("A job is suspended and goes on, and ends the watching of who has Ctrl-C, not itself")
    func suspension() throws {
        let pair = try DiskPair(dataByteCount: 8 << 20, isRandom: true)
        let service = try RunningService([Self.names(pair)], launcher: Self.slowly(pair.primary))
        let waiting = try RunningProgram(service.words(["vm", "resync", "vm1", "--wait"]))
        try waitForWork(service)
        let id = try #require(try ask(.listJobs, service).jobs?.first).instanceID
        try wait(for: "a line of progress") { try waiting.errorSoFar().contains("vhdresync: ") }
        waiting.send(SIGINT)
        let ending = try waiting.wait()
        #expect(ending.status == 1 && ending.output.isEmpty)
        #expect(ending.error.contains("job \(id) goes on: 'vhdresync job watch \(id)'"))

        let suspended = try service.call("vm", "suspend", "vm1")
        #expect(suspended.status == 0, "\(suspended)")
        try wait(for: "a suspension") { try state(id, of: service) == "Suspended" }
        #expect(try service.call("vm", "list").output.contains("Resynchronization suspended"))
        #expect(try service.call("vm", "resume", "vm1").status == 0)
        let watched = try service.call("job", "watch", id, "--progress", "json")
        #expect(watched.status == 0, "\(watched.error)")
        for line in watched.error.split(separator: "\n") {
            #expect(try JSONKeys.object(String(line))["InstanceID"] as? String == id)
        }
        #expect(try pair.replicaIsCurrent())
    }

    @Test("SIGTERM in the middle: who waits is told, and after a restart the same job is finished")
    func termination() throws {
        let pair = try DiskPair(dataByteCount: 8 << 20, isRandom: true)
        let before = try DiskPair.bytes(of: pair.replica)
        let service = try RunningService([Self.names(pair)], launcher: Self.slowly(pair.primary))
        let id = try id(service.call("vm", "resync", "vm1"))
        let watching = try RunningProgram(service.words(["job", "watch", id]))
        try wait(for: "a journal") { FileManager.default.fileExists(atPath: pair.journal) }
        try wait(for: "a line of progress") { try watching.errorSoFar().contains("vhdresync: ") }
        service.program.send(SIGTERM)
        let ending = try service.program.wait()
        #expect(ending.status == 0 && !ending.wasKilled, "\(ending.error)")
        #expect(!FileManager.default.fileExists(atPath: service.socket))
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        let told = try watching.wait()
        #expect(told.status == 10)
        #expect(told.error.contains("the job goes on when there is a service again"))

        try service.restart()
        let watched = try service.call("job", "watch", id, "--json", "-q")
        #expect(watched.status == 0)
        #expect(try job(watched)["attemptCount"] as? Int == 2)
        #expect(try pair.replicaIsCurrent())
    }

    @Test("A second signal ends the service at once, and takes its socket away")
    func secondSignal() throws {
        let pair = try DiskPair(dataByteCount: 8 << 20, isRandom: true)
        // What is being read when it is asked to stop takes so long.
        let service = try RunningService(
            [Self.names(pair)], launcher: Self.slowly(pair.primary, milliseconds: 3000))
        _ = try service.call("vm", "resync", "vm1")
        try waitForWork(service)
        service.program.send(SIGTERM)
        try wait(for: "the end to be under way") {
            try ask(.resynchronize(computerSystem: "vm1"), service).returnValue == 32777
        }
        service.program.send(SIGINT)
        let ending = try service.program.wait()
        #expect(ending.status == 1 && !ending.wasKilled)
        #expect(!FileManager.default.fileExists(atPath: service.socket))
    }

    // MARK: The socket

    @Test("The socket is its user's alone; one service has it, and a file in its place stays")
    func socket() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let service = try RunningService([Self.names(pair)])
        let attributes = try FileManager.default.attributesOfItem(atPath: service.socket)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let configuration = service.folder.file("inventory.json")
        func start(_ options: String...) throws -> Program.Ending {
            try Program.run(["service", "--config", configuration] + options)
        }
        let same = try start("--state-dir", service.state)
        #expect(same.status == 7)
        #expect(same.error.contains("another service uses the folder \(service.state)"))
        let other = service.folder.file("other")
        let taken = try start("--state-dir", other, "--socket", service.socket)
        #expect(taken.status == 7)
        #expect(taken.error.contains("another program listens at \(service.socket)"))
        let inTheWay = try start("--state-dir", other, "--socket", configuration)
        #expect(inTheWay.status == 8)
        #expect(inTheWay.error.contains("something else is there, and no socket"))
        let long = try start(
            "--state-dir", other, "--socket", other + String(repeating: "x", count: 120))
        #expect(long.status == 6)
        #expect(long.error.contains("the path of a socket has 107 bytes at most"))
        #expect(try service.call("vm", "list").status == 0)
    }

    @Test(
        "Other users are not served, even where they can reach the socket",
        .enabled(if: geteuid() == 0, "only root can act as another user"))
    func otherUsers() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let folder = try TemporaryFolder()
        let socket = folder.file("s")
        let service = try RunningService([Self.names(pair)], socketPath: socket)
        let script = """
            import os, socket, sys
            os.setuid(65534)
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(sys.argv[1])
                s.sendall(b'{"version":1,"request":"listMachines"}\\n')
            except PermissionError:
                print("not let in"); sys.exit()
            except BrokenPipeError:
                pass
            print(s.makefile().readline())
            """
        func ask() throws -> String {
            let outcome = try ExternalProgram.run("python3", ["-c", script, socket])
            return "\(outcome.output)"
        }
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: folder.path)
        #expect(try ask() == "not let in\n")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o666], ofItemAtPath: socket)
        let answer = try ask()
        #expect(try JSONKeys.object(answer)["returnValue"] as? Int == 32769, "\(answer)")
        #expect(service.program.isRunning)
        #expect(try Program.run(["vm", "list", "--socket", socket]).status == 0)
    }

    @Test("Without a service there is a clear sentence")
    func noService() throws {
        let folder = try TemporaryFolder()
        for words in [
            ["vm", "list"], ["vm", "resync", "a", "--wait"], ["job", "watch", "x"],
        ] {
            let ending = try Program.run(words + ["--state-dir", folder.path, "--json"])
            #expect(ending.status == 10)
            #expect(ending.error.contains("no service runs at \(folder.path)/service.sock: "))
            #expect(try object(ending)["returnValue"] as? Int == 32777)
        }
    }

    @Test("An inventory with mistakes is refused with all of them, a line for each")
    func inventories() throws {
        let folder = try TemporaryFolder()
        let file = folder.file("inventory.json")
        try Data("{\n  \"version\": 1,\n  \"machine\": [],\n  \"service\": 3\n}\n".utf8)
            .write(to: URL(filePath: file))
        let ending = try Program.run(
            ["service", "--config", file, "--state-dir", folder.file("state")])
        #expect(ending.status == 6)
        #expect(
            ending.error == """
                \(file):1:1: machines: missing
                \(file):3:3: machine: an unknown key; is "machines" meant?
                \(file):4:14: service: an object is wanted here, not a number

                """)
        #expect(!FileManager.default.fileExists(atPath: folder.file("state")))
        let missing = try Program.run(
            ["service", "--config", file + "x", "--state-dir", folder.file("state")])
        #expect(missing.status == 12)
        #expect(missing.error.hasPrefix("vhdresync: cannot open "))
    }

    @Test("Each verb prints an object with the keys of docs/control.md")
    func json() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let service = try RunningService([Self.names(pair)])
        let late = "\(CIMTimestamp(Date.now + 3600))"
        let id = try id(service.call("vm", "resync", "vm1", "--start-time", late))
        let common: Set = ["version", "returnValue", "returnName", "reason"]
        let cases: [([String], Set<String>)] = [
            (["vm", "list"], ["machines"]), (["vm", "show", "vm1"], ["machine"]),
            (["vm", "resync", "vm1", "--start-time", late], ["job"]),
            (["job", "list"], ["jobs"]), (["job", "show", id], ["job"]),
            (["vm", "cancel", "vm1"], ["job", "machine"]),
            (["job", "watch", id], ["job", "isLast"]), (["vm", "suspend", "vm1"], []),
        ]
        for (words, keys) in cases {
            let ending = try Program.run(service.words(words) + ["--json"])
            #expect(try JSONKeys.keys(of: ending.output) == common.union(keys), "\(words)")
        }
    }
}
