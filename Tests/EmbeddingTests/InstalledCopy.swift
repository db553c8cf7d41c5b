import Foundation
import TestSupport

/// What `make install` puts into a folder of its own, from the build that the tests are part of.
final class InstalledCopy: Sendable {
    /// Below which everything is put.
    let path: String
    /// `bin`, `include` and so on lie below.
    let prefix: String
    private let folder: TemporaryFolder?

    /// The checkout.
    static let root = URL(filePath: TestImage.folder).deletingLastPathComponent().path

    /// Where the tests keep what other runs can use.
    static let kept = root + "/.build/embedding"

    /// One for all tests that only look at it.
    static let shared = Result {
        let path = kept + "/installed"
        if FileManager.default.fileExists(atPath: path) {
            try FileManager.default.removeItem(atPath: path)
        }
        return try InstalledCopy(path, prefix: path, folder: nil)
    }

    /// One in a folder that goes with it.
    ///
    /// - Parameter isStaged: Whether it is staged as for a package: in a folder below which it is to be
    ///   in `/usr`.
    /// - Throws: ``ProgramFailure`` with what make has printed.
    convenience init(isStaged: Bool = false) throws {
        let folder = try TemporaryFolder()
        try self.init(
            folder.path, prefix: folder.path + (isStaged ? "/usr" : ""), folder: folder)
    }

    private init(_ path: String, prefix: String, folder: TemporaryFolder?) throws {
        (self.path, self.prefix, self.folder) = (path, prefix, folder)
        try make("install")
    }

    func uninstall() throws {
        try make("uninstall")
    }

    private func make(_ target: String) throws {
        let built = try Program.path().deletingLastPathComponent().path
        let variables =
            prefix == path ? ["PREFIX=\(path)"] : ["PREFIX=/usr", "DESTDIR=\(path)"]
        try ExternalProgram.run(
            "make", ["-C", Self.root, target, "BUILT=\(built)"] + variables
        ).requireSuccess()
    }

    /// All files and links below the prefix, sorted.
    var files: [String] {
        var files: [String] = []
        let enumerator = FileManager.default.enumerator(atPath: path)
        while let name = enumerator?.nextObject() as? String {
            let type = enumerator?.fileAttributes?[.type] as? FileAttributeType
            if type != .typeDirectory { files.append(name) }
        }
        return files.sorted()
    }

    /// So that a program finds the library where the system would not look.
    var environment: [String: String] { ["LD_LIBRARY_PATH": prefix + "/lib"] }

    /// What pkg-config says of it.
    func configuration(_ options: [String]) throws -> [String] {
        let outcome = try ExternalProgram.run(
            "pkg-config", options + ["vhdresync"],
            environment: ["PKG_CONFIG_PATH": prefix + "/lib/pkgconfig"]
        ).requireSuccess()
        return outcome.output.split(whereSeparator: \.isWhitespace).map(String.init)
    }
}
