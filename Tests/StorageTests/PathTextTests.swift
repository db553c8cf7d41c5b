import Storage
import Testing

@Suite("Paths taken apart")
struct PathTextTests {
    /// A combining mark makes one character of itself and the slash before it.
    private static let marked = "\u{301}x.vhdx"

    @Test(
        "The folder is what stands before the last slash",
        arguments: [
            ("/a/b/c", "/a/b"), ("/c", "/"), ("c", "."), ("a/c", "a"), ("/a/\(marked)", "/a"),
            ("/\(marked)", "/"), ("./c", "."),
        ])
    func folders(path: String, folder: String) {
        #expect(PathText.folder(of: path) == folder)
    }

    @Test(
        "The name is what stands behind it",
        arguments: [("/a/b", "b"), ("b", "b"), ("/a/\(marked)", marked), ("/a/b/", "b")])
    func names(path: String, name: String) {
        #expect(PathText.name(of: path) == name)
    }

    @Test("Names are cut at every separator, and empty ones left out")
    func components() {
        #expect(PathText.components(of: "//a//b/") == ["a", "b"])
        #expect(PathText.components(of: "/a/\(Self.marked)") == ["a", Self.marked])
        let windows = Array(#"\/"#.utf8)
        #expect(PathText.components(of: #".\a/b"#, separators: windows) == [".", "a", "b"])
    }

    @Test(
        "A relative path leads from a folder to a file",
        arguments: [
            ("/a", "/a/x", "./x"), ("/a/b", "/a/x", "../x"), ("/a/b", "/c/d/x", "../../c/d/x"),
            ("/", "/x", "./x"), ("/a", "/a/b/x", "./b/x"),
        ])
    func relativePath(folder: String, path: String, relative: String) {
        #expect(Folder.relativePath(from: folder, to: path) == relative)
    }
}
