import Foundation
import Storage
import TestSupport
import Testing

@Suite("DiskFile")
struct DiskFileTests {
    @Test("It keeps the promises of every RandomAccessFile")
    func contract() throws {
        let directory = try TemporaryDirectory()
        try RandomAccessFileContract.check(try DiskFile(creating: directory.path(of: "disk")))
    }

    @Test("What one object writes, another reads")
    func shared() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [UInt8](repeating: 7, count: 100))
        let writer = try DiskFile(opening: path, for: .writing)
        let reader = try DiskFile(opening: path, for: .reading)
        try writer.write(([1, 2] as [UInt8]).rawSpan, at: 50)
        try writer.flush()
        try writer.flushCompletely()
        #expect(try reader.bytes(at: 49, count: 4) == [7, 1, 2, 7])
        #expect(reader.name == path)
        reader.dropCache()
        #expect(try reader.bytes(at: 49, count: 4) == [7, 1, 2, 7])
    }

    @Test("A file opened for reading cannot be changed")
    func readingOnly() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1, 2, 3])
        let file = try DiskFile(opening: path, for: .reading)
        #expect(throws: FileError.system(.write, path: path, at: 1, errno: EBADF)) {
            try file.write(([9] as [UInt8]).rawSpan, at: 1)
        }
        let resizing = #expect(throws: FileError.self) { try file.setByteCount(0) }
        #expect(resizing?.operation == .resize)
        #expect(throws: FileError.system(.deallocate, path: path, at: 0, errno: EBADF)) {
            try file.deallocate(0..<3)
        }
        #expect(throws: FileError.system(.write, path: path, at: 0, errno: EBADF)) {
            try file.writeZeros(0..<3)
        }
        #expect(throws: FileError.system(.allocate, path: path, at: 0, errno: EBADF)) {
            try file.reserve(0..<9)
        }
        #expect(try file.bytes(at: 0, count: 3) == [1, 2, 3])
    }

    @Test("Only regular files are opened, and a pipe without a writer is not waited for")
    func kinds() throws {
        let directory = try TemporaryDirectory()
        let pipe = directory.path(of: "pipe")
        // Safe: the path ends with a zero.
        try #require(unsafe mkfifo(pipe, 0o600) == 0)
        for path in [directory.path, pipe, "/dev/null", "/dev/zero"] {
            for access in [.reading, .writing] as [DiskFile.Access] {
                #expect(throws: FileError.notARegularFile(path: path)) {
                    _ = try DiskFile(opening: path, for: access).name
                }
            }
        }
    }

    @Test("A file that is not there, or a path that leads nowhere, is named with the reason")
    func missing() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.makeFile("file", [])
        let loop = directory.path(of: "loop")
        // Safe: both paths end with a zero.
        try #require(unsafe symlink(loop, loop) == 0)
        let cases: [(String, Int32)] = [
            (directory.path(of: "missing"), ENOENT), ("", ENOENT), (file + "/below", ENOTDIR),
            (loop, ELOOP), (directory.path(of: String(repeating: "x", count: 300)), ENAMETOOLONG),
        ]
        for (path, reason) in cases {
            #expect(throws: FileError.system(.open, path: path, at: nil, errno: reason)) {
                _ = try DiskFile(opening: path, for: .reading).name
            }
        }
    }

    @Test("A link leads to its file")
    func links() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        let link = directory.path(of: "link")
        // Safe: both paths end with a zero.
        try #require(unsafe symlink(path, link) == 0)
        let first = try DiskFile(opening: path, for: .reading)
        let second = try DiskFile(opening: link, for: .reading)
        #expect(try first.fingerprint().isSameFile(as: try second.fingerprint()))
    }

    @Test("A new file takes no other's place and is only its owner's at first")
    func creating() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1, 2])
        #expect(throws: FileError.alreadyExists(path: path)) {
            _ = try DiskFile(creating: path).name
        }
        #expect(try DiskFile(opening: path, for: .reading).bytes(at: 0, count: 2) == [1, 2])
        let created = directory.path(of: "new")
        let file = try DiskFile(creating: created)
        #expect(try permissions(of: created) == 0o600)
        try file.adoptDefaultPermissions()
        let ordinary = try directory.makeFile("ordinary", [])
        #expect(try permissions(of: created) == permissions(of: ordinary))
    }

    private func permissions(of path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("The fingerprint tells files and versions of a file apart")
    func fingerprints() throws {
        let directory = try TemporaryDirectory()
        let file = try DiskFile(creating: directory.path(of: "disk"))
        let other = try DiskFile(creating: directory.path(of: "other"))
        let first = try file.fingerprint()
        #expect(try file.fingerprint() == first)
        #expect(try !other.fingerprint().isSameFile(as: first))
        try file.setByteCount(100)
        #expect(try file.fingerprint() != first)
        #expect(try file.fingerprint().isSameFile(as: first))
        #expect(try file.fingerprint().byteCount == 100)
        #expect(try first.device == other.fingerprint().device)
    }

    @Test("A hole that was punched takes no space; a range of zeros that stays reserved does")
    func space() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk")
        let file = try DiskFile(creating: path)
        try file.write([UInt8](repeating: 1, count: 1 << 20).rawSpan, at: 0)
        try file.flush()
        let full = try blocks(of: path)
        try file.writeZeros(0..<1 << 20)
        // What is reserved counts as data on tmpfs.
        #expect(try isInMemory(path) || file.nextData(from: 0, limit: 1 << 20) == nil)
        #expect(try blocks(of: path) >= full / 2, "reserved space stays")
        try file.deallocate(0..<1 << 20)
        #expect(try blocks(of: path) < full / 2)
        try file.reserve(0..<1 << 20)
        #expect(try blocks(of: path) >= full / 2)
        #expect(try file.bytes(at: 0, count: 1 << 20).allSatisfy { $0 == 0 })
    }

    /// Whether the file system is tmpfs.
    private func isInMemory(_ path: String) throws -> Bool {
        let kind = try ExternalProgram.run("stat", ["--file-system", "--format=%T", path])
        return try kind.requireSuccess().output == "tmpfs\n"
    }

    private func blocks(of path: String) throws -> Int {
        var status = stat()
        // Safe: the path ends with a zero, and stat fills the structure.
        try #require(unsafe stat(path, &status) == 0)
        return Int(status.st_blocks)
    }

    @Test(
        "A full file system is an error with its reason, and other content stays",
        .enabled(if: getuid() == 0, "only root may mount a file system of 1 MiB"))
    func noSpace() throws {
        let directory = try TemporaryDirectory()
        let point = directory.path
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", point]
        try #require(try run("mount", mount) == 0)
        defer { _ = try? run("umount", [point]) }
        let path = directory.path(of: "disk")
        let file = try DiskFile(creating: path)
        try file.write([UInt8](repeating: 5, count: 1000).rawSpan, at: 0)
        let large = [UInt8](repeating: 1, count: 2 << 20)
        let error = #expect(throws: FileError.self) { try file.write(large.rawSpan, at: 4096) }
        #expect(error?.operation == .write)
        #expect("\(error, default: "")".hasSuffix(": No space left on device"))
        try file.setByteCount(1000)
        #expect(throws: FileError.system(.allocate, path: path, at: 0, errno: ENOSPC)) {
            try file.reserve(0..<2 << 20)
        }
        #expect(try file.bytes(at: 999, count: 1) == [5])
    }

    private func run(_ tool: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test("Messages are one clause that names operation, path, place and reason")
    func messages() {
        let cases: [(FileError, String)] = [
            (
                .system(.read, path: "/a", at: 65536, errno: EIO),
                "cannot read /a at byte 65536: Input/output error"
            ),
            (
                .system(.flush, path: "/a", at: nil, errno: ENOSPC),
                "cannot flush /a: No space left on device"
            ),
            (
                .unexpectedEnd(path: "/a", at: 7),
                "cannot read /a at byte 7: unexpected end of file"
            ),
            (.locked(path: "/a"), "cannot open /a: another process is using it"),
            (.notARegularFile(path: "/a"), "cannot open /a: not a regular file"),
            (.alreadyExists(path: "/a"), "cannot create /a: it exists already"),
        ]
        for (error, message) in cases { #expect("\(error)" == message) }
        #expect(String(describingErrno: 9999).contains("9999"))
    }
}
