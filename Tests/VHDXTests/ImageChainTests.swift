import Foundation
import Storage
import TestSupport
import Testing

@testable import VHDX

/// Where parents are looked for, and what is refused, on real files.
@Suite("Chains of images")
struct ImageChainTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private static let baseGUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    private static let childGUID = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"

    private func makeFolder(_ name: String) throws -> String {
        let path = folder.file(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// An image of 8 MiB whose first block holds a value.
    private func save(
        _ name: String, _ value: UInt8, guid: String = baseGUID,
        on locator: ImageBuilder.Locator? = nil, sectorSize: UInt64 = 512
    ) throws {
        var builder = ImageBuilder(
            virtualSize: 8 << 20, logicalSectorSize: sectorSize,
            kind: locator == nil ? .dynamic : .differencing)
        for slot in builder.headers.indices { builder.headers[slot]?.dataWriteGUID = guid }
        if let locator { builder.addLocator(locator) }
        builder.addBlock(locator == nil ? 0 : 1, content: [UInt8](value, 4096))
        try builder.build().save(to: folder.file(name))
    }

    private func child(_ name: String, _ locator: ImageBuilder.Locator) throws {
        try save(name, 2, guid: Self.childGUID, on: locator)
    }

    private func firstByte(_ name: String, _ folders: [String] = []) throws(VHDXError) -> UInt8 {
        let reader = try ImageReader(
            openingImageAt: folder.file(name), parents: ParentSearch(folders: folders))
        return try reader.bytes(at: 0, count: 1)[0]
    }

    private func refusal(_ name: String, _ folders: [String] = []) -> VHDXError? {
        do throws(VHDXError) {
            _ = try firstByte(name, folders)
            return nil
        } catch {
            return error
        }
    }

    // MARK: What is found

    @Test(
        "A relative path leads from the child's folder, whatever its case and its slashes",
        arguments: [
            #".\base.vhdx"#, "base.vhdx", #"BASE.vhdx"#, #".\.\Base.VHDX"#, "./base.vhdx",
            #"sub\..\base.vhdx"#,
        ])
    func relativePath(_ path: String) throws {
        try save("base.vhdx", 1)
        try child("child.avhdx", ImageBuilder.Locator(relativePath: path))
        #expect(try firstByte("child.avhdx") == 1)
    }

    @Test("A parent may lie in a folder below, and one above where the user says so")
    func otherFolders() throws {
        let inner = try makeFolder("machines/disks")
        try save("machines/base.vhdx", 1)
        try save("machines/disks/low.vhdx", 3)
        try child("machines/child.vhdx", ImageBuilder.Locator(relativePath: #"disks\low.vhdx"#))
        #expect(try firstByte("machines/child.vhdx") == 3)
        try child("machines/disks/up.vhdx", ImageBuilder.Locator(relativePath: #"..\base.vhdx"#))
        let up = folder.file("machines/disks/up.vhdx")
        #expect(
            refusal("machines/disks/up.vhdx")
                == .parentOutsideFolders(path: up, name: #"..\base.vhdx"#))
        #expect(try firstByte("machines/disks/up.vhdx", [folder.file("machines")]) == 1)
        #expect(try firstByte("machines/disks/up.vhdx", [folder.path]) == 1)
        #expect(refusal("machines/disks/up.vhdx", [inner]) != nil)
    }

    @Test("Volume and absolute paths lead to folders that the user names, by their last part")
    func mappedPaths() throws {
        let store = try makeFolder("store")
        try save("store/base.vhdx", 1)
        let paths = [
            #"C:\VMs\base.vhdx"#, #"\\?\C:\VMs\base.vhdx"#, #"\\server\share\BASE.VHDX"#,
        ]
        for (index, path) in paths.enumerated() {
            let names = ["a\(index).vhdx", "v\(index).vhdx"]
            try child(names[0], ImageBuilder.Locator(relativePath: nil, absolutePath: path))
            try child(names[1], ImageBuilder.Locator(relativePath: nil, volumePath: path))
            for name in names {
                guard case .parentNotFound = refusal(name) else {
                    Issue.record("\(name) is found without a mapping")
                    continue
                }
                #expect(try firstByte(name, [store]) == 1)
            }
        }
    }

    @Test("A file of the right name and another state is passed over for the right one")
    func stalePath() throws {
        let store = try makeFolder("store")
        try save("base.vhdx", 9, guid: Self.childGUID.replacing("b", with: "c"))
        try save("store/base.vhdx", 1)
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "base.vhdx"))
        guard case .parentMismatch(_, let parent, let expected, _) = refusal("child.avhdx") else {
            Issue.record("a stale parent is accepted")
            return
        }
        #expect(parent.hasSuffix("/base.vhdx") && expected == GUID(Self.baseGUID))
        #expect(try firstByte("child.avhdx", [store]) == 1)
    }

    @Test("Images of one name in several folders are told apart by their state")
    func sameNames() throws {
        let names = ["three", "two", "one"]
        let guids = (0..<3).map { "\($0)aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee" }
        let folders = try names.map { try makeFolder($0) }
        for (index, name) in names.enumerated().reversed() {
            let locator = ImageBuilder.Locator(
                linkage: index < 2 ? guids[index + 1] : "", relativePath: nil,
                absolutePath: #"C:\disk.vhdx"#)
            try save(
                name + "/disk.vhdx", UInt8(index + 1), guid: guids[index],
                on: index < 2 ? locator : nil)
        }
        #expect(try firstByte("three/disk.vhdx", Array(folders.dropFirst())) == 3)
        // What is no image at all does not end the search either.
        let empty = try makeFolder("empty")
        try Data().write(to: URL(fileURLWithPath: empty + "/disk.vhdx"))
        #expect(try firstByte("three/disk.vhdx", [empty] + folders) == 3)
    }

    @Test("A name that begins with a combining mark does not widen the folder")
    func combiningMark() throws {
        let inner = try makeFolder("inner")
        try save("base.vhdx", 1)
        let name = "inner/\u{301}child.vhdx"
        try child(name, ImageBuilder.Locator(relativePath: #"..\base.vhdx"#))
        guard case .parentOutsideFolders = refusal(name) else {
            Issue.record("the folder above is looked at")
            return
        }
        try FileManager.default.moveItem(
            atPath: folder.file("base.vhdx"), toPath: inner + "/base.vhdx")
        try FileManager.default.removeItem(atPath: folder.file(name))
        try child(name, ImageBuilder.Locator(relativePath: #".\base.vhdx"#))
        #expect(try firstByte(name) == 1)
    }

    @Test("A parent with a dirty log is replayed in memory, and its file stays as it is")
    func dirtyParent() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        for slot in builder.headers.indices { builder.headers[slot]?.dataWriteGUID = Self.baseGUID }
        builder.addBlock(0, content: [UInt8](7, 4096))
        var page = [UInt8](0, 4096)
        page.replaceSubrange(0..<8, with: ImageBuilder.bytes(UInt64(4 << 20 | 6)))
        builder.rawBATEntries[0] = 0
        let guid = "11111111-0000-4000-8000-000000000000"
        builder.useLog(
            guid,
            [
                ImageBuilder.LogEntry(
                    at: 0, sequenceNumber: 1, logGUID: guid, flushedFileOffset: 5 << 20,
                    lastFileOffset: 5 << 20, [.data(at: 3 << 20, page)])
            ])
        let file = builder.build()
        try file.save(to: folder.file("base.vhdx"))
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "base.vhdx"))
        let before = try Data(contentsOf: URL(fileURLWithPath: folder.file("base.vhdx")))
        #expect(try firstByte("child.avhdx") == 7)
        let writer = try ImageWriter(openingImageAt: folder.file("child.avhdx"))
        try writer.fill(3, count: 512, at: 512)
        try writer.close()
        #expect(try firstByte("child.avhdx") == 7)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("base.vhdx"))) == before)
    }

    // MARK: What is refused

    @Test(
        "A path that is not relative, or leads out, is not followed",
        arguments: [
            "/etc/passwd", #"\Windows\base.vhdx"#, #"C:\base.vhdx"#, #"\\server\base.vhdx"#,
            #"..\..\..\..\..\..\..\..\..\..\..\..\etc\passwd"#, #"..\base.vhdx"#,
        ])
    func outside(_ path: String) throws {
        try child("child.avhdx", ImageBuilder.Locator(relativePath: path))
        let expected = VHDXError.parentOutsideFolders(path: folder.file("child.avhdx"), name: path)
        #expect(refusal("child.avhdx") == expected)
    }

    @Test("A symbolic link may lead within the folder, and not out of it")
    func symbolicLinks() throws {
        let store = try makeFolder("store")
        let images = try makeFolder("images")
        try save("store/base.vhdx", 1)
        try child("images/child.vhdx", ImageBuilder.Locator(relativePath: "link.vhdx"))
        let link = images + "/link.vhdx"
        for target in ["../store/base.vhdx", store + "/base.vhdx"] {
            try FileManager.default.createSymbolicLink(
                atPath: link, withDestinationPath: target)
            guard case .parentOutsideFolders = refusal("images/child.vhdx") else {
                Issue.record("a link to \(target) is followed")
                return
            }
            try FileManager.default.removeItem(atPath: link)
        }
        try save("images/real.vhdx", 4)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "real.vhdx")
        #expect(try firstByte("images/child.vhdx") == 4)
    }

    @Test("Folders and pipes are no parents, and nobody waits for them")
    func irregularFiles() throws {
        _ = try makeFolder("base.vhdx")
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "base.vhdx"))
        #expect(refusal("child.avhdx") == .file(.notARegularFile(path: folder.file("base.vhdx"))))
        try FileManager.default.removeItem(atPath: folder.file("base.vhdx"))
        #expect(unsafe mkfifo(folder.file("base.vhdx"), 0o600) == 0)
        #expect(refusal("child.avhdx") == .file(.notARegularFile(path: folder.file("base.vhdx"))))
    }

    @Test("A parent that is not there is named")
    func missing() throws {
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "gone.vhdx"))
        #expect(
            refusal("child.avhdx")
                == .parentNotFound(
                    path: folder.file("child.avhdx"), names: [folder.file("gone.vhdx")]))
        #expect(refusal("child.avhdx", [folder.file("nowhere")]) != nil)
    }

    @Test("A chain that comes back to a file is refused, by whatever name")
    func loops() throws {
        let own = ImageBuilder.Locator(linkage: Self.childGUID, relativePath: "child.avhdx")
        try child("child.avhdx", own)
        let path = folder.file("child.avhdx")
        #expect(refusal("child.avhdx") == .parentLoop(path: path, parent: path))
        try save(
            "a.vhdx", 1, guid: Self.baseGUID,
            on: ImageBuilder.Locator(linkage: Self.childGUID, relativePath: "b.vhdx"))
        try child("b.vhdx", ImageBuilder.Locator(relativePath: "c.vhdx"))
        try FileManager.default.linkItem(
            atPath: folder.file("a.vhdx"), toPath: folder.file("c.vhdx"))
        guard case .parentLoop = refusal("a.vhdx") else {
            Issue.record("a loop over a hard link is followed")
            return
        }
    }

    @Test("A chain has at most 256 images")
    func depth() throws {
        func guid(_ level: Int) -> String {
            "0000\(String(level + 0x1000, radix: 16))-bbbb-4ccc-8ddd-eeeeeeeeeeee"
        }
        try save("0.vhdx", 1, guid: guid(0))
        for level in 1...256 {
            try save(
                "\(level).vhdx", 2, guid: guid(level),
                on: ImageBuilder.Locator(
                    linkage: guid(level - 1), relativePath: "\(level - 1).vhdx"))
        }
        #expect(try firstByte("255.vhdx") == 1)
        guard case .limitExceeded = refusal("256.vhdx") else {
            Issue.record("a chain of 257 images is opened")
            return
        }
    }

    @Test("Parent and child have the same logical sectors")
    func sectorSizes() throws {
        try save("base.vhdx", 1, sectorSize: 4096)
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "base.vhdx"))
        #expect(
            refusal("child.avhdx")
                == .parentSectorSize(
                    path: folder.file("child.avhdx"), parent: folder.file("base.vhdx"),
                    expected: 512, found: 4096))
    }

    @Test("A parent that somebody writes to is in use")
    func lockedParent() throws {
        try save("base.vhdx", 1)
        try child("child.avhdx", ImageBuilder.Locator(relativePath: "base.vhdx"))
        let writer = try ImageWriter(openingImageAt: folder.file("base.vhdx"))
        #expect(refusal("child.avhdx") == .file(.locked(path: folder.file("base.vhdx"))))
        try writer.close()
        let reader = try ImageReader(openingImageAt: folder.file("child.avhdx"))
        #expect(throws: VHDXError.self) {
            _ = try ImageWriter(openingImageAt: folder.file("base.vhdx")).geometry
        }
        #expect(try reader.isUnchanged())
    }

    // MARK: Children

    @Test("A child in the same folder is seen, by what its locator names")
    func children() throws {
        func seen() throws -> String? {
            try ImageReader(openingImageAt: folder.file("base.vhdx")).visibleChild()
        }
        try save("base.vhdx", 1)
        #expect(try seen() == nil)
        // Another state, another name, no image at all.
        try child("old.avhdx", ImageBuilder.Locator(linkage: Self.childGUID))
        try child("other.avhdx", ImageBuilder.Locator(relativePath: #".\copy.vhdx"#))
        try Data("vhdxfile".utf8).write(to: URL(fileURLWithPath: folder.file("broken.vhdx")))
        #expect(unsafe mkfifo(folder.file("pipe.vhdx"), 0o600) == 0)
        #expect(try seen() == nil)
        try child(
            "snap.AVHDX",
            ImageBuilder.Locator(relativePath: nil, absolutePath: #"D:\disks\BASE.vhdx"#))
        #expect(try seen() == folder.file("snap.AVHDX"))
    }

    @Test("A new differencing image finds the parent that it was made on")
    func creation() throws {
        let inner = try makeFolder("inner")
        try save("base.vhdx", 1)
        for (name, search) in [("new.avhdx", []), ("inner/new.avhdx", [folder.path])] {
            var specification = ImageSpecification(virtualSize: 16 << 20)
            let parent = try ImageReader(openingImageAt: folder.file("base.vhdx"))
            try specification.build(on: parent, at: folder.file(name))
            try ImageCreation.create(specification, at: folder.file(name))
            #expect(try firstByte(name, search) == 1)
            let reader = try ImageReader(
                openingImageAt: folder.file(name), parents: ParentSearch(folders: search))
            #expect(reader.info.kind == .differencing)
            #expect(reader.virtualDiskID == parent.virtualDiskID)
            #expect(try reader.bytes(at: 8 << 20, count: 512).consists(of: 0))
        }
        #expect(refusal("inner/new.avhdx", [inner]) != nil)
        for name in ["a:b.vhdx", #"a\b.vhdx"#] {
            try save(name, 1)
            var specification = ImageSpecification(virtualSize: 16 << 20)
            let parent = try ImageReader(openingImageAt: folder.file(name))
            try specification.build(on: parent, at: folder.file("colon.avhdx"))
            #expect(throws: VHDXError.self) {
                try ImageCreation.create(specification, at: folder.file("colon.avhdx"))
            }
        }
        var fixed = ImageSpecification(virtualSize: 8 << 20)
        fixed.isFixed = true
        fixed.parent = ParentReference(dataWriteGUID: .random(), relativePath: "base.vhdx")
        #expect(throws: VHDXError.self) {
            try ImageCreation.create(fixed, at: folder.file("fixed.vhdx"))
        }
    }
}
