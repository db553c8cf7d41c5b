import Foundation
import Glibc
import Replication
import TestSupport
import Testing

/// The built program, interrupted: what each kind of stop leaves behind, what the program says of it,
/// and who finishes it.
@Suite struct JournalProgramTests {
    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func disk(_ ending: Program.Ending) throws -> [String: Any] {
        let object = try JSONKeys.object(ending.output)
        let disk = try #require((object["disks"] as? [[String: Any]])?.first)
        #expect(Set(disk.keys) == JSONKeys.disk)
        return disk
    }

    private func bytes(of phase: String, _ disk: [String: Any]) throws -> Int {
        let phases = try #require(disk["phases"] as? [String: [String: Int]])
        return try #require(phases[phase]?["bytes"])
    }

    private func expectCurrent(_ pair: DiskPair) throws {
        #expect(try pair.replicaIsCurrent())
        #expect(!exists(pair.journal))
    }

    /// A replica that is half-written, with its journal.
    private func interruptedPair() throws -> DiskPair {
        let pair = try DiskPair(dataByteCount: 32 << 20)
        let running = try SlowRun.untilItIsMarked(pair)
        running.send(SIGKILL)
        #expect(try running.wait().wasKilled)
        #expect(exists(pair.journal))
        return pair
    }

    // MARK: Stops

