import Foundation
import Storage
import Testing

struct FolderTests {
    @Test("A folder is made for its owner alone, once, and only beneath one that is there")
    func making() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "state")
        try Folder.makeIfMissing(path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o700)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        try Folder.makeIfMissing(path)
        let kept = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(kept as? Int == 0o755)
        let deep = directory.path(of: "none/state")
        #expect(throws: FileError.system(.create, path: deep, at: nil, errno: ENOENT)) {
            try Folder.makeIfMissing(deep)
        }
        let file = try directory.makeFile("file", [1])
        try Folder.makeIfMissing(file)
        #expect(throws: FileError.system(.create, path: file + "/a", at: nil, errno: ENOTDIR)) {
            try Folder.makeIfMissing(file + "/a")
        }
    }
}
