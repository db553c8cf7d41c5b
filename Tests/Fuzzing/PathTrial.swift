internal import Foundation
internal import Storage
internal import TestSupport
internal import VHDX

/// A differencing image on a real file system, whose locator leads everywhere: a parent may be
/// found where the image lies and in folders that the user named, and nowhere else.
struct PathTrial {
    private let folder: TemporaryFolder
    private let child: ImageBuilder
    private var childPath: String { folder.file("allowed/child.vhdx") }

    /// How the disk begins with the parent that may be found, and with those that may not.
    private static let allowedByte: UInt8 = 0xA1
    private static let strangeByte: UInt8 = 0x5E

    init() throws {
        folder = try TemporaryFolder()
        var child = ImageBuilder(virtualSize: 4 << 20, kind: .differencing)
        child.addLocator()
        self.child = child
        let manager = FileManager.default
        for name in ["allowed", "allowed/sub", "outside"] {
            try manager.createDirectory(
                atPath: folder.file(name), withIntermediateDirectories: false)
        }
        for name in ["allowed/parent.vhdx", "allowed/sub/parent.vhdx", "allowed/sub/Other.vhdx"] {
            try Self.write(Self.parent(Self.allowedByte), to: folder.file(name))
        }
        try Self.write(Self.parent(Self.strangeByte), to: folder.file("outside/parent.vhdx"))
        try Self.write(child, to: childPath)
        for (name, target) in [
            ("link", "../outside"), ("alias.vhdx", "../outside/parent.vhdx"), ("loop", "loop"),
        ] {
            try manager.createSymbolicLink(
                atPath: folder.file("allowed/\(name)"), withDestinationPath: target)
        }
    }

    private static func parent(_ byte: UInt8) -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 4 << 20)
        builder.addBlock(0, content: [UInt8](repeating: byte, count: 4096))
        return builder
    }

    private static func write(_ builder: ImageBuilder, to path: String) throws {
        let file = try DiskFile(creating: path)
        let content = Seed(name: path, builder).content
        try file.setByteCount(content.byteCount)
        for range in content.dataRanges(in: 0..<content.byteCount) {
            let bytes = content.bytes(at: range.lowerBound, count: Int(range.byteCount))
            try file.write(bytes.rawSpan, at: range.lowerBound)
        }
    }

    /// Opens the image with a locator that a generator makes up.
    ///
    /// - Throws: ``Violation``.
    func run(_ generator: inout SeededGenerator, _ reach: inout Reach) throws {
        var locator = ImageBuilder.Locator(relativePath: nil)
        for key in ["relative_path", "volume_path", "absolute_win32_path"]
        where key == "relative_path" || generator.once(in: 3) {
            locator.entries.append((key, path(&generator)))
        }
        try put(locator)
        let search = generator.once(in: 3) ? [folder.file("allowed/sub")] : []
        do {
            let reader = try ImageReader(
                openingImageAt: childPath, parents: ParentSearch(folders: search))
            reach.foundParent()
            var first: [UInt8] = [0]
            try first.withMutableRawSpan { (span) throws(VHDXError) in
                try reader.read(into: &span, at: 0)
            }
            guard first == [Self.allowedByte] else {
                throw Violation("a parent outside the folders was opened by \(locator.entries)")
            }
        } catch let error as VHDXError {
            reach.refused(error, by: "chain on disk")
        }
    }

    /// Puts the locator into the image's metadata.
    private func put(_ locator: ImageBuilder.Locator) throws {
        let file = try DiskFile(opening: childPath, for: .writing)
        let item = locator.encoded
        let entry = child.metadataOffset + 32 + UInt64(child.metadataItems.count - 1) * 32
        try file.write(ImageBuilder.bytes(UInt32(item.count)).rawSpan, at: entry + 20)
        try file.write(
            item.rawSpan, at: child.metadataOffset + UInt64(ImageBuilder.locatorOffset))
    }

    private func path(_ generator: inout SeededGenerator) -> String {
        let separator = generator.once(in: 4) ? "/" : "\\"
        let parts = [
            "..", ".", "..", "sub", "link", "loop", "outside", "allowed", "parent.vhdx",
            "PARENT.VHDX", "alias.vhdx", "other.vhdx", "child.vhdx", "", "C:", "\u{1F4BE}",
            String(repeating: "a", count: 300), folder.path,
            folder.path.replacing("/", with: "\\"),
        ]
        let count = 1 + generator.below(5)
        var components = (0..<count).map { _ in parts[generator.below(parts.count)] }
        if generator.once(in: 2) { components.append("parent.vhdx") }
        let text = components.joined(separator: separator)
        return text.isEmpty ? "." : text
    }
}
