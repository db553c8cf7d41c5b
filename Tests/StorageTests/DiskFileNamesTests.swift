import Foundation
import Storage
import TestSupport
import Testing

@Suite("DiskFile: names")
struct DiskFileNamesTests {
    @Test("A file is made where there is none, for its owner alone, and opened where there is one")
    func creatingOrOpening() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "journal")
        let first = try DiskFile(creatingOrOpening: path)
        #expect(first.wasCreated == true)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        try first.write(([1, 2, 3] as [UInt8]).rawSpan, at: 0)
        let second = try DiskFile(creatingOrOpening: path)
        #expect(second.wasCreated == false)
        #expect(try second.bytes(at: 0, count: 3) == [1, 2, 3])
        try second.write(([9] as [UInt8]).rawSpan, at: 1)
        #expect(try first.bytes(at: 0, count: 3) == [1, 9, 3])
    }

    @Test("Neither a folder nor a link, wherever it leads, is opened or made a file")
    func notAFile() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.makeFile("file", [1])
        #expect(throws: FileError.notARegularFile(path: directory.path)) {
            _ = try DiskFile(creatingOrOpening: directory.path).name
        }
        for (name, destination) in [("link", file), ("dangling", directory.path(of: "nothing"))] {
            let link = directory.path(of: name)
            // Safe: both paths end with a zero.
            try #require(unsafe symlink(destination, link) == 0)
            #expect(throws: FileError.system(.open, path: link, at: nil, errno: ELOOP)) {
                _ = try DiskFile(creatingOrOpening: link).name
            }
        }
        #expect(try directory.names() == ["dangling", "file", "link"])
    }

    @Test("A removed name is gone, and says whether it was there")
    func removing() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("file", [1])
        #expect(try DiskFile.remove(path))
        #expect(try !DiskFile.remove(path))
        #expect(try directory.names().isEmpty)
        let error = #expect(throws: FileError.self) { try DiskFile.remove(directory.path) }
        #expect(error?.operation == .remove)
    }

    @Test("A renamed file takes the place of another")
    func renaming() throws {
        let directory = try TemporaryDirectory()
        let old = try directory.makeFile("old", [1])
        let new = try directory.makeFile("new", [2])
        try DiskFile.rename(new, over: old)
        #expect(try directory.names() == ["old"])
        #expect(try DiskFile(opening: old, for: .reading).bytes(at: 0, count: 1) == [2])
        let error = FileError.system(.rename, path: old, at: nil, errno: ENOENT)
        #expect(throws: error) { try DiskFile.rename(new, over: old) }
        #expect(throws: FileError.system(.flush, path: new, at: nil, errno: ENOENT)) {
            try Folder.flush(new)
        }
        try Folder.flush(directory.path)
    }

    @Test("Free and allocated space are told in bytes")
    func space() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("file", [UInt8](repeating: 1, count: 1 << 20))
        let file = try DiskFile(opening: path, for: .writing)
        try file.flush()
        #expect(try file.allocatedByteCount() >= 1 << 20)
        try file.deallocate(0..<1 << 20)
        #expect(try file.allocatedByteCount() < 1 << 20)
        #expect(try file.freeByteCount() > 0)
        #expect(try Volume.freeByteCount(at: directory.path) > 0)
        let missing = directory.path(of: "missing")
        #expect(throws: FileError.system(.inspect, path: missing, at: nil, errno: ENOENT)) {
            _ = try Volume.freeByteCount(at: missing)
        }
    }

    @Test("The fingerprint has forty bytes, in the order of its fields")
    func fingerprint() throws {
        let directory = try TemporaryDirectory()
        let file = try DiskFile(creating: directory.path(of: "disk"))
        try file.setByteCount(0x1234)
        let fingerprint = try file.fingerprint()
        let bytes = fingerprint.encoded
        #expect(bytes.count == 40)
        #expect(bytes.rawSpan.load(UInt64.self, at: 0) == fingerprint.device)
        #expect(bytes.rawSpan.load(UInt64.self, at: 8) == fingerprint.inode)
        #expect(Array(bytes[16..<24]) == [0x34, 0x12, 0, 0, 0, 0, 0, 0])
        #expect(bytes.rawSpan.load(Int64.self, at: 24) == fingerprint.modificationSeconds)
        #expect(bytes.rawSpan.load(Int64.self, at: 32) == fingerprint.modificationNanoseconds)
    }
}
