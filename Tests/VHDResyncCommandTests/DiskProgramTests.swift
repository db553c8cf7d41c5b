import Foundation
import Glibc
import Replication
import Storage
import TestSupport
import Testing
import VHDX

/// The built program on disks: each return code that can occur, and what it leaves behind.
@Suite struct DiskProgramTests {
    /// Runs the main job on a pair where one file is wrong, and expects both to stay as they are.
    private func expectRefusal(
        _ code: ReturnCode, _ sentence: String, of pair: DiskPair, _ options: [String] = [],
        launcher: [String] = []
    ) throws {
        let before = [pair.primary, pair.replica].map { try? DiskPair.bytes(of: $0) }
        let ending = try Program.run(
            options + [pair.primary, pair.replica], launcher: launcher)
        #expect(ending.status == code.exitStatus, "\(ending.error)")
        #expect(!ending.wasKilled)
        #expect(ending.error.hasPrefix("vhdresync: "), "\(ending.error)")
        #expect(ending.error.contains(sentence), "\(ending.error)")
        #expect(ending.error.filter { $0 == "\n" }.count == 1)
        #expect(ending.output.isEmpty)
        let after = [pair.primary, pair.replica].map { try? DiskPair.bytes(of: $0) }
        #expect(before == after)
    }

    @Test func bringsAReplicaUpToDate() throws {
        let pair = try DiskPair()
        let ending = try Program.run([pair.primary, pair.replica, "--json", "--quiet", "--verify"])
        #expect(ending.status == 0)
        #expect(ending.error.isEmpty)
        let object = try JSONKeys.object(ending.output)
        #expect(object["returnValue"] as? Int == 0)
        let disk = try #require((object["disks"] as? [[String: Any]])?.first)
        #expect(disk["verified"] as? Bool == true)
        #expect(disk["blocksTotal"] as? Int == 6 << 14)
        // 16 MiB of data, of which the replica held the first.
        #expect(disk["blocksDiffering"] as? Int == 15 * 16)
        #expect(disk["blocksCompared"] as? Int == 16 * 16)
        #expect(disk["bytesWritten"] as? Int == 15 << 20)
        let phases = try #require(disk["phases"] as? [String: [String: Int]])
        #expect(phases["comparing"] == ["bytes": 6 << 30])
        #expect((phases["receiving"]?["bytes"] ?? 0) > 0)
        #expect(phases["applying"] == ["bytes": 15 << 20])
        #expect(phases["verifying"] == ["bytes": (15 << 20) + (6 << 30)])
        #expect((disk["rootDigest"] as? String)?.count == 64)
        #expect(try pair.replicaIsCurrent())

        let before = try DiskPair.bytes(of: pair.replica)
        let again = try Program.run([pair.primary, pair.replica])
        #expect(again.status == 0)
        #expect(again.output.contains("reads as"))
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func progressGoesThroughItsPhases() throws {
        let pair = try DiskPair()
        let ending = try Program.run(
            [pair.primary, pair.replica, "--progress", "json", "--verify"],
            launcher: SlowRun.launcher)
        #expect(ending.status == 0)
        var phases: [String] = []
        var percent = 0
        for line in ending.error.split(separator: "\n") where line.hasPrefix("{") {
            let event = try JSONKeys.object(String(line))
            #expect(Set(event.keys) == JSONKeys.progressEvent)
            let phase = try #require(event["phase"] as? String)
            if phase != phases.last { phases.append(phase) }
            let now = try #require(event["percentComplete"] as? Int)
            #expect(now >= percent, "\(line)")
            percent = now
            let done = try #require(event["bytesDone"] as? Int)
            #expect(done <= (event["bytesToDo"] as? Int ?? 0), "\(line)")
            if phase == "verifying", done > 0 { #expect(percent >= 53, "\(line)") }
        }
        #expect(percent == 100)
        // Writing may be over between two looks.
        phases.removeAll { $0 == "opening" || $0 == "applying" }
        #expect(phases == ["comparing", "verifying", "finished"])
    }

    @Test func aDryRunAndADiffChangeNothing() throws {
        let pair = try DiskPair()
        let before = try DiskPair.bytes(of: pair.replica)
        for arguments in [["--dry-run", pair.primary], ["diff", pair.primary]] {
            let ending = try Program.run(arguments + [pair.replica])
            #expect(ending.status == 0)
            #expect(ending.output.contains("240 blocks"), "\(ending.output)")
        }
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func comparesWithAMap() throws {
        let pair = try DiskPair()
        let map = pair.folder.file("replica.map")
        #expect(try Program.run(["map", pair.replica, "-o", map, "-q"]).status == 0)
        let ending = try Program.run(["diff", pair.primary, map, "--json", "-q"])
        #expect(ending.status == 0)
        let disk = try #require(
            (try JSONKeys.object(ending.output)["disks"] as? [[String: Any]])?.first)
        #expect(disk["blocksDiffering"] as? Int == 240)
        #expect(disk["verified"] as? Bool == false)
    }

    /// On a file that nothing has changed for longer than it takes to build the program.
    @Test func trustsAMapOfADiskThatDidNotChange() throws {
        let folder = try TemporaryFolder()
        let (old, output) = (folder.file("old"), folder.file("new"))
        let disk = TestImage.folder + "/../Package.swift"
        func map(_ options: [String]) throws -> [String: Any] {
            let ending = try Program.run(
                ["map", disk, "--primary-format", "raw", "--json", "-q"] + options)
            #expect(ending.status == 0, "\(ending.error)")
            let disks = try JSONKeys.object(ending.output)["disks"] as? [[String: Any]]
            return try #require(disks?.first)
        }
        let first = try map(["-o", old, "--reuse"])
        #expect(first["reused"] as? Bool == false)
        #expect(first["notReusedReason"] as? String == "noMap")
        for options in [["-o", old, "--reuse"], ["-o", output, "--reuse=\(old)"]] {
            let again = try map(options)
            #expect(again["reused"] as? Bool == true)
            #expect(again["notReusedReason"] is NSNull)
            #expect(again["bytesRead"] as? Int == 0)
            #expect(again["rootDigest"] as? String == first["rootDigest"] as? String)
        }
        #expect(try DiskPair.bytes(of: old) == DiskPair.bytes(of: output))
        let other = try map(["-o", output, "--reuse", "--block-size", "4K"])
        #expect(other["notReusedReason"] as? String == "blockSize")
        #expect(try map(["-o", output])["notReusedReason"] is NSNull)

        try Data("vhdresync".utf8).write(to: URL(filePath: old))
        let damaged = try Program.run(
            ["map", disk, "--primary-format", "raw", "-o", output, "--reuse=\(old)"])
        #expect(damaged.status == ReturnCode.incorrectDataType.exitStatus)
        #expect(damaged.error.contains("\(old) is not a digest map"), "\(damaged.error)")
    }

    @Test func hashesTheSameByEach() throws {
        let pair = try DiskPair()
        let maps = try ["auto", "openssl"].map { provider in
            let map = pair.folder.file(provider)
            let ending = try Program.run(
                ["map", pair.primary, "-o", map, "-q", "--hash-provider", provider])
            #expect(ending.status == 0)
            // The disk is old enough for its state to be in the one map, and was not for the other.
            let info = try JSONKeys.object(try Program.run(["info", map, "--json"]).output)
            return (info["map"] as? [String: Any])?["rootDigest"] as? String
        }
        #expect(maps[0] == maps[1] && maps[0] != nil)
        #expect(try Program.run(["map", pair.primary, "--hash-provider", "md5"]).status != 0)
    }

    @Test func makesAReplica() throws {
        let pair = try DiskPair()
        try FileManager.default.removeItem(atPath: pair.replica)
        #expect(try Program.run(["-n", "--create", pair.primary, pair.replica]).status == 0)
        #expect(!FileManager.default.fileExists(atPath: pair.replica))
        #expect(try Program.run(["--create", pair.primary, pair.replica]).status == 0)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func notVHDX() throws {
        let pair = try DiskPair()
        let wrong: [(name: String, content: String?)] = [
            ("empty", ""), ("text", String(repeating: "not a disk\n", count: 200_000)),
            ("folder", nil),
        ]
        for (name, content) in wrong {
            let path = pair.folder.file(name)
            if let content {
                try Data(content.utf8).write(to: URL(filePath: path))
            } else {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: false)
            }
            for disks in [[path, pair.replica], [pair.primary, path]] {
                let before = try DiskPair.bytes(of: pair.replica)
                let ending = try Program.run(disks)
                #expect(ending.status == ReturnCode.incorrectDataType.exitStatus, "\(disks)")
                #expect(ending.error.contains(path))
                #expect(try DiskPair.bytes(of: pair.replica) == before)
            }
        }
    }

    @Test func truncated() throws {
        for count in [300 << 10, 2 << 20, 6 << 20] {
            let pair = try DiskPair()
            try truncate(pair.primary, to: count)
            try expectRefusal(.failed, "truncated", of: pair)
            let other = try DiskPair()
            try truncate(other.replica, to: min(count, 4 << 20))
            try expectRefusal(.failed, "truncated", of: other)
        }
    }

    @Test func sizesDiffer() throws {
        let pair = try DiskPair()
        try FileManager.default.removeItem(atPath: pair.replica)
        try ImageCreation.create(ImageSpecification(virtualSize: 5 << 30), at: pair.replica)
        try expectRefusal(.invalidState, "the virtual sizes differ", of: pair)
    }

    @Test func parentIsMissing() throws {
        let pair = try DiskPair()
        let image = try TestImage.unpack("fat-differential.vhdx", in: pair.folder)
        try FileManager.default.removeItem(atPath: pair.folder.file("fat-parent.vhdx"))
        let ending = try Program.run([image, pair.replica])
        #expect(ending.status == ReturnCode.fileNotFound.exitStatus)
        #expect(ending.error.contains("cannot find the parent of"))
    }

    @Test func accessDenied() throws {
        let pair = try DiskPair()
        // The one who may read everything has to give that up first.
        let launcher =
            getuid() == 0 ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : []
        for path in [pair.primary, pair.replica] {
            try setPermissions(of: path, to: 0)
            let ending = try Program.run([pair.primary, pair.replica], launcher: launcher)
            #expect(ending.status == ReturnCode.accessDenied.exitStatus, "\(ending.error)")
            #expect(ending.error == "vhdresync: cannot open \(path): Permission denied\n")
            try setPermissions(of: path, to: 0o600)
        }
    }

    @Test func lockedByAnother() throws {
        let pair = try DiskPair()
        for (path, access) in [
            (pair.replica, DiskFile.Access.reading), (pair.replica, .writing),
            (pair.primary, .writing),
        ] {
            let file = try DiskFile(opening: path, for: access)
            try file.lock(for: access)
            try expectRefusal(.systemInUse, "another process is using it", of: pair)
            withExtendedLifetime(file) {}
        }
    }

    @Test(
        "An image that QEMU holds open is in use",
        arguments: [(["-r"], false), ([], false), ([], true)] as [([String], Bool)])
    func lockedByQEMU(_ options: [String], holdsPrimary: Bool) throws {
        let pair = try DiskPair()
        let holder = Process()
        let input = Pipe()
        let output = Pipe()
        holder.executableURL = URL(filePath: "/usr/bin/env")
        let path = holdsPrimary ? pair.primary : pair.replica
        holder.arguments = ["qemu-io", "-f", "vhdx"] + options + [path]
        holder.standardInput = input
        holder.standardOutput = output
        try holder.run()
        // Once it answers, the image is open.
        try input.fileHandleForWriting.write(contentsOf: Data("read 0 512\n".utf8))
        var answer = Data()
        while !String(decoding: answer, as: UTF8.self).contains("512 bytes") {
            let more = output.fileHandleForReading.availableData
            try #require(!more.isEmpty)
            answer += more
        }
        try expectRefusal(.systemInUse, "another process is using it", of: pair)
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
    }

    @Test func outOfMemory() throws {
        let pair = try DiskPair()
        // 16 MiB blocks need buffers that this limit does not leave room for.
        try expectRefusal(
            .outOfMemory, "no memory", of: pair, ["--block-size", "16M"],
            launcher: ["prlimit", "--data=\(24 << 20)"])
    }

    @Test func timeLimit() throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let ending = try Program.run(
            ["--timeout", "0.3", pair.primary, pair.replica], launcher: SlowRun.launcher)
        #expect(ending.status == ReturnCode.timeout.exitStatus, "\(ending.error)")
        #expect(ending.error.contains("the time limit was reached"))
        try expectThatTheNextRunFinishes(pair)
    }

