import Foundation
import Glibc
import Replication
import TestSupport
import Testing

/// The built program and OpenSSH, which logs in at this machine.
@Suite struct SSHProgramTests {
    /// Names that a shell would take apart.
    private static let name = "a 'b' \"c\" $(touch made-by-a-shell); d"

    private func disk(_ ending: Program.Ending) throws -> [String: Any] {
        let disks = try JSONKeys.object(ending.output)["disks"] as? [[String: Any]]
        return try #require(disks?.first)
    }

    /// A pair of which one disk has a name that a shell would take apart.
    private func pair(naming path: KeyPath<DiskPair, String>) throws -> (DiskPair, String) {
        let pair = try DiskPair(dataByteCount: 4 << 20, isRandom: true)
        let name = pair.folder.file(Self.name)
        try FileManager.default.moveItem(atPath: pair[keyPath: path], toPath: name)
        return (pair, name)
    }

    @Test func push() throws {
        let ssh = try LoopbackSSH()
        let (pair, replica) = try pair(naming: \.replica)
        let arguments = try [pair.primary, "localhost:\(replica)"] + ssh.options()
        let ending = try Program.run(arguments + ["--json", "-q"])
        #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        #expect(ending.error.isEmpty)
        let disk = try disk(ending)
        #expect(disk["replica"] as? String == "localhost:\(replica)")
        #expect(disk["verified"] as? Bool == true)
        #expect(disk["blocksDiffering"] as? Int == 3 * 16)
        #expect((3 << 20)..<(4 << 20) ~= (disk["bytesSent"] as? Int ?? 0))

        let again = try Program.run(arguments)
        #expect(again.status == 0, "\(again.error)")
        #expect(
            again.output.hasPrefix("localhost:\(replica) reads as \(pair.primary) already\n"),
            "\(again.output)")
        #expect(try QEMU.compare(pair.primary, replica))
        let names = try FileManager.default.contentsOfDirectory(atPath: pair.folder.path)
        #expect(Set(names) == ["primary.vhdx", Self.name])
    }

    @Test func pullAsAnotherName() throws {
        let ssh = try LoopbackSSH()
        let (pair, primary) = try pair(naming: \.primary)
        let there = "\(NSUserName())@localhost:\(primary)"
        let arguments = try [there, pair.replica] + ssh.options()
        let ending = try Program.run(arguments + ["--json", "-q"])
        #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        let disk = try disk(ending)
        #expect(disk["primary"] as? String == there)
        #expect(disk["blocksDiffering"] as? Int == 3 * 16)
        let again = try Program.run(arguments + ["-n"])
        #expect(again.output.hasPrefix("\(pair.replica) reads as \(there) already"))
        #expect(try QEMU.compare(primary, pair.replica))
    }

    @Test(
        "By an address of IPv6",
        .enabled(if: LoopbackSSH.refusalOfIPv6 == nil, "\(LoopbackSSH.refusalOfIPv6 ?? "")"))
    func addressOfIPv6() throws {
        let ssh = try LoopbackSSH()
        let pair = try DiskPair(dataByteCount: 2 << 20)
        for arguments in [
            [pair.primary, "[::1]:\(pair.replica)"],
            ["\(NSUserName())@[::1]:\(pair.primary)", pair.replica],
        ] {
            let ending = try Program.run(arguments + ssh.options() + ["-q"])
            #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        }
        #expect(try pair.replicaIsCurrent())
        #expect(ssh.log.contains("Connection from ::1 "))
    }

    @Test func makesAReplicaThere() throws {
        let ssh = try LoopbackSSH()
        let pair = try DiskPair(dataByteCount: 2 << 20)
        try FileManager.default.removeItem(atPath: pair.replica)
        let arguments = try [pair.primary, "localhost:\(pair.replica)", "-q"] + ssh.options()
        let missing = try Program.run(arguments)
        #expect(missing.status == ReturnCode.fileNotFound.exitStatus)
        #expect(
            missing.error.hasPrefix(
                "vhdresync: localhost: cannot open \(pair.replica): No such file or directory"),
            "\(missing.error)")
        let ending = try Program.run(arguments + ["--create"])
        #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        #expect(try pair.replicaIsCurrent())
    }

    @Test("Who is not let in, and a host that is not known, are said to be out of reach")
    func outOfReach() throws {
        let ssh = try LoopbackSSH()
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let before = try DiskPair.bytes(of: pair.replica)
        let cases = try [
            ("localhost", ssh.options(key: "stranger"), "Permission denied (publickey)"),
            ("nobody-of-this-name@localhost", ssh.options(), "Permission denied (publickey)"),
            ("localhost", ssh.options(knownHosts: "no-file"), "Host key verification failed"),
        ]
        for (host, options, reason) in cases {
            // The path is not there: nobody may learn that.
            for arguments in [
                [pair.primary, "\(host):/no/replica"], ["\(host):/no/primary", pair.replica],
            ] {
                let ending = try Program.run(arguments + options + ["-q"])
                #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus)
                #expect(ending.error.contains(reason), "\(ending.error)")
                #expect(
                    ending.error.hasSuffix(
                        "vhdresync: ssh ended with status 255; '--retry N' calls again, up to N "
                            + "times\n"), "\(ending.error)")
            }
        }
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func aMissingProgramThereIsNamed() throws {
        let ssh = try LoopbackSSH()
        let pair = try DiskPair(dataByteCount: 1 << 20)
        let options = try ssh.options().dropLast() + ["/nowhere/vhdresync"]
        let ending = try Program.run([pair.primary, "localhost:\(pair.replica)", "-q"] + options)
        #expect(ending.status == ReturnCode.systemNotAvailable.exitStatus)
        #expect(
            ending.error.contains("'--remote-command' says how vhdresync is started there"),
            "\(ending.error)")
    }

    @Test("A retry goes on where the connection broke")
    func retry() throws {
        let ssh = try LoopbackSSH()
        let pair = try DiskPair(dataByteCount: 48 << 20, isRandom: true)
        // The limit leaves enough to do for the cut to come in time.
        let running = try Program.Running(
            [pair.primary, "localhost:\(pair.replica)", "-q", "--json", "--retry", "3"]
                + ssh.options() + ["--bandwidth-limit", "16M"])
        try waitForJournal(pair.journal)
        try ssh.cutConnections()
        let ending = try running.wait()
        #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        let disk = try disk(ending)
        #expect(disk["blocksHeld"] as? Int ?? 0 > 0)
        #expect(try pair.replicaIsCurrent())
        #expect(ssh.log.ranges(of: "Accepted publickey for ").count == 2)
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

    // MARK: The key of docs/agent.md

    /// What the page puts in front of a key, for the program that was built.
    private func restriction() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/agent.md"), encoding: .utf8)
        let line = try #require(
            page.split(separator: "\n").first { $0.contains("restrict,command=") })
        let restriction = try #require(line.firstRange(of: " ssh-ed25519 ")).lowerBound
        return line[..<restriction].trimmingCharacters(in: .whitespaces)
            .replacing("/usr/local/bin/vhdresync", with: try Program.path().path)
    }

    @Test("A key that may do nothing else serves disks, whatever it is asked to do")
    func restrictedKey() throws {
        let restriction = try restriction()
        #expect(restriction.contains("command=\"\(try Program.path().path) agent --stdio\""))
        let ssh = try LoopbackSSH(restriction: restriction)
        let pair = try DiskPair(dataByteCount: 2 << 20)
        let made = pair.folder.file("made-by-a-client")
        let options = try ssh.options().dropLast() + ["touch \(made);"]
        let ending = try Program.run([pair.primary, "localhost:\(pair.replica)", "-q"] + options)
        #expect(ending.status == 0, "\(ending.error)\(ssh.log)")
        #expect(try pair.replicaIsCurrent())
        #expect(!FileManager.default.fileExists(atPath: made))
        #expect(ssh.log.contains("Accepted publickey for "))

        // Without the restriction that command is done.
        let open = try LoopbackSSH()
        let other = try open.options().dropLast() + ["touch \(made);"]
        let done = try Program.run([pair.primary, "localhost:\(pair.replica)", "-q"] + other)
        #expect(done.status == ReturnCode.systemNotAvailable.exitStatus, "\(done.error)")
        #expect(FileManager.default.fileExists(atPath: made))
    }
}
