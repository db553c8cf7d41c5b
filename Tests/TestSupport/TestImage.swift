internal import Foundation

/// One image that `TestImages/images.json` lists.
public struct TestImage: Codable, Equatable, Sendable {
    /// The kinds of VHDX files, as in `images.json`.
    public enum Kind: String, Codable, Sendable {
        case fixed, dynamic, differencing
    }

    /// A part of the disk with its own digest.
    public struct DataRange: Codable, Equatable, Sendable {
        /// Where it starts on the virtual disk, in bytes.
        public var offset: UInt64
        /// Its length in bytes.
        public var count: UInt64
        /// SHA-256 in lower-case hexadecimal.
        public var sha256: String
    }

    /// The name of the unpacked file; packed it has `.xz` behind.
    public var file: String
    /// Whether it lies in `TestImages/images`; else it is in the folder of real images, if anywhere.
    public var committed: Bool
    /// What the metadata says that it is.
    public var kind: Kind
    /// Whether it builds on a parent, `kind` in other words.
    public var differencing: Bool
    /// Whether the log must be replayed before anything else of the file is true.
    public var dirtyLog: Bool
    /// The file that a differencing image builds on.
    public var parent: String?
    /// The size of the disk in bytes.
    public var virtualSize: UInt64
    /// The size of a payload block in bytes, from 1 to 256 MiB.
    public var payloadBlockSize: UInt64
    /// 512 or 4096.
    public var logicalSectorSize: UInt32
    /// 512 or 4096.
    public var physicalSectorSize: UInt32
    /// Whether QEMU can be asked for its opinion, after it has replayed a dirty log.
    public var readableByQEMU: Bool
    /// SHA-256 of the whole virtual disk, after replay; nil where `dataRanges` stands instead.
    public var contentSHA256: String?
    /// All payload blocks with data, in the order of the disk; the rest of the disk is zeros.
    public var dataRanges: [DataRange]?
    /// Who made it, and where it was found.
    public var origin: String
    /// The licence it may be passed on under, if any was stated.
    public var licence: String
}

extension TestImage: CustomStringConvertible {
    /// The file name.
    public var description: String { file }
}

extension TestImage {
    /// Everything that `images.json` lists, committed or not.
    public static let all: [TestImage] = {
        do {
            return try decodeList(Data(contentsOf: URL(fileURLWithPath: folder + "/images.json")))
        } catch {
            fatalError("cannot read \(folder)/images.json: \(error)")
        }
    }()

    /// The images that every checkout has.
    public static let committed = all.filter(\.committed)

    /// The images that this run can read: the committed ones, and the real ones that are here.
    public static let present = committed + RealImages.present

    /// The folder `TestImages` of this checkout.
    public static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("TestImages").path

    /// The listed image with this file name.
    public static func named(_ file: String) -> TestImage {
        guard let image = all.first(where: { $0.file == file }) else {
            preconditionFailure("images.json does not list \(file)")
        }
        return image
    }

    /// Reads a list in the form of `images.json`.
    static func decodeList(_ data: Data) throws -> [TestImage] {
        struct List: Codable { var images: [TestImage] }
        return try JSONDecoder().decode(List.self, from: data).images
    }

    /// Unpacks the image, and its parents beside it.
    ///
    /// - Returns: The path of the unpacked file, which bears the image's own name and is sparse.
    public func unpack(in folder: TemporaryFolder) throws -> String {
        if let parent { _ = try Self.named(parent).unpack(in: folder) }
        let packedFolder = committed ? Self.folder + "/images" : RealImages.folder
        guard let packedFolder else {
            preconditionFailure("\(file) is not here; ask RealImages.present first")
        }
        let unpacked = folder.file(file)
        try ExternalProgram.run(
            "xz", ["--decompress", "--stdout", "\(packedFolder)/\(file).xz"], outputFile: unpacked
        ).requireSuccess()
        return unpacked
    }

    /// The parent of an unpacked copy, its parent, and so on, which lie beside it.
    public func parentPaths(besideImageAt path: String) -> [String] {
        guard let parent else { return [] }
        let parentPath = path.dropLast(file.count) + parent
        return [String(parentPath)]
            + Self.named(parent).parentPaths(besideImageAt: String(parentPath))
    }

    /// Unpacks the committed image with this file name, and its parents beside it.
    public static func unpack(_ file: String, in folder: TemporaryFolder) throws -> String {
        try named(file).unpack(in: folder)
    }
}

/// The images that the project reads but does not distribute.
public enum RealImages {
    /// The environment variable that names their folder.
    public static let variable = "VHDRESYNC_REAL_IMAGES"

    /// Their folder, where the variable names one that exists.
    public static let folder: String? = {
        guard let path = ProcessInfo.processInfo.environment[variable],
            FileManager.default.fileExists(atPath: path)
        else { return nil }
        return path
    }()

    /// Those of the list that the folder holds.
    public static let present = TestImage.all.filter { image in
        guard let folder, !image.committed else { return false }
        return FileManager.default.fileExists(atPath: "\(folder)/\(image.file).xz")
    }

    /// Runs a body for each that is here and wanted, and says on standard output how many those
    /// were, or why none was.
    ///
    /// - Parameters:
    ///   - purpose: What is done with them, for that line.
    ///   - isWanted: Leaves out images that the purpose does not cover.
    ///   - body: Gets the image and the path of an unpacked copy that it may change.
    /// - Returns: How many ran.
    /// - Throws: What `body` throws, and ``ProgramFailure`` of `xz`.
    @discardableResult
    public static func forEach(
        for purpose: String,
        where isWanted: (TestImage) -> Bool = { _ in true },
        _ body: (TestImage, String) throws -> Void
    ) throws -> Int {
        var ran = 0
        for image in present where isWanted(image) {
            let temporary = try TemporaryFolder()
            try body(image, try image.unpack(in: temporary))
            ran += 1
        }
        print(report(purpose: purpose, ran: ran, folder: folder))
        return ran
    }

    /// The line that says how many ran.
    static func report(purpose: String, ran: Int, folder: String?) -> String {
        let listed = TestImage.all.count { !$0.committed }
        guard let folder else {
            return "real images, \(purpose): 0 of \(listed) ran, \(variable) names no folder"
        }
        return "real images, \(purpose): \(ran) of \(listed) ran, from \(folder)"
    }
}
