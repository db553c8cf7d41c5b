import Storage
import TestSupport
import Testing

@testable import VHDX

/// Names of parents that no file of this system can bear.
struct ParentNameTests {
    @Test("A name that is too long for the file system is passed over")
    func tooLong() throws {
        let folder = try TemporaryFolder()
        // 100 characters for Windows, 300 bytes here.
        let name = String(repeating: "\u{3042}", count: 100) + ".vhdx"
        var child = ImageBuilder(virtualSize: 4 << 20, kind: .differencing)
        child.addLocator(
            ImageBuilder.Locator(
                relativePath: #".\"# + name, absolutePath: #"C:\disks\parent.vhdx"#))
        try child.build().save(to: folder.file("child.vhdx"))
        try ImageBuilder(virtualSize: 4 << 20).build().save(to: folder.file("parent.vhdx"))

        let search = ParentSearch(folders: [folder.path])
        let reader = try ImageReader(
            openingImageAt: folder.file("child.vhdx"), parents: search)
        #expect(reader.geometry.hasParent)

        do throws(VHDXError) {
            _ = try ImageReader(openingImageAt: folder.file("child.vhdx")).geometry
            Issue.record("it opened without its parent")
        } catch {
            guard case .parentNotFound(_, let names) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(names.count == 1)
        }
    }
}
