import Foundation
import Glibc
import Replication
import TestSupport
import Testing
import VHDX

/// The built program with itself on the other side, started as ssh would start it.
@Suite struct RemoteProgramTests {
    private let shell: RemoteShell

    init() throws {
        shell = try RemoteShell()
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func disks(_ ending: Program.Ending) throws -> [[String: Any]] {
        let object = try JSONKeys.object(ending.output)
        let disks = try #require(object["disks"] as? [[String: Any]])
        for disk in disks { #expect(Set(disk.keys) == JSONKeys.disk) }
        return disks
    }

    private func number(_ key: String, _ disk: [String: Any]?) -> Int {
        disk?[key] as? Int ?? -1
    }

    private func expectCurrent(_ pair: DiskPair) throws {
        #expect(try pair.replicaIsCurrent())
        #expect(!exists(pair.journal))
    }

    // MARK: Both directions

    @Test func push() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20, isRandom: true)
        let ending = try Program.run(
            [pair.primary, "other:\(pair.replica)", "--json", "-q"] + shell.options())
        #expect(ending.status == 0, "\(ending.error)")
        #expect(ending.error.isEmpty)
        let disk = try #require(try disks(ending).first)
        #expect(disk["primary"] as? String == pair.primary)
        #expect(disk["replica"] as? String == "other:\(pair.replica)")
        #expect(disk["verified"] as? Bool == true)
        #expect(number("blocksDiffering", disk) == 3 * 16)
        #expect(number("bytesWritten", disk) == 3 << 20)
        #expect((3 << 20)..<(4 << 20) ~= number("bytesSent", disk))
        #expect((1)..<(100 << 10) ~= number("bytesReceived", disk))
        try expectCurrent(pair)
        let program = try Program.path().path
        #expect(try shell.calls == ["other \(program) agent --stdio"])
    }

