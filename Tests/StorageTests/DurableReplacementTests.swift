import Foundation
import Storage
import Testing

@Suite("Durable replacement")
struct DurableReplacementTests {
    @Test("The file has its name only once it is complete")
    func commit() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk.vhdx")
        let replacement = try DurableReplacement(of: path)
        let names = try directory.names()
        #expect(names.count == 1)
        #expect(names.allSatisfy { $0.hasPrefix("disk.vhdx.") && $0.hasSuffix(".tmp") })
        try replacement.file.write(([1, 2, 3] as [UInt8]).rawSpan, at: 0)
        try replacement.commit(.refuse)
        #expect(try directory.names() == ["disk.vhdx"])
        #expect(try DiskFile(opening: path, for: .reading).bytes(at: 0, count: 3) == [1, 2, 3])
    }

    @Test("An existing file is replaced, or kept, as told")
    func existing() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [7])
        let refused = try DurableReplacement(of: path)
        try refused.file.write(([8] as [UInt8]).rawSpan, at: 0)
        do {
            try refused.commit(.refuse)
            Issue.record("an existing file was replaced")
        } catch {
            #expect(error == .alreadyExists(path: path))
        }
        #expect(try directory.names() == ["disk"])
        #expect(try DiskFile(opening: path, for: .reading).bytes(at: 0, count: 1) == [7])

        let replacing = try DurableReplacement(of: path)
        try replacing.file.write(([9] as [UInt8]).rawSpan, at: 0)
        try replacing.commit(.replace)
        #expect(try directory.names() == ["disk"])
        #expect(try DiskFile(opening: path, for: .reading).bytes(at: 0, count: 1) == [9])
    }

    @Test("Discarded, it leaves nothing")
    func discard() throws {
        let directory = try TemporaryDirectory()
        let replacement = try DurableReplacement(of: directory.path(of: "disk"))
        try replacement.file.write(([8] as [UInt8]).rawSpan, at: 0)
        replacement.discard()
        #expect(try directory.names().isEmpty)
    }

    @Test("Forgotten because of an error, it leaves nothing")
    func forgotten() throws {
        let directory = try TemporaryDirectory()
        func fail() throws {
            let replacement = try DurableReplacement(of: directory.path(of: "disk"))
            try replacement.file.write(([8] as [UInt8]).rawSpan, at: .max)
            try replacement.commit(.replace)
        }
        #expect(throws: FileError.self) { try fail() }
        #expect(try directory.names().isEmpty)
    }

    @Test("A name that a directory bears cannot be taken, and nothing is left behind")
    func failingRename() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk")
        try FileManager.default.createDirectory(
            atPath: path + "/full", withIntermediateDirectories: true)
        let replacement = try DurableReplacement(of: path)
        do {
            try replacement.commit(.replace)
            Issue.record("a directory was replaced")
        } catch {
            #expect(error.operation == .rename)
        }
        #expect(try directory.names() == ["disk"])
        let refused = try DurableReplacement(of: path)
        do {
            try refused.commit(.refuse)
            Issue.record("a directory was replaced")
        } catch {
            #expect(error == .alreadyExists(path: path))
        }
        #expect(try directory.names() == ["disk"])
    }

    @Test("The directory must be there")
    func missingDirectory() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "missing/disk")
        let error = #expect(throws: FileError.self) {
            _ = try DurableReplacement(of: path).file.name
        }
        #expect(error?.operation == .create)
    }

    @Test("A committed file may be read by whom the umask allows")
    func permissions() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk")
        try DurableReplacement(of: path).commit(.replace)
        let ordinary = try directory.makeFile("ordinary", [])
        let permissions = try [path, ordinary].map { path in
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(permissions[0] != nil)
        #expect(permissions[0] == permissions[1])
    }
}
