internal import Foundation
internal import TestSupport

/// A text file of the repository, named by its path from the top.
struct RepositoryFile {
    var path: String
    var text: String

    /// The folders and the file name.
    var components: [Substring] { path.split(separator: "/") }

    /// The module of `Sources` that the file belongs to, if any.
    var module: String? {
        components.count >= 3 && components[0] == "Sources" ? String(components[1]) : nil
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
}

/// A rule that a file breaks, and where.
struct Finding: Equatable, CustomStringConvertible {
    var path: String
    var line: Int?
    var message: String

    var description: String {
        "\(path)\(line.map { ":\($0)" } ?? ""): \(message)"
    }
}

/// The files of this checkout: those that Git tracks, and new ones that it does not ignore.
enum Checkout {
    static let root = URL(fileURLWithPath: TestImage.folder).deletingLastPathComponent().path

    /// The paths from the top, sorted.
    static let paths: [String] = {
        do {
            return try listed().sorted()
        } catch {
            fatalError("cannot list the files of \(root): \(error)")
        }
    }()

    /// The files that are valid UTF-8.
    static let textFiles: [RepositoryFile] = paths.compactMap { path in
        guard let data = FileManager.default.contents(atPath: "\(root)/\(path)"),
            let text = String(data: data, encoding: .utf8)
        else { return nil }
        return RepositoryFile(path: path, text: text)
    }

    static let swiftFiles = textFiles.filter(\.isSwift)

    /// The text of one file.
    static func text(of path: String) throws -> String {
        try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
    }

    /// Asks Git; without a Git folder all files count but those below `.build`.
    private static func listed() throws -> [String] {
        if FileManager.default.fileExists(atPath: root + "/.git") {
            let arguments = ["-C", root, "-c", "safe.directory=*", "-c", "core.quotePath=false"]
            let outcome = try ExternalProgram.run(
                "git", arguments + ["ls-files", "--cached", "--others", "--exclude-standard"]
            ).requireSuccess()
            let paths = outcome.output.split(separator: "\n").map(String.init)
            return paths.filter { FileManager.default.fileExists(atPath: "\(root)/\($0)") }
        }
        let enumerator = FileManager.default.enumerator(atPath: root)
        var paths: [String] = []
        while let path = enumerator?.nextObject() as? String {
            if path == ".build" {
                enumerator?.skipDescendants()
            } else if enumerator?.fileAttributes?[.type] as? FileAttributeType != .typeDirectory {
                paths.append(path)
            }
        }
        return paths
    }
}
