import Foundation

/// A directory of its own for a test, removed with everything in it at the end.
struct TemporaryDirectory: ~Copyable {
    let path: String

    init() throws {
        let name = "vhdresync-storage-\(UUID().uuidString)"
        path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of a file in the directory.
    func path(of name: String) -> String { "\(path)/\(name)" }

    /// The names in the directory.
    func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }

    /// Makes a file with a content.
    func makeFile(_ name: String, _ content: [UInt8]) throws -> String {
        let path = path(of: name)
        try Data(content).write(to: URL(fileURLWithPath: path))
        return path
    }
}