    @Test func survivesBeingKilled() throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let running = try SlowRun.untilItWrites(pair)
        running.send(SIGKILL)
        #expect(try running.wait().wasKilled)
        try expectThatTheNextRunFinishes(pair)
    }

    @Test(arguments: [["--compare", "hash"], ["--compare", "bytes"], ["--in-place"]])
    func primaryThatChanges(_ options: [String]) throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let running =
            options.contains("--in-place")
            ? try SlowRun.untilItWrites(pair, options) : try SlowRun.untilItRecords(pair, options)
        // Somebody who knows nothing of locks writes to the last run of data.
        let file = try #require(FileHandle(forUpdatingAtPath: pair.primary))
        try file.seekToEnd()
        try file.seek(toOffset: try file.offset() - 4096)
        try file.write(contentsOf: Data([1, 2, 3]))
        try file.close()
        let ending = try running.wait()
        #expect(ending.status == ReturnCode.invalidState.exitStatus, "\(ending.error)")
        #expect(ending.error.contains("was changed while it was being read"))
        try expectThatTheNextRunFinishes(pair)
    }

    /// Runs the main job on a file system of 32 MiB with the replica alone, of which it then leaves
    /// a copy under the name.
    private func runOnSmallFileSystem(
        _ pair: DiskPair, _ options: [String], leaving result: String
    ) throws -> ProgramOutcome {
        let mount = pair.folder.file("mount")
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        // In a mount namespace of its own, which ends with the shell.
        let script = """
            mount -t tmpfs -o size=32m tmpfs "$1" && cp --sparse=always "$2" "$1/r.vhdx" || exit 99
            primary=$3 result=$4 program=$5 replica=$1/r.vhdx; shift 5
            "$program" -q "$primary" "$replica" "$@"; status=$?
            cp --sparse=always "$replica" "$result" || exit 98
            exit $status
            """
        let namespace = getuid() == 0 ? ["-m"] : ["-r", "-m"]
        return try ExternalProgram.run(
            "unshare",
            namespace + [
                "sh", "-c", script, "sh", mount, pair.replica, pair.primary, result,
                try Program.path().path,
            ] + options)
    }

    @Test func fullFileSystem() throws {
        let pair = try DiskPair(dataByteCount: 48 << 20, isRandom: true)
        let before = try DiskPair.bytes(of: pair.replica)
        let folder = pair.folder.file("journals")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let cases: [(options: [String], sentences: [String])] = [
            // The journal is in the way of itself.
            (
                [],
                [
                    "r.vhdx.resync at byte ", "No space left on device; the journal had ",
                    " are free without it: free space there, name a folder of another file system "
                        + "for the journal with '--journal-dir', or write",
                    "; the replica is as it was\n",
                ]
            ),
            // Elsewhere it has room, and then the replica has not.
            (
                ["--journal-dir", folder],
                [
                    "no space for ", ": it has to grow by ",
                    " are free; free space there, or write",
                    "; the replica is as it was\n",
                ]
            ),
        ]
        for (options, sentences) in cases {
            let result = pair.folder.file("result.vhdx")
            let outcome = try runOnSmallFileSystem(pair, options, leaving: result)
            #expect(outcome.status == ReturnCode.failed.exitStatus, "\(outcome)")
            for sentence in sentences {
                #expect(outcome.errorOutput.contains(sentence), "\(outcome)")
            }
            #expect(try DiskPair.bytes(of: result) == before)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test func fullFileSystemInPlace() throws {
        let pair = try DiskPair(dataByteCount: 48 << 20)
        let result = pair.folder.file("result.vhdx")
        let outcome = try runOnSmallFileSystem(pair, ["--in-place"], leaving: result)
        #expect(outcome.status == ReturnCode.failed.exitStatus, "\(outcome)")
        #expect(outcome.errorOutput.contains("No space left on device; free space there; up to "))
        #expect(
            outcome.errorOutput.contains(
                "the replica refuses to open until a run has finished it: run the same command"),
            "\(outcome)")
        #expect(try Program.run(["diff", pair.primary, result]).status == 8)
        #expect(try Program.run([pair.primary, result]).status == 0)
        try QEMU.img(["check", result]).requireSuccess()
        #expect(try QEMU.img(["compare", pair.primary, result]).isSuccess)
    }

    private func truncate(_ path: String, to count: Int) throws {
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.truncate(atOffset: UInt64(count))
        try file.close()
    }

    private func setPermissions(of path: String, to mode: Int) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    private func expectThatTheNextRunFinishes(_ pair: DiskPair) throws {
        // A killed run may leave a log to replay, which only a writer does.
        #expect(try Program.run(["info", pair.replica]).status == 0)
        let ending = try Program.run([pair.primary, pair.replica])
        #expect(ending.status == 0, "\(ending.error)")
        #expect(try pair.replicaIsCurrent())
    }
}
