internal import Foundation

/// What stands in the place of ssh: scripts that get a host and a command, as ssh does, and run the
/// command here.
package struct RemoteShell {
    private let folder: TemporaryFolder

    package init() throws {
        folder = try TemporaryFolder()
    }

    /// Where a script notes its calls, a line for each.
    package var calls: [String] {
        get throws {
            let text = try String(contentsOfFile: folder.file("calls"), encoding: .utf8)
            return text.split(separator: "\n").map(String.init)
        }
    }

    /// The options that reach hosts through a script: it runs `body`, of which `"$@"` is the command.
    package func options(_ body: String = "exec \"$@\"") throws -> [String] {
        let path = folder.file("rsh-\(UUID().uuidString)")
        let text = """
            #!/bin/bash
            echo "$*" >> '\(folder.file("calls"))'
            host=$1
            shift
            \(body)
            """
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return ["--rsh", path, "--remote-command", try Program.path().path]
    }

    /// A script whose first call does one thing, and each other call another.
    package func options(first: String, then: String = "exec \"$@\"") throws -> [String] {
        let mark = folder.file("mark-\(UUID().uuidString)")
        return try options("if mkdir '\(mark)' 2>/dev/null; then \(first); else \(then); fi")
    }
}