    @Test("A stop before the commit point keeps what was recorded", arguments: [SIGINT, SIGTERM])
    func stopWhileRecording(_ signal: Int32) throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let before = try DiskPair.bytes(of: pair.replica)
        let running = try SlowRun.untilItRecords(pair, ["--json", "-q"])
        running.send(signal)
        let ending = try running.wait()
        #expect(ending.status == ReturnCode.failed.exitStatus)
        #expect(!ending.wasKilled)
        #expect(
            ending.error.contains(
                "stopped on request; the replica is as it was, and what was recorded is kept in "),
            "\(ending.error)")
        let job = try #require(try JSONKeys.object(ending.output)["job"] as? [String: Any])
        #expect(job["jobState"] as? Int == 8)
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        #expect(try bytes(of: "receiving", try disk(ending)) > 0)
        #expect(try bytes(of: "applying", try disk(ending)) == 0)

        let journal = try Program.run(["info", "--json", pair.journal])
        let delta = try #require(try JSONKeys.object(journal.output)["delta"] as? [String: Any])
        #expect(delta["kind"] as? String == "journal")
        #expect(delta["isComplete"] as? Bool == false)
        let recovery = try Program.run(["recover", pair.replica])
        #expect(recovery.status == 0)
        #expect(recovery.output.contains("unfinished: the next run goes on with it\n"))

        let next = try Program.run([pair.primary, pair.replica, "--json", "-q"])
        #expect(next.status == 0, "\(next.error)")
        #expect((try disk(next)["blocksHeld"] as? Int ?? 0) > 0)
        try expectCurrent(pair)
    }

    @Test func stopWhileWriting() throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let running = try SlowRun.untilItWrites(pair, ["--json", "-q"])
        running.send(SIGINT)
        let ending = try running.wait()
        #expect(ending.status == ReturnCode.failed.exitStatus)
        #expect(
            ending.error
                == "vhdresync: stopped on request; the replica is half-written, and refuses to open "
                + "until 'vhdresync recover \(pair.replica)', or the next run, has finished it\n")
        #expect(try !QEMU.img(["compare", pair.primary, pair.replica]).isSuccess)
        let compared = try Program.run(["diff", pair.primary, pair.replica])
        #expect(compared.status == ReturnCode.invalidState.exitStatus)
        #expect(compared.error.contains("; 'vhdresync recover \(pair.replica)' finishes it\n"))
        let info = try Program.run(["info", pair.replica])
        #expect(info.output.contains("half-written: "))

        let next = try Program.run([pair.primary, pair.replica, "--json", "-q"])
        #expect(next.status == 0, "\(next.error)")
        let recovery = try #require(try disk(next)["recovery"] as? [String: Any])
        #expect(Set(recovery.keys) == JSONKeys.recovery)
        #expect(recovery["outcome"] as? String == "finished")
        #expect(try disk(next)["blocksDiffering"] as? Int == 0)
        try expectCurrent(pair)
    }

    @Test func timeLimitInPlace() throws {
        let pair = try DiskPair(dataByteCount: 64 << 20)
        let running = try SlowRun.untilItWrites(pair, ["--in-place", "--progress", "none"])
        running.send(SIGTERM)
        let ending = try running.wait()
        #expect(
            ending.error.hasSuffix(
                "written, and the replica refuses to open until a run has finished it: run the "
                    + "same command again\n"), "\(ending.error)")
        #expect(!exists(pair.journal))
        // Nothing but a primary can finish it.
        let recovery = try Program.run(["recover", pair.replica])
        #expect(recovery.status == ReturnCode.invalidState.exitStatus)
        #expect(recovery.error.contains("a resynchronization in place was interrupted; run the "))
        let compared = try Program.run(["diff", pair.primary, pair.replica])
        #expect(compared.status == ReturnCode.invalidState.exitStatus)
        #expect(compared.error.contains("; run the resynchronization again\n"))
        // With a journal as well as without.
        #expect(try Program.run([pair.primary, pair.replica]).status == 0)
        try expectCurrent(pair)
    }

    // MARK: Recovery

    @Test func recoverFinishesTheReplica() throws {
        let pair = try interruptedPair()
        let ending = try Program.run(["recover", pair.replica, "--json", "-q"])
        #expect(ending.status == 0, "\(ending.error)")
        let disk = try disk(ending)
        #expect(disk["primary"] as? String == pair.journal)
        #expect(disk["virtualSize"] as? Int == 6 << 30)
        #expect(disk["blocksHeld"] as? Int == 31 * 16)
        #expect(disk["bytesWritten"] as? Int == 31 << 20)
        #expect((disk["rootDigest"] as? String)?.count == 64)
        #expect(disk["verified"] as? Bool == true)
        #expect(try bytes(of: "applying", disk) == 31 << 20)
        #expect(try bytes(of: "verifying", disk) == 31 << 20)
        #expect(try bytes(of: "comparing", disk) == 0)
        try expectCurrent(pair)

        let again = try Program.run(["recover", pair.replica])
        #expect(again.status == 0)
        #expect(again.output == "\(pair.replica) is whole: there is nothing to recover\n")
        let object = try self.disk(try Program.run(["recover", pair.replica, "--json"]))
        #expect((object["recovery"] as? [String: Any])?["outcome"] as? String == "nothingToDo")
        #expect(object["primary"] is NSNull)
        #expect(object["verified"] as? Bool == false)
    }

    @Test func recoverSaysWhatItDid() throws {
        let pair = try interruptedPair()
        let ending = try Program.run(["recover", pair.replica])
        #expect(ending.status == 0)
        #expect(ending.output.hasPrefix("\(pair.replica) is whole again: verified\n"))
        #expect(ending.output.contains("finished: what \(pair.journal) held from an earlier run\n"))
        try expectCurrent(pair)
    }

    @Test func aMissingJournalLeavesTheReplicaToTheNextRun() throws {
        let pair = try interruptedPair()
        try FileManager.default.removeItem(atPath: pair.journal)
        let recovery = try Program.run(["recover", pair.replica])
        #expect(recovery.status == ReturnCode.invalidState.exitStatus)
        #expect(
            recovery.error
                == "vhdresync: \(pair.replica) is half-written, and its journal \(pair.journal) is "
                + "not there; run the resynchronization again: it compares everything and makes "
                + "the replica whole\n")
        #expect(try Program.run([pair.primary, pair.replica]).status == 0)
        try expectCurrent(pair)
    }

    @Test func aJournalThatIsAnothersIsLeftAlone() throws {
        let pair = try interruptedPair()
        let other = try DiskPair()
        let before = try DiskPair.bytes(of: other.replica)
        try FileManager.default.copyItem(atPath: pair.journal, toPath: other.journal)
        for arguments in [[other.primary], ["recover"]] {
            let ending = try Program.run(arguments + [other.replica])
            #expect(ending.status == ReturnCode.invalidState.exitStatus)
            #expect(ending.error.contains("is not the journal of this replica: it builds on "))
            #expect(ending.error.contains("; if nothing needs that file any more, remove it and "))
        }
        #expect(try DiskPair.bytes(of: other.replica) == before)
        #expect(try DiskPair.bytes(of: other.journal) == DiskPair.bytes(of: pair.journal))
        try Data("not a journal".utf8).write(to: URL(filePath: other.journal))
        let ending = try Program.run([other.primary, other.replica])
        #expect(ending.status == ReturnCode.invalidState.exitStatus)
        #expect(ending.error.contains("is not the journal of this replica: it is no journal"))
    }

    @Test func aDamagedJournalIsNotWritten() throws {
        let pair = try interruptedPair()
        var bytes = try DiskPair.bytes(of: pair.journal)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(filePath: pair.journal))
        for arguments in [["recover"], [pair.primary]] {
            let ending = try Program.run(arguments + [pair.replica])
            #expect(ending.status == ReturnCode.failed.exitStatus)
            #expect(ending.error.contains("\(pair.journal) is damaged: "), "\(ending.error)")
            #expect(ending.error.contains("; it was to be the journal of the replica: remove it"))
        }
        try FileManager.default.removeItem(atPath: pair.journal)
        #expect(try Program.run([pair.primary, pair.replica]).status == 0)
        try expectCurrent(pair)
    }

    @Test func theJournalMayStandElsewhere() throws {
        let pair = try DiskPair(dataByteCount: 32 << 20)
        let folder = pair.folder.file("journals")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let running = try SlowRun.untilItWrites(pair, ["--journal-dir", folder, "-q"])
        running.send(SIGINT)
        let ending = try running.wait()
        #expect(
            ending.error.contains("'vhdresync recover --journal-dir \(folder) \(pair.replica)'"))
        #expect(!exists(pair.journal))
        #expect(exists(folder + "/replica.vhdx.resync"))
        // An image says itself where its journal stands.
        #expect(try Program.run(["recover", pair.replica]).status == 0)
        #expect(!exists(folder + "/replica.vhdx.resync"))
        try expectCurrent(pair)
    }
}
