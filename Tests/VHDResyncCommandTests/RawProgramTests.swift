import Foundation
import Glibc
import Replication
import TestSupport
import Testing
import VHDX

/// The built program with raw disks, and with the other ways of writing a replica.
@Suite struct RawProgramTests {
    private static let cloneRefusal = LoopMount.refusal(.xfs)
    private static let deviceRefusal = LoopDevice.refusal

    /// The primary of a pair as a raw disk.
    private func raw(_ pair: DiskPair) throws -> String {
        let path = pair.folder.file("primary.raw")
        try QEMU.img(["convert", "-O", "raw", pair.primary, path]).requireSuccess()
        return path
    }

    private func emptyRaw(_ pair: DiskPair) throws -> String {
        let path = pair.folder.file("replica.raw")
        try ExternalProgram.run("truncate", ["-s", "6G", path]).requireSuccess()
        return path
    }

    @Test func rawFilesHaveToBeCalledThat() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let primary = try raw(pair)
        for (arguments, option) in [
            ([primary, pair.replica], "--primary-format"),
            ([pair.primary, primary], "--replica-format"),
            (["map", primary, "-o", pair.folder.file("m")], "--primary-format"),
            (["diff", pair.primary, primary], "--replica-format"),
            (["recover", primary], "--replica-format"),
        ] {
            let ending = try Program.run(arguments)
            #expect(ending.status == ReturnCode.incorrectDataType.exitStatus)
            #expect(
                ending.error.contains(
                    "; if its bytes are those of the disk, say so with '\(option) raw'\n"),
                "\(ending.error)")
        }
        let info = try Program.run(["info", primary])
        #expect(info.status == ReturnCode.incorrectDataType.exitStatus)
        #expect(!info.error.contains("raw'"))
    }

    @Test func rawDisksAreRead() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let primary = try raw(pair)
        #expect(
            try Program.run([primary, pair.replica, "--primary-format", "raw", "-q"]).status == 0)
        #expect(try pair.replicaIsCurrent())
        // A new image has a geometry of its own.
        let new = pair.folder.file("new.vhdx")
        let made = try Program.run(["--create", "--primary-format", "raw", primary, new])
        #expect(made.status == 0, "\(made.error)")
        try QEMU.img(["check", new]).requireSuccess()
        #expect(try QEMU.compare(pair.primary, new))
    }

    @Test func rawDisksAreWrittenThroughTheirJournal() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let replica = try emptyRaw(pair)
        let format = ["--replica-format", "raw"]
        let bytes = try Program.run([pair.primary, replica, "--compare", "bytes"] + format)
        #expect(bytes.status == ReturnCode.invalidParameter.exitStatus)
        #expect(
            bytes.error.contains("the journal of a raw disk needs digests, since the disk cannot "))
        #expect(bytes.error.contains("use '--compare hash', or write without a journal with "))
        #expect(try Program.run([pair.primary, replica, "--json", "-q"] + format).status == 0)
        #expect(!FileManager.default.fileExists(atPath: replica + ".resync"))
        #expect(
            try QEMU.compare(pair.primary, replica, formats: ("vhdx", "raw")))
        #expect(
            try Program.run([pair.replica, replica, "--compare", "bytes", "--in-place"] + format)
                .status == 0)
        #expect(
            try QEMU.compare(pair.replica, replica, formats: ("vhdx", "raw")))
    }

    @Test func rawReplicasAreMade() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let replica = pair.folder.file("new.raw")
        #expect(
            try Program.run([pair.primary, replica, "--create", "--replica-format", "raw"]).status
                == 0)
        #expect(
            try QEMU.compare(pair.primary, replica, formats: ("vhdx", "raw")))
    }

    @Test func aRawReplicaDependsOnItsJournal() throws {
        let pair = try DiskPair(dataByteCount: 32 << 20)
        let replica = try emptyRaw(pair)
        let format = ["--replica-format", "raw"]
        // The first write to the disk is interrupted: by then the journal is durable.
        let launcher = [
            "strace", "-f", "-q", "-o", "/dev/null", "-P", replica, "-e", "trace=pwrite64", "-e",
            "inject=pwrite64:error=EIO:when=2+",
        ]
        let ending = try Program.run([pair.primary, replica] + format, launcher: launcher)
        #expect(ending.status == ReturnCode.failed.exitStatus, "\(ending.error)")
        #expect(
            ending.error.hasSuffix(
                "; the replica is half-written, which only its journal \(replica).resync tells: "
                    + "'vhdresync recover --replica-format raw \(replica)', or the next run, "
                    + "finishes it\n"), "\(ending.error)")
        let recovery = try Program.run(["recover", replica, "--json", "-q"] + format)
        #expect(recovery.status == 0, "\(recovery.error)")
        #expect(
            try QEMU.compare(pair.primary, replica, formats: ("vhdx", "raw")))
    }

    @Test(.enabled(if: deviceRefusal == nil, "\(deviceRefusal ?? "")"))
    func aDeviceHasItsJournalInAFolder() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20, virtualSize: 64 << 20)
        let device = try LoopDevice(byteCount: 64 << 20)
        for arguments in [[pair.primary, device.path], ["recover", device.path]] {
            let refused = try Program.run(arguments)
            #expect(refused.status == ReturnCode.invalidParameter.exitStatus)
            #expect(refused.error.contains("name a folder for it with '--journal-dir'\n"))
        }
        let folder = ["--journal-dir", pair.folder.path]
        let ending = try Program.run([pair.primary, device.path] + folder)
        #expect(ending.status == 0, "\(ending.error)")
        #expect(try Program.run(["recover", device.path] + folder).status == 0)
        #expect(
            try QEMU.compare(pair.primary, device.path, formats: ("vhdx", "raw")))
        // And as a primary.
        #expect(try Program.run([device.path, pair.replica]).status == 0)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func fileSystemWithoutClones() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let before = try DiskPair.bytes(of: pair.replica)
        let ending = try Program.run([pair.primary, pair.replica, "--apply", "clone"])
        // A machine whose temporary files are on such a file system has nothing to refuse.
        guard ending.status != 0 else { return }
        #expect(ending.status == ReturnCode.notSupported.exitStatus)
        #expect(ending.error.contains("; without '--apply clone' the replica is written from its "))
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test(.enabled(if: cloneRefusal == nil, "\(cloneRefusal ?? "")"))
    func aCloneTakesTheReplicasPlace() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let mount = try LoopMount(.xfs)
        let replica = mount.file("r.vhdx")
        try FileManager.default.copyItem(atPath: pair.replica, toPath: replica)
        let ending = try Program.run([pair.primary, replica, "--apply", "clone"])
        #expect(ending.status == 0, "\(ending.error)")
        #expect(ending.output.contains(", to a clone that took its place\n"))
        #expect(try QEMU.compare(pair.primary, replica))
        let left = try FileManager.default.contentsOfDirectory(atPath: mount.path)
        #expect(left == ["r.vhdx"])
    }
}
