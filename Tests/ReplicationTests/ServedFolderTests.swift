import Foundation
import Resync
import Storage
import TestSupport
import Testing
import VHDX

@testable import Replication

@Suite("The folder that an agent serves")
struct ServedFolderTests {
    private let folder: TemporaryFolder
    private var root: String { folder.file("root") }

    init() throws {
        folder = try TemporaryFolder()
        let manager = FileManager.default
        for name in ["root", "root/vm", "root/vm/deep", "rootless"] {
            try manager.createDirectory(
                atPath: folder.file(name), withIntermediateDirectories: false)
        }
        let files = [
            "root/disk.vhdx", "root/vm/disk.vhdx", "root/vm/a.resync", "outside.vhdx",
            "rootless/disk.vhdx", "root/vm/ä ö.vhdx",
        ]
        for name in files { try Data([1]).write(to: URL(fileURLWithPath: folder.file(name))) }
        let links = [
            ("root/in.vhdx", "vm/disk.vhdx"), ("root/vm/up.vhdx", "../disk.vhdx"),
            ("root/vm/here", "deep"), ("root/out.vhdx", "../outside.vhdx"),
            ("root/vm/far.vhdx", "../../outside.vhdx"), ("root/up", ".."),
            ("root/absolute.vhdx", folder.file("outside.vhdx")),
            ("root/back.vhdx", folder.file("root/disk.vhdx")), ("root/sibling", "../rootless"),
            ("root/nowhere.vhdx", "missing.vhdx"), ("root/nowhere-out.vhdx", "../missing.vhdx"),
            ("root/loop", "loop"), ("root/journal.vhdx", "vm/a.resync"), ("root/null", "/dev/null"),
            ("root/process", "/proc/self/root"),
        ]
        for (name, target) in links {
            try manager.createSymbolicLink(
                atPath: folder.file(name), withDestinationPath: target)
        }
    }

    /// The path of what a client gets, from the root on, or the code of why it gets nothing.
    private func answer(_ path: String, _ role: Role) throws -> String {
        let served = try ServedFolder(opening: root)
        do throws(ResyncError) {
            let real = try served.realPath(of: path, role)
            #expect(real.hasPrefix(served.path + "/"))
            return String(real.dropFirst(served.path.count + 1))
        } catch {
            #expect(!"\(error)".contains(served.path), "\(error)")
            #expect("\(error)" == "\(error)".printable)
            return "\(ReturnCode(error).rawValue)"
        }
    }

    @Test(
        "A path leads to a regular file beneath the folder, or nowhere",
        arguments: [
            ("disk.vhdx", "disk.vhdx"), ("/disk.vhdx", "disk.vhdx"),
            ("//vm///disk.vhdx", "vm/disk.vhdx"), ("./vm/./disk.vhdx", "vm/disk.vhdx"),
            ("vm/ä ö.vhdx", "vm/ä ö.vhdx"),
            ("in.vhdx", "vm/disk.vhdx"), ("vm/up.vhdx", "disk.vhdx"),
            ("..", "32769"), ("../outside.vhdx", "32769"), ("vm/../disk.vhdx", "32769"),
            ("vm/../../outside.vhdx", "32769"), ("/..", "32769"),
            ("out.vhdx", "32769"), ("vm/far.vhdx", "32769"), ("up/outside.vhdx", "32769"),
            ("absolute.vhdx", "32769"), ("back.vhdx", "32769"), ("sibling/disk.vhdx", "32769"),
            ("up/root/disk.vhdx", "32769"), ("loop", "32769"), ("loop/x", "32769"),
            ("null", "32769"), ("process/etc/hostname", "32769"),
            ("vm/a.resync", "32769"), ("journal.vhdx", "32769"), ("b.resync-clone", "32769"),
            ("disk.vhdx\n", "32769"), ("disk\u{0}.vhdx", "32769"), ("\u{9B}2J", "32769"),
            ("", "32776"), ("/", "32776"), (".", "32776"), ("vm", "32776"), ("vm/here", "32776"),
            ("disk.vhdx/x", "32779"), ("missing/x.vhdx", "32779"),
            (String(repeating: "n", count: 256), "32779"),
        ])
    func paths(_ path: String, _ expected: String) throws {
        #expect(try answer(path, .primary) == expected)
        let isLong = path.utf8.count == 256
        #expect(try answer(path, .replica) == (isLong ? path : expected))
    }

    @Test(
        "A replica need not exist, but its folder",
        arguments: [
            ("new.vhdx", "new.vhdx", "32779"), ("vm/new.vhdx", "vm/new.vhdx", "32779"),
            ("vm/here/new.vhdx", "vm/deep/new.vhdx", "32779"),
            ("nowhere.vhdx", "32769", "32779"), ("nowhere-out.vhdx", "32769", "32769"),
            ("up/new.vhdx", "32769", "32769"), ("missing/new.vhdx", "32779", "32779"),
        ])
    func newFiles(_ path: String, _ asReplica: String, _ asPrimary: String) throws {
        #expect(try answer(path, .replica) == asReplica)
        #expect(try answer(path, .primary) == asPrimary)
    }

    @Test("Pipes and devices are no disks")
    func specialFiles() throws {
        try ExternalProgram.run("mkfifo", [root + "/pipe"]).requireSuccess()
        #expect(try answer("pipe", .primary) == "32776")
        // Only the superuser can make one.
        let device = try ExternalProgram.run("mknod", [root + "/device", "b", "7", "0"])
        guard device.isSuccess else { return }
        #expect(try answer("device", .primary) == "32769")
        #expect(try answer("device", .replica) == "32769")
    }

    @Test("The folder stays the one that was opened")
    func renamedRoot() throws {
        let served = try ServedFolder(opening: root)
        let manager = FileManager.default
        try manager.moveItem(atPath: root, toPath: folder.file("former"))
        try manager.createSymbolicLink(
            atPath: root, withDestinationPath: folder.file("rootless"))
        #expect(throws: ResyncError.self) { try served.realPath(of: "disk.vhdx", .primary) }
    }

    @Test("A mark that names a file as its journal is not believed where it must not be")
    func journalOfMark() throws {
        let path = root + "/marked.vhdx"
        let victim = folder.file("victim")
        try Data("important".utf8).write(to: URL(fileURLWithPath: victim))
        try ImageCreation.create(ImageSpecification(virtualSize: 64 << 20), at: path)
        let writer = try ImageWriter(openingImageAt: path)
        try writer.setMark(ApplyMark(streamID: .random(), journalPath: victim))
        try writer.close()
        func recover(trusting: Bool) -> String {
            var options = ResyncOptions(workerCount: 1)
            options.trustsJournalPathOfMark = trusting
            do {
                _ = try ReplicaRecovery(replica: path, options: options)
                    .recover(monitor: ResyncMonitor())
                return "none"
            } catch {
                switch error {
                case .foreignJournal(victim, _): return "it looks at the file"
                case .missingJournal: return "it does not"
                default: return "\(error)"
                }
            }
        }
        #expect(recover(trusting: true) == "it looks at the file")
        #expect(recover(trusting: false) == "it does not")
    }
}