    @Test func pull() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20, isRandom: true)
        let ending = try Program.run(
            ["me@other:\(pair.primary)", pair.replica, "--json", "-q", "--idle-timeout", "30"]
                + shell.options())
        #expect(ending.status == 0, "\(ending.error)")
        let disk = try #require(try disks(ending).first)
        #expect(disk["primary"] as? String == "me@other:\(pair.primary)")
        // As the primary sees it, whoever has called.
        #expect((3 << 20)..<(4 << 20) ~= number("bytesSent", disk))
        #expect((1)..<(100 << 10) ~= number("bytesReceived", disk))
        try expectCurrent(pair)
        let program = try Program.path().path
        #expect(
            try shell.calls == ["me@other \(program) agent --stdio --idle-timeout 30.0"])
    }

    @Test func saysWhatItDid() throws {
        let pair = try DiskPair()
        let remote = "other:\(pair.replica)"
        let options = try shell.options()
        let dry = try Program.run([pair.primary, remote, "-n"] + options)
        #expect(dry.status == 0, "\(dry.error)")
        #expect(dry.output.contains("\(remote) does not read as \(pair.primary); dry run: "))
        let ending = try Program.run(
            [pair.primary, remote, "--progress", "json", "--bandwidth-limit", "100M"] + options)
        #expect(ending.status == 0, "\(ending.error)")
        #expect(ending.output.hasPrefix("\(remote) now reads as \(pair.primary): verified\n"))
        #expect(ending.output.contains(" back\n"))
        let last = try JSONKeys.object(String(ending.error.split(separator: "\n").last ?? ""))
        #expect(last["phase"] as? String == "finished")
        #expect(number("bytesSent", last) > 0)
        let again = try Program.run([pair.primary, remote] + options)
        #expect(again.output.hasPrefix("\(remote) reads as \(pair.primary) already\n"))
        try expectCurrent(pair)
    }

    @Test func makesAReplicaThere() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        try FileManager.default.removeItem(atPath: pair.replica)
        let ending = try Program.run(
            [pair.primary, "other:\(pair.replica)", "--create", "--verify", "-q"]
                + shell.options())
        #expect(ending.status == 0, "\(ending.error)")
        try expectCurrent(pair)
    }

    // MARK: Several disks

    @Test func disksOfOneHostShareAConnection() throws {
        let pairs = try [DiskPair(dataByteCount: 2 << 20), DiskPair(), DiskPair()]
        let list = pairs[0].folder.file("list")
        try Data("# more\nother:\(pairs[1].primary)\t\(pairs[1].replica)\n".utf8)
            .write(to: URL(filePath: list))
        let ending = try Program.run(
            [
                pairs[0].primary, "other:\(pairs[0].replica)", pairs[2].primary, pairs[2].replica,
                "--disks", list, "--json", "--progress", "json",
            ] + shell.options())
        #expect(ending.status == 0, "\(ending.error)")
        let disks = try disks(ending)
        #expect(
            disks.map { $0["replica"] as? String } == [
                "other:\(pairs[0].replica)", pairs[2].replica, pairs[1].replica,
            ])
        #expect(disks.map { number("bytesSent", $0) > 0 } == [true, false, true])
        for pair in pairs { try expectCurrent(pair) }
        #expect(try shell.calls.count == 1)
        let last = try JSONKeys.object(String(ending.error.split(separator: "\n").last ?? ""))
        #expect(number("disk", last) == 3 && number("disks", last) == 3)
    }

    @Test func theFirstFailureEndsTheJob() throws {
        let pairs = try [DiskPair(dataByteCount: 2 << 20), DiskPair(dataByteCount: 2 << 20)]
        let missing = pairs[0].folder.file("missing.vhdx")
        let before = try DiskPair.bytes(of: pairs[1].replica)
        let arguments = [
            pairs[0].primary, "other:\(pairs[0].replica)", pairs[0].primary, "other:\(missing)",
            pairs[1].primary, pairs[1].replica,
        ]
        let ending = try Program.run(arguments + shell.options() + ["--json", "-q"])
        #expect(ending.status == ReturnCode.fileNotFound.exitStatus)
        #expect(
            ending.error
                == "vhdresync: disk 2 of 3: other: cannot open \(missing): No such file or "
                + "directory; done before: other:\(pairs[0].replica); not begun: "
                + "\(pairs[1].replica)\n")
        let disks = try disks(ending)
        #expect(disks.map { $0["verified"] as? Bool } == [true, false, false])
        try expectCurrent(pairs[0])
        let after = try withExtendedLifetime(pairs) { try DiskPair.bytes(of: pairs[1].replica) }
        #expect(after == before)
    }

    // MARK: What goes wrong there

    @Test func aMissingDiskThereIsNotFound() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let missing = pair.folder.file("missing.vhdx")
        for arguments in [
            [pair.primary, "other:\(missing)"], ["other:\(missing)", pair.replica],
            [pair.primary, "other:\(missing)", "-n"],
        ] {
            let ending = try Program.run(arguments + shell.options() + ["-q"])
            #expect(ending.status == ReturnCode.fileNotFound.exitStatus)
            #expect(
                ending.error.hasPrefix(
                    "vhdresync: other: cannot open \(missing): No such file or directory"),
                "\(ending.error)")
        }
    }

    @Test(
        "Who cannot reach the other side says why",
        arguments: [
            ("exit 255", "ended with status 255; '--retry N' calls again"),
            ("exit 127", "the other side does not know the command; '--remote-command' says how"),
            ("echo Welcome to other", "sent an invalid frame"),
            ("exit 0", "the connection with other broke off"),
        ] as [(String, String)])
    func unreachable(_ script: String, sentence: String) throws {
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let before = try DiskPair.bytes(of: pair.replica)
        for arguments in [
            [pair.primary, "other:\(pair.replica)"], ["other:\(pair.primary)", pair.replica],
        ] {
            let ending = try Program.run(arguments + shell.options(script) + ["-q"])
            let isGarbage = script.hasPrefix("echo")
            let code = isGarbage ? ReturnCode.failed : .systemNotAvailable
            #expect(ending.status == code.exitStatus, "\(ending.error)")
            #expect(ending.error.contains(sentence), "\(ending.error)")
        }
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func aMissingRemoteShellIsNamed() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let ending = try Program.run(
            [pair.primary, "other:\(pair.replica)", "-q", "--rsh", "/nowhere/ssh -p 22"])
        #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus)
        #expect(
            ending.error == "vhdresync: cannot start /nowhere/ssh: No such file or directory; "
                + "'--rsh' says which program reaches other hosts\n")
    }

    @Test func aSilentPeerTimesOut() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let ending = try Program.run(
            [pair.primary, "other:\(pair.replica)", "-q", "--idle-timeout", "1"]
                + shell.options("exec sleep 600"))
        #expect(ending.status == ReturnCode.timeout.exitStatus)
        #expect(ending.error.hasPrefix("vhdresync: no sign of life from other for 1 s"))
    }

    @Test func certificatesThatCannotBeReadAreNamed() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let missing = pair.folder.file("cert.pem")
        let ending = try Program.run([
            pair.primary, "vhdresync://localhost:1/r", "-q", "--cert", missing, "--key", missing,
            "--ca", missing,
        ])
        #expect(ending.status == ReturnCode.accessDenied.exitStatus)
        #expect(ending.error.hasPrefix("vhdresync: cannot use \(missing): "), "\(ending.error)")
    }

    // MARK: Interruptions

    /// More than the program keeps waiting to be sent: the end of a connection comes before it has sent
    /// everything.
    private static func largePair() throws -> DiskPair {
        try DiskPair(dataByteCount: 48 << 20, isRandom: true)
    }

    /// The other side sees the end of what is sent after so many bytes.
    private let dying = "stdbuf -o0 head -c 6000000 | \"$@\""
    /// This side sees it.
    private let vanishing =
        "exec 3<&0; exec stdbuf -o0 head -c 6000000 < <(\"$@\" <&3 3<&-) 3<&-"

    @Test func aBrokenConnectionKeepsWhatWasReceived() throws {
        let pair = try Self.largePair()
        let before = try DiskPair.bytes(of: pair.replica)
        let arguments = [pair.primary, "other:\(pair.replica)", "-q", "--json"]
        let ending = try Program.run(arguments + shell.options(dying))
        #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus, "\(ending.error)")
        #expect(
            ending.error.contains(
                "; '--retry N' calls again, up to N times; other finishes what it has begun to "
                    + "write, and keeps what it has received: the same command goes on from there"),
            "\(ending.error)")
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        #expect(exists(pair.journal))
        let next = try Program.run(arguments + shell.options())
        #expect(next.status == 0, "\(next.error)")
        #expect(number("blocksHeld", try disks(next).first) > 0)
        #expect(number("bytesSent", try disks(next).first) < 46 << 20)
        try expectCurrent(pair)
    }

    @Test("A retry goes on where the connection broke", arguments: [true, false])
    func retry(isPush: Bool) throws {
        let pair = try Self.largePair()
        let disks =
            isPush
            ? [pair.primary, "other:\(pair.replica)"] : ["other:\(pair.primary)", pair.replica]
        let breaking = isPush ? dying : vanishing
        let options = try shell.options(first: breaking)
        let ending = try Program.run(disks + ["-q", "--json", "--retry", "1"] + options)
        #expect(ending.status == 0, "\(ending.error)")
        let disk = try #require(try self.disks(ending).first)
        #expect(number("blocksHeld", disk) > 0)
        // What was sent once is not sent again.
        #expect(number("bytesSent", disk) < 51 << 20)
        #expect(try shell.calls.count == 2)
        try expectCurrent(pair)
    }

    @Test(
        "Retries are counted, and told where anything is",
        arguments: [("plain", 1), ("json", 1), ("none", 0)])
    func retries(progress: String, lineCount: Int) throws {
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let ending = try Program.run(
            [pair.primary, "other:\(pair.replica)", "--progress", progress, "--retry", "1"]
                + shell.options("exit 255"))
        #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus)
        #expect(!ending.error.contains("'--retry N'"), "\(ending.error)")
        let words =
            progress == "json" ? "\"event\":\"retry\"" : "called again in 1.0 s, try 1 of 1"
        let lines = ending.error.split(separator: "\n").filter { $0.contains(words) }
        #expect(lines.count == lineCount, "\(ending.error)")
        #expect(try shell.calls.count == 2)
    }

    @Test("A stop keeps what was received", arguments: ["client", "agent"])
    func stop(who: String) throws {
        let pair = try DiskPair(dataByteCount: 64 << 20, isRandom: true)
        let before = try DiskPair.bytes(of: pair.replica)
        let processFile = pair.folder.file("agent.pid")
        let options = try shell.options("echo $$ > '\(processFile)'; exec \"$@\"")
        let arguments = [pair.primary, "other:\(pair.replica)", "-q", "--json"]
        // The limit leaves enough to do for a signal to arrive in time.
        let running = try Program.Running(
            arguments + options + ["--bandwidth-limit", "8M"])
        try waitForJournal(pair.journal)
        if who == "client" {
            running.send(SIGINT)
        } else {
            let text = try String(contentsOfFile: processFile, encoding: .utf8)
            let process = try #require(Int32(text.filter(\.isNumber)))
            #expect(kill(process, SIGTERM) == 0)
        }
        let ending = try running.wait()
        #expect(ending.status == ReturnCode.failed.exitStatus, "\(ending.error)")
        #expect(!ending.wasKilled)
        let sentence =
            who == "client"
            ? "vhdresync: stopped on request; other finishes what it has begun to write, and keeps "
                + "what it has received: the same command goes on from there\n"
            : "vhdresync: other: stopped on request; the replica is as it was, and what was recorded "
                + "is kept in \(pair.journal): the same command goes on from there\n"
        #expect(ending.error == sentence)
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        #expect(exists(pair.journal))
        let next = try Program.run(arguments + shell.options())
        #expect(next.status == 0, "\(next.error)")
        #expect(number("blocksHeld", try disks(next).first) > 0)
        try expectCurrent(pair)
    }

    /// Waits until something of what differs has arrived.
    private func waitForJournal(_ path: String) throws {
        for _ in 0..<60_000 {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            if (attributes?[.size] as? Int ?? 0) > 4 << 20 { return }
            usleep(1000)
        }
        try #require(Bool(false), "nothing arrives at \(path)")
    }

    // MARK: The agent

    @Test func theAgentEndsWithItsCaller() throws {
        // Its input is empty.
        let ending = try Program.run(["agent", "--stdio"])
        #expect(!ending.wasKilled)
        #expect(ending.error.isEmpty)
        // Frames alone, of which the first greets; none where the caller has ended before that.
        #expect(ending.output.isEmpty || ending.output.contains("vhdrsync"))
    }

    @Test func theAgentHasOptionsOfItsOwn() throws {
        let pair = try Self.largePair()
        let journals = pair.folder.file("journals")
        try FileManager.default.createDirectory(
            atPath: journals, withIntermediateDirectories: false)
        let options = try shell.options("\(dying) --journal-dir '\(journals)' --jobs 1")
        let ending = try Program.run([pair.primary, "other:\(pair.replica)", "-q"] + options)
        #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus, "\(ending.error)")
        #expect(exists(journals + "/replica.vhdx.resync"))
        #expect(!exists(pair.journal))
    }
}
