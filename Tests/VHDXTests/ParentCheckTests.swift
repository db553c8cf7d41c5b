import Foundation
import Storage
import TestSupport
import Testing

@testable import VHDX

/// What a check and a description say of differencing images, alone and in their chain.
@Suite("ImageCheck: differencing images and chains")
struct ParentCheckTests {
    private static let parentGUID = "aaaaaaaa-0000-4ccc-8ddd-eeeeeeeeeeee"
    private static let childGUID = "bbbbbbbb-0000-4ccc-8ddd-eeeeeeeeeeee"

    private func parent(virtualSize: UInt64 = 8 << 20, sectorSize: UInt64 = 512) -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: virtualSize, logicalSectorSize: sectorSize)
        for slot in [0, 1] { builder.headers[slot]?.dataWriteGUID = Self.parentGUID }
        return builder
    }

    private func child(
        virtualSize: UInt64 = 8 << 20, locator: ImageBuilder.Locator? = nil
    ) -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: virtualSize, kind: .differencing)
        for slot in [0, 1] { builder.headers[slot]?.dataWriteGUID = Self.childGUID }
        builder.addLocator(locator ?? ImageBuilder.Locator(linkage: "{\(Self.parentGUID)}"))
        return builder
    }

    // MARK: By itself

    @Test("A differencing image by itself has what it needs")
    func alone() throws {
        try expectFindings([], in: child().build())
        var image = child()
        image.addBitmap(ofChunk: 0, sectors: [0..<9])
        image.addBlock(0, state: 7)
        image.addBlock(1)
        try expectFindings([], in: image.build())
    }

    @Test("Sector bitmaps")
    func bitmaps() throws {
        let entry = 3 << 20 + 4096 * 8
        #expect(entry == 3_178_496)
        var image = child(virtualSize: 8 << 30)
        image.addBlock(4095, state: 7)
        image.addBlock(4097, state: 7)
        try expectFindings(
            [
                "error bat-bitmap-missing @3178496 =0x0",
                "error bat-bitmap-missing @3211272 =0x0",
            ], in: image.build())
        image.rawBATEntries = [4096: 3, 8193: 6 << 20 | 6]
        image.fileSize = 7 << 20
        try expectFindings(["error bat-bitmap-state @3178496 =0x3"], in: image.build())
        image.rawBATEntries = [4096: 4 << 20 | 6, 8193: 7 << 20 | 6]
        try expectFindings(
            ["error block-overlap @4194304", "error block-cut @7340032 =0x700000"],
            in: image.build())
        image.rawBATEntries = [4096: 6 << 20 | 6, 8193: 7 << 20 | 6]
        image.fileSize = 8 << 20
        try expectFindings([], in: image.build())
    }

    @Test("Entries between the last block and the bitmap of its chunk")
    func unusedEntries() throws {
        var image = child()
        image.rawBATEntries = [8: 6, 100: 4, 4096: 0, 4097: 1]
        try expectFindings(["notice bat-stray @3145792 =0x3"], in: image.build())
    }

    @Test("A locator that cannot be read does not end the check")
    func locators() throws {
        var missing = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        missing.rawBATEntries = [0: 4]
        try expectFindings(
            ["error item-missing", "error bat-state @3145728 =0x4"], in: missing.build())
        let place = Int(2 << 20) + Int(ImageBuilder.locatorOffset)
        let count = child(locator: nil)
        let file = count.build()
        file.put(0 as UInt16, at: UInt64(place) + 18)
        try expectFindings(["error parent-locator @\(place) =0x0"], in: file)
        var type = ImageBuilder.Locator()
        type.type = ImageBuilder.zeroGUID
        try expectFindings(["error item-unknown"], in: child(locator: type).build())
    }

    // MARK: Chains

    private func write(_ file: MemoryFile, to path: String) throws {
        let count = Int(try file.byteCount())
        try Data(file.peek(at: 0, count: count)).write(to: URL(filePath: path))
    }

    /// What a check of a chain finds, in each of its images, by the name of its file.
    private func chain(
        _ images: [(name: String, file: MemoryFile)], parents: [String] = [],
        _ body: (TemporaryFolder) throws -> Void = { _ in }
    ) throws -> [[String]] {
        let folder = try TemporaryFolder()
        for (name, file) in images { try write(file, to: folder.file(name)) }
        try body(folder)
        let search = ParentSearch(folders: parents.map(folder.file))
        let checks = try ImageCheck.chain(ofImageAt: folder.file("child.vhdx"), parents: search)
        return checks.map { check in
            [check.path.split(separator: "/").last.map(String.init) ?? ""]
                + check.findings.map { "\($0.severity) \($0.rule.rawValue)" }
        }
    }

    @Test("Each image of a chain is checked")
    func chains() throws {
        var odd = parent()
        odd.fileSize = 5 << 20
        #expect(
            try chain([("child.vhdx", child().build()), ("parent.vhdx", odd.build())]) == [
                ["child.vhdx"], ["parent.vhdx", "notice unused-space"],
            ])
        var wrong = parent()
        wrong.rawBATEntries = [0: 4]
        #expect(
            try chain([("child.vhdx", child().build()), ("parent.vhdx", wrong.build())]) == [
                ["child.vhdx"], ["parent.vhdx", "error bat-state"],
            ])
        // The child is another image than its parent takes it for, and is checked all the same.
        var third = child(
            locator: .init(linkage: "{\(Self.childGUID)}", relativePath: #".\middle.vhdx"#))
        third.rawBATEntries = [0: 4]
        let images = [
            ("child.vhdx", third.build()), ("middle.vhdx", child().build()),
            ("parent.vhdx", parent().build()),
        ]
        #expect(
            try chain(images) == [
                ["child.vhdx", "error bat-state"], ["middle.vhdx"], ["parent.vhdx"],
            ]
        )
    }

    @Test(
        "A parent that is absent, another, elsewhere, looping or damaged is an error of its child")
    func wrongParents() throws {
        let child = child().build()
        #expect(
            try chain([("child.vhdx", child)]) == [["child.vhdx", "error parent-not-found"]])
        let other = ImageBuilder(virtualSize: 8 << 20).build()
        #expect(
            try chain([("child.vhdx", child), ("parent.vhdx", other)]) == [
                ["child.vhdx", "error parent-mismatch"]
            ])
        let outside = self.child(
            locator: .init(linkage: "{\(Self.parentGUID)}", relativePath: #"..\..\parent.vhdx"#))
        #expect(
            try chain([("child.vhdx", outside.build())]) == [
                ["child.vhdx", "error parent-outside"]
            ])
        let loop = self.child(
            locator: .init(linkage: "{\(Self.childGUID)}", relativePath: #".\child.vhdx"#))
        #expect(
            try chain([("child.vhdx", loop.build())]) == [["child.vhdx", "error parent-loop"]])
        let damaged = parent().build()
        damaged.damage(at: 65536)
        damaged.damage(at: 131_072)
        #expect(
            try chain([("child.vhdx", child), ("parent.vhdx", damaged)]) == [
                ["child.vhdx", "error parent-damaged"]
            ])
        let sectors = parent(sectorSize: 4096).build()
        #expect(
            try chain([("child.vhdx", child), ("parent.vhdx", sectors)]) == [
                ["child.vhdx", "error parent-sector-size"], ["parent.vhdx"],
            ])
    }

    @Test("A parent is looked for in the folders that the user names")
    func parentFolder() throws {
        let found = try chain([("child.vhdx", child().build())], parents: ["elsewhere"]) { folder in
            try FileManager.default.createDirectory(
                atPath: folder.file("elsewhere"), withIntermediateDirectories: false)
            try write(parent().build(), to: folder.file("elsewhere/parent.vhdx"))
        }
        #expect(found == [["child.vhdx"], ["parent.vhdx"]])
    }

    // MARK: Description

    @Test("A description names the parents, or says what is missing")
    func description() throws {
        let folder = try TemporaryFolder()
        var image = child()
        image.addBitmap(ofChunk: 0, sectors: [0..<9])
        image.addBlock(0, state: 7)
        try write(image.build(), to: folder.file("child.vhdx"))
        let alone = try ImageDescription(ofImageAt: folder.file("child.vhdx"))
        #expect(alone.info.kind == .differencing)
        #expect(alone.bitmapCount == 1)
        #expect(alone.info.blockStates.partiallyPresent == 1)
        #expect(alone.allocation.payloadByteCount == 1 << 20)
        #expect(alone.usedByteCount == 6 << 20)
        guard case .missing(let reason) = alone.parents.first else {
            Issue.record("no parent is said to be missing")
            return
        }
        #expect(reason.contains("cannot find the parent") && alone.parents.count == 1)

        try write(parent().build(), to: folder.file("parent.vhdx"))
        let both = try ImageDescription(ofImageAt: folder.file("child.vhdx"))
        guard case .found(let path, let guid) = both.parents.first else {
            Issue.record("no parent is found")
            return
        }
        #expect(path.hasSuffix("/parent.vhdx") && both.parents.count == 1)
        #expect(guid.description == Self.parentGUID)
    }

    @Test("Every rule has its case")
    func everyRule() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        var text = ""
        for name in ["ImageCheckTests", "BlockCheckTests", "ParentCheckTests"] {
            text += try String(
                contentsOf: folder.appending(path: "\(name).swift"), encoding: .utf8)
        }
        let findings = try String(
            contentsOf: folder.appending(path: "../../docs/findings.md"), encoding: .utf8)
        for rule in FormatRule.allCases where rule != .fieldValue {
            let hasCase = Finding.Severity.allCases.contains { severity in
                text.contains("\"\(severity) \(rule.rawValue)")
            }
            #expect(hasCase, "\(rule.rawValue)")
            #expect(findings.contains("`\(rule.rawValue)`"), "\(rule.rawValue)")
        }
    }
}
