import Storage
import TestSupport
import Testing

@testable import VHDX

/// Rules 21 to 24, for the reader and for the writer: what an image builds on, found by the paths in
/// its locator, which are the data of whoever made the file. What is found is for ImageChainTests.
@Suite("Rules of the format: parents")
struct FormatRuleParentTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private static func guid(_ number: Int) -> String {
        "aaaaaaaa-bbbb-4ccc-8ddd-" + String(repeating: "0", count: 8)
            + String(number + 0x1000, radix: 16)
    }

    /// Makes an image with a GUID of its number, and a locator if it has a parent.
    @discardableResult
    private func make(
        _ number: Int, on parent: Int? = nil, at path: String? = nil, relativePath: String? = nil,
        sectorSize: UInt64 = 512, _ change: (inout ImageBuilder) -> Void = { _ in }
    ) throws -> String {
        let path = path ?? folder.file("\(number).vhdx")
        var builder = ImageBuilder(
            virtualSize: 4 << 20, logicalSectorSize: sectorSize,
            kind: parent == nil ? .dynamic : .differencing)
        for slot in [0, 1] { builder.headers[slot]?.dataWriteGUID = Self.guid(number) }
        if let parent {
            builder.addLocator(
                .init(
                    linkage: "{\(Self.guid(parent))}",
                    relativePath: relativePath ?? #".\"# + "\(parent).vhdx"))
        }
        change(&builder)
        try builder.build().save(to: path)
        return path
    }

    /// What stops reader and writer alike; nil where nothing does. No file is changed.
    private func refusal(
        _ path: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> VHDXError? {
        let before = try bytes(of: path)
        var found: VHDXError?
        do throws(VHDXError) {
            _ = try ImageReader(openingImageAt: path).geometry
        } catch {
            found = error
        }
        do throws(VHDXError) {
            _ = try ImageWriter(openingImageAt: path).geometry
            #expect(found == nil, "only the reader refuses", sourceLocation: sourceLocation)
        } catch {
            #expect(found == error, sourceLocation: sourceLocation)
        }
        #expect(try bytes(of: path) == before, sourceLocation: sourceLocation)
        return found
    }

    private func bytes(of path: String) throws -> [UInt8] {
        let file = try DiskFile(opening: path, for: .reading)
        return try file.bytes(at: 0, count: Int(try file.byteCount()))
    }

    private func run(_ program: String, _ arguments: String...) throws {
        try ExternalProgram.run(program, arguments).requireSuccess()
    }

    // MARK: 21

    @Test("21: a parent in another state, or with other sectors, is none")
    func wrongParents() throws {
        let parent = try make(0)
        let child = try make(1, on: 0)
        #expect(try refusal(child) == nil)
        let stale = try make(2, on: 9, relativePath: #".\0.vhdx"#)
        #expect(
            try refusal(stale)
                == .parentMismatch(
                    path: stale, parent: parent, expected: GUID(Self.guid(9)) ?? .zero,
                    found: GUID(Self.guid(0)) ?? .zero))
        let otherSectors = try make(3, on: 0, sectorSize: 4096)
        #expect(
            try refusal(otherSectors)
                == .parentSectorSize(
                    path: otherSectors, parent: parent, expected: 4096, found: 512))
        // A chain is as good as its lowest image.
        let grandchild = try make(4, on: 2)
        #expect(try refusal(grandchild) == (try refusal(stale)))
    }

    // MARK: 22

    @Test("22: a chain that leads back to one of its images ends there")
    func loops() throws {
        let own = try make(0, on: 0)
        #expect(try refusal(own) == .parentLoop(path: own, parent: own))
        let (first, second) = (try make(1, on: 2), try make(2, on: 1))
        #expect(try refusal(first) == .parentLoop(path: second, parent: first))
        let outer = try make(3, on: 1)
        #expect(try refusal(outer) == .parentLoop(path: second, parent: first))
        // A loop by another name of the same file.
        let linked = folder.file("linked.vhdx")
        let twin = try make(4, on: 4, relativePath: #".\linked.vhdx"#)
        try run("ln", twin, linked)
        #expect(try refusal(twin) == .parentLoop(path: twin, parent: linked))
    }

    // MARK: 23

    @Test(
        "23: a path that leads out of the allowed folders is not followed",
        arguments: [
            #"..\parent.vhdx"#, #".\..\parent.vhdx"#, #"sub\..\..\parent.vhdx"#,
            #"..\..\..\..\..\..\..\..\etc\passwd"#, #"C:\parent.vhdx"#, #"C:parent.vhdx"#,
            #"\\server\share\parent.vhdx"#, #"\\?\C:\parent.vhdx"#, #"\\.\pipe\parent"#,
            #"\parent.vhdx"#, "/etc/passwd", "//etc/passwd",
        ])
    func pathsOutside(_ relativePath: String) throws {
        let inner = folder.file("inner")
        try run("mkdir", inner)
        try run("mkdir", inner + "/sub")
        try make(0, at: folder.file("parent.vhdx"))
        let child = try make(1, on: 0, at: inner + "/child.vhdx", relativePath: relativePath)
        #expect(
            try refusal(child) == .parentOutsideFolders(path: child, name: relativePath))
    }

    // MARK: 24

    @Test("24: a parent with a log that cannot be replayed is none, and its file stays as it is")
    func uselessLog() throws {
        let torn = try make(0) { $0.useLog(Self.guid(98), []) }
        let before = try bytes(of: torn)
        let child = try make(1, on: 0)
        #expect(try refusal(child) == .noValidLogEntry(path: torn, at: 1 << 20))
        #expect(try bytes(of: torn) == before)
    }
}
