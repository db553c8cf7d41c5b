import Foundation
import Glibc
import Storage
import TestSupport
import Testing
import Transport

/// The built program as an agent that listens, and those who come to it: with the wrong certificate,
/// with none, by the thousand, and while it is told to end or to read its files again.
@Suite struct ListeningProgramTests {
    /// An agent that serves the replica of a pair.
    private struct Host {
        let pair: DiskPair
        let agent: ListeningAgent

        init(
            _ pair: DiskPair, credentials: [String]? = nil, options: [String] = [],
            launcher: [String] = []
        ) throws {
            self.pair = pair
            agent = try ListeningAgent(
                root: pair.folder.path, credentials: credentials, options: options,
                launcher: launcher)
        }

        /// The words of a run that makes its replica current.
        func job(as client: String = "client", options: [String] = []) throws -> [String] {
            [pair.primary, "vhdresync://localhost:\(agent.port)/replica.vhdx", "--json", "-q"]
                + (try ListeningAgent.credentials(client)) + options
        }

        /// The return value of such a run.
        func push(as client: String = "client", options: [String] = []) throws -> Int {
            let ending = try Program.run(try job(as: client, options: options))
            return try returnValue(ending)
        }
    }

    private static func returnValue(_ ending: Program.Ending) throws -> Int {
        try #require(try JSONKeys.object(ending.output)["returnValue"] as? Int, "\(ending.error)")
    }

    /// Waits for what another process does.
    private func wait(for what: String, _ isDone: () throws -> Bool) throws {
        for _ in 0..<60_000 {
            if try isDone() { return }
            usleep(1000)
        }
        Issue.record("in a minute there was not \(what)")
    }

    // MARK: Certificates

    @Test(
        "A client whose certificate is not one that counts is refused before a path is looked at")
    func clients() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let trace = pair.folder.file("trace")
        let host = try Host(
            pair, options: ["--allow-peer", "client"],
            launcher: ["strace", "-D", "-f", "-qq", "-e", "trace=%file", "-o", trace])
        func looks() throws -> Int {
            String(decoding: try DiskPair.bytes(of: trace), as: UTF8.self)
                .split(separator: "\n").count { $0.contains("replica.vhdx") }
        }
        let before = try DiskPair.bytes(of: pair.replica)
        // Of another authority; past its time; for servers alone; of the authority, and not listed.
        for client in ["stranger", "expired", "for-servers", "for-clients"] {
            #expect(try host.push(as: client) == 32769, "\(client)")
        }
        // None at all: what a browser shows.
        let none = try ExternalProgram.run(
            "openssl",
            [
                "s_client", "-connect", "localhost:\(host.agent.port)", "-tls1_3", "-CAfile",
                try Certificates.shared.get().certificate("ca"), "-ign_eof",
            ])
        #expect(none.errorOutput.contains("certificate required"), "\(none)")
        try wait(for: "a word of each") {
            try host.agent.endedConnectionCount + host.agent.events("peer-refused").count >= 5
        }
        #expect(try looks() == 0)
        #expect(try host.agent.events("run-begun").isEmpty)
        #expect(try DiskPair.bytes(of: pair.replica) == before)

