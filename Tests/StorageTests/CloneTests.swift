import Foundation
import Storage
import TestSupport
import Testing

@Suite("Clones of files")
struct CloneTests {
    private static let refusal = LoopMount.refusal(.xfs)

    @Test("A file system that cannot share content leaves no file, and says nil")
    func notHere() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1, 2, 3])
        let file = try DiskFile(opening: path, for: .reading)
        // In memory nothing is shared.
        let other = "/dev/shm/vhdresync-\(UUID().uuidString)"
        #expect(throws: NotShared.self) { _ = try clone(of: file, to: other).name }
        #expect(try !DiskFile.remove(other))
    }

    @Test("A clone takes nobody's place")
    func alreadyThere() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        let taken = try directory.makeFile("taken", [2])
        let file = try DiskFile(opening: path, for: .reading)
        #expect(throws: FileError.alreadyExists(path: taken)) { _ = try file.clone(to: taken) }
        #expect(try DiskFile(opening: taken, for: .reading).bytes(at: 0, count: 1) == [2])
    }

    @Test(
        "A clone reads the same, costs no space, and is changed by itself",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func shares() throws {
        let volume = try LoopMount(.xfs)
        let size: UInt64 = 200 << 20
        let original = try DiskFile(creating: volume.file("disk"))
        try original.setByteCount(size + 777)
        try original.write([UInt8](repeating: 3, count: 100 << 20).rawSpan, at: 0)
        try original.write([UInt8](repeating: 4, count: 1000).rawSpan, at: size - 223)
        try original.flush()
        let free = try original.freeByteCount()

        let clone = try clone(of: original, to: volume.file("clone"))
        #expect(clone.name == volume.file("clone"))
        #expect(clone.wasCreated == true)
        #expect(try clone.openingFingerprint.encoded == clone.fingerprint().encoded)
        #expect(try clone.byteCount() == size + 777)
        #expect(try clone.bytes(at: 100 << 20 - 1, count: 2) == [3, 0])
        #expect(try clone.bytes(at: size + 776, count: 1) == [4])
        try clone.flushCompletely()
        #expect(try clone.freeByteCount() + (20 << 20) > free, "100 MiB are there once")
        #expect(try Volume.freeByteCount(at: volume.path) == clone.freeByteCount())

        try clone.write([UInt8](repeating: 9, count: 4096).rawSpan, at: 8192)
        try clone.deallocate(0..<4096)
        #expect(try original.bytes(at: 8192, count: 4096).allSatisfy { $0 == 3 })
        #expect(try original.bytes(at: 0, count: 1) == [3])
        #expect(try clone.bytes(at: 0, count: 1) == [0])
    }

    @Test(
        "A clone has owner, permissions, access list and attributes of the file",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func attributes() throws {
        let volume = try LoopMount(.xfs)
        let path = volume.file("disk")
        let original = try DiskFile(creating: path)
        try setAttribute("user.origin", [1, 2, 3], of: path)
        // Who made it; user 1234: read and write; group: nothing; mask: read and write.
        let list = accessList([
            (1, 6, .max), (2, 6, 1234), (4, 0, .max), (16, 6, .max), (32, 0, .max),
        ])
        try setAttribute("system.posix_acl_access", list, of: path)
        // Safe: the path ends with a zero.
        try #require(unsafe chown(path, 1001, 1002) == 0)
        try #require(unsafe chmod(path, 0o2660) == 0)

        _ = try clone(of: original, to: volume.file("clone")).name
        var status = stat()
        // Safe: the path ends with a zero, and stat fills the structure.
        try #require(unsafe stat(volume.file("clone"), &status) == 0)
        #expect(status.st_uid == 1001 && status.st_gid == 1002)
        #expect(status.st_mode & 0o7777 == 0o2660)
        #expect(attribute("user.origin", of: volume.file("clone")) == [1, 2, 3])
        #expect(attribute("system.posix_acl_access", of: volume.file("clone")) == list)
    }

    @Test(
        "A clone gets no access list from its folder that the file does not have",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func inherited() throws {
        let volume = try LoopMount(.xfs)
        let original = try DiskFile(creating: volume.file("disk"))
        let list = accessList([
            (1, 6, .max), (2, 6, 1234), (4, 6, .max), (16, 6, .max), (32, 0, .max),
        ])
        try setAttribute("system.posix_acl_default", list, of: volume.path)
        _ = try DiskFile(creating: volume.file("ordinary")).name
        #expect(attribute("system.posix_acl_access", of: volume.file("ordinary")) != nil)
        _ = try clone(of: original, to: volume.file("clone")).name
        #expect(attribute("system.posix_acl_access", of: volume.file("clone")) == nil)
    }

    @Test(
        "A clone that was flushed and renamed stands there after a power cut",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func durable() throws {
        var volume = try LoopMount(.xfs)
        let path = volume.file("disk")
        do {
            let original = try DiskFile(creating: path)
            try original.write([UInt8](repeating: 3, count: 1 << 20).rawSpan, at: 0)
            try original.flushCompletely()
            try Folder.flush(volume.path)
            let clone = try clone(of: original, to: volume.file("clone"))
            try clone.write([UInt8](repeating: 5, count: 4096).rawSpan, at: 4096)
            try clone.flushCompletely()
            try DiskFile.rename(volume.file("clone"), over: path)
            // This is lost.
            try clone.write([UInt8](repeating: 6, count: 4096).rawSpan, at: 8192)
            _ = try DiskFile(creating: volume.file("late")).name
            try volume.cutOff()
            #expect(throws: FileError.self) { try clone.flush() }
        }
        try volume.remount()
        #expect(try FileManager.default.contentsOfDirectory(atPath: volume.path) == ["disk"])
        let found = try DiskFile(opening: path, for: .reading)
        #expect(try found.bytes(at: 4095, count: 2) == [3, 5])
        #expect(try found.bytes(at: 8191, count: 2) == [5, 3])
    }

    @Test(
        "On a full file system a clone can be made, and what does not fit any more is an error",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func full() throws {
        let volume = try LoopMount(.xfs)
        let original = try DiskFile(creating: volume.file("disk"))
        try original.write([UInt8](repeating: 3, count: 64 << 20).rawSpan, at: 0)
        try original.flush()
        let clone = try clone(of: original, to: volume.file("clone"))
        let filler = try DiskFile(creating: volume.file("filler"))
        try filler.reserve(0..<(try filler.freeByteCount()) * 9 / 10)
        let large = [UInt8](repeating: 1, count: 64 << 20)
        let error = #expect(throws: FileError.self) { try clone.write(large.rawSpan, at: 0) }
        #expect(error?.operation == .write)
        #expect("\(error, default: "")".hasSuffix(": No space left on device"))
        #expect(try original.bytes(at: 0, count: 64 << 20).allSatisfy { $0 == 3 })
    }

    private struct NotShared: Error {}

    private func clone(of file: borrowing DiskFile, to path: String) throws -> DiskFile {
        guard let clone = try file.clone(to: path) else { throw NotShared() }
        return clone
    }

    /// An access list as the kernel takes it: version 2, then tag, permissions and identifier.
    private func accessList(
        _ entries: [(tag: UInt16, permissions: UInt16, id: UInt32)]
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4 + entries.count * 8)
        bytes.withMutableRawSpan { span in
            span.store(2 as UInt32, at: 0)
            for (index, entry) in entries.enumerated() {
                span.store(entry.tag, at: 4 + index * 8)
                span.store(entry.permissions, at: 6 + index * 8)
                span.store(entry.id, at: 8 + index * 8)
            }
        }
        return bytes
    }

    private func setAttribute(_ name: String, _ value: [UInt8], of path: String) throws {
        let text = "0x" + value.map { String(format: "%02x", $0) }.joined()
        let script = "import os, sys; os.setxattr(*sys.argv[1:3], bytes.fromhex(sys.argv[3][2:]))"
        try ExternalProgram.run("python3", ["-c", script, path, name, text]).requireSuccess()
    }

    private func attribute(_ name: String, of path: String) -> [UInt8]? {
        let script = "import os, sys; print(*os.getxattr(*sys.argv[1:3]))"
        let outcome = try? ExternalProgram.run("python3", ["-c", script, path, name])
        guard let outcome, outcome.isSuccess else { return nil }
        return outcome.output.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0) }
    }
}
