internal import Foundation

/// A new folder for the files of one test, removed with all that is in it when nobody holds it.
public final class TemporaryFolder: Sendable {
    /// The folder, as an absolute path.
    public let path: String

    /// Makes the folder below `TMPDIR`, or below `/tmp`.
    public init() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("vhdresync-test-\(UUID().uuidString)", isDirectory: true)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        path = folder.path
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of a file with this name in the folder, whether it exists or not.
    public func file(_ name: String) -> String {
        path + "/" + name
    }
}