        #expect(try host.push() == 0)
        // What the trace has nothing of was there to be seen.
        #expect(try looks() > 0)
        #expect(try pair.replicaIsCurrent())
    }

    @Test(
        "A server whose certificate is not one that counts is told nothing",
        arguments: ["wrong-name", "expired", "stranger", "for-clients"])
    func servers(name: String) throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let host = try Host(pair, credentials: try ListeningAgent.credentials(name))
        #expect(try host.push() == 32769)
        try wait(for: "the end") { try host.agent.endedConnectionCount > 0 }
        #expect(try host.agent.events("peer-allowed").isEmpty)
    }

    // MARK: Load

    /// Opens so many connections, says something on each, and holds them until it is killed.
    private func crowd(_ count: Int, _ port: UInt16, saying text: String) throws -> RunningProgram {
        let script = """
            import resource, socket, sys, time
            count, port, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
            held = []
            for _ in range(count):
                held.append(socket.create_connection(("127.0.0.1", port), timeout=60))
                try:
                    held[-1].send(text)
                except OSError:
                    pass
            print("open", file=sys.stderr, flush=True)
            time.sleep(600)
            """
        let running = try RunningProgram(
            at: URL(filePath: "/usr/bin/python3"), ["-c", script, "\(count)", "\(port)", text])
        try wait(for: "the crowd") {
            let error = try running.errorSoFar()
            return error.contains("open") || !running.isRunning
        }
        let error = try running.errorSoFar()
        #expect(running.isRunning, "\(error)")
        return running
    }

    @Test(
        "The next honest client is served",
        arguments: [
            (1000, ""), (200, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), (200, "\u{16}\u{3}"),
        ])
    func crowds(count: Int, text: String) throws {
        let host = try Host(try DiskPair(dataByteCount: 2 << 20))
        let crowd = try crowd(count, host.agent.port, saying: text)
        defer { crowd.send(SIGKILL) }
        #expect(try host.push() == 0)
        #expect(try host.pair.replicaIsCurrent())
        #expect(host.agent.program.isRunning)
    }

    @Test("A scan of the port, and clients that are let in and say nothing")
    func scans() throws {
        let host = try Host(try DiskPair(dataByteCount: 2 << 20))
        for _ in 0..<300 {
            try TCPConnection.connect(
                host: "127.0.0.1", port: host.agent.port, timeoutSeconds: 60
            ).close()
        }
        let context = try Certificates.shared.get().context("client")
        let silent = try (0..<20).map { _ in
            try TLSConnection.connect(
                host: "localhost", port: host.agent.port, context: context, timeoutSeconds: 60)
        }
        #expect(try host.push() == 0)
        #expect(try host.pair.replicaIsCurrent())
        for connection in silent { connection.close() }
    }

    // MARK: Memory

    /// The most that a program and those that it starts take, in bytes.
    private static let measuring = """
        import resource, subprocess, sys
        status = subprocess.call(sys.argv[2:])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(peak * 1024, file=open(sys.argv[1], "w"))
        sys.exit(status)
        """

    /// Every call that reads or writes content takes so much longer.
    private static func slowed(_ call: String, milliseconds: Int) -> [String] {
        [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
            "inject=\(call):delay_exit=\(milliseconds * 1000)",
        ]
    }

    @Test(
        "Neither side takes more than 128 MiB, whoever has the slower disk",
        arguments: ["the agent", "the client"])
    func memory(slower: String) throws {
        let pair = try DiskPair(dataByteCount: 256 << 20, isRandom: true)
        // 1 MiB with each call: a tenth of what the other side does meanwhile, at most.
        let agentLauncher =
            slower == "the agent"
            ? ["strace", "-D"] + Self.slowed("pwrite64", milliseconds: 10) : []
        let clientLauncher =
            slower == "the client" ? ["strace"] + Self.slowed("pread64", milliseconds: 20) : []
        let host = try Host(pair, launcher: agentLauncher)
        let file = pair.folder.file("peak")
        let ending = try Program.run(
            try host.job(), launcher: ["python3", "-c", Self.measuring, file] + clientLauncher)
        #expect(try Self.returnValue(ending) == 0, "\(ending.error)")
        let clientPeak = try #require(
            Int(
                String(decoding: try DiskPair.bytes(of: file), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines)))
        let status = try String(
            contentsOfFile: "/proc/\(host.agent.program.identifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        let agentPeak = try #require(Int(line.filter(\.isNumber)))
        print("peak memory, \(slower) slower: \(clientPeak >> 20) MiB, agent \(agentPeak >> 10)")
        #expect(clientPeak < 128 << 20)
        #expect(agentPeak < 128 << 10)
        #expect(try pair.replicaIsCurrent())
    }

    // MARK: Signals

    @Test("SIGTERM in the middle of a run: the replica is what it was, and the next run goes on")
    func termination() throws {
        let pair = try DiskPair(dataByteCount: 8 << 20, isRandom: true)
        let before = try DiskPair.bytes(of: pair.replica)
        let host = try Host(pair)
        let client = try Program.Running(try host.job(options: ["--bandwidth-limit", "1M"]))
        try wait(for: "a part of the journal") {
            let attributes = try? FileManager.default.attributesOfItem(atPath: pair.journal)
            return (attributes?[.size] as? Int ?? 0) > 1 << 20
        }
        host.agent.program.send(SIGTERM)
        let agentEnding = try host.agent.program.wait()
        #expect(agentEnding.status == 0 && !agentEnding.wasKilled, "\(agentEnding.error)")
        for event in ["stopping", "stopped"] {
            #expect(try host.agent.events(event).count == 1, "\(event)")
        }
        let ending = try client.wait()
        #expect(try Self.returnValue(ending) != 0)
        #expect(try DiskPair.bytes(of: pair.replica) == before)

        let next = try Host(pair)
        let second = try Program.run(try next.job())
        #expect(try Self.returnValue(second) == 0, "\(second.error)")
        let disks = try #require(try JSONKeys.object(second.output)["disks"] as? [[String: Any]])
        // 7 MiB differ, and one at least had come.
        #expect((1..<(6 << 20) + (1 << 19)).contains(disks.first?["bytesSent"] as? Int ?? 0))
        #expect(try pair.replicaIsCurrent())
    }

    @Test("SIGHUP: the next connection meets the new certificate; files of no use change nothing")
    func reload() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let certificates = try Certificates.shared.get()
        let files = ["cert", "key", "ca"].map { pair.folder.file("agent-" + $0) }
        func install(_ name: String) throws {
            let sources = [
                certificates.certificate(name), certificates.key(name),
                certificates.certificate("ca"),
            ]
            for (source, file) in zip(sources, files) {
                try DiskPair.bytes(of: source).write(to: URL(filePath: file))
            }
        }
        try install("wrong-name")
        let host = try Host(
            pair, credentials: ["--cert", files[0], "--key", files[1], "--ca", files[2]])
        #expect(try host.push() == 32769)

        try install("server")
        host.agent.program.send(SIGHUP)
        try wait(for: "new certificates") {
            try host.agent.events("certificates-reloaded").count == 1
        }
        #expect(try host.push(options: ["-n"]) == 0)

        try Data("no certificate\n".utf8).write(to: URL(filePath: files[0]))
        host.agent.program.send(SIGHUP)
        try wait(for: "a complaint") {
            try host.agent.events("certificates-unusable").count == 1
        }
        #expect(try host.push() == 0)
        #expect(try pair.replicaIsCurrent())
    }
}
