internal import Foundation

/// What a program writes to, in place of pipes: neither can block it, whatever it prints.
struct OutputFiles {
    let output: FileHandle
    let error: FileHandle

    /// Makes both, without what files of these names had before.
    init(output: String, error: String) throws {
        self.output = try Self.emptyFile(at: output)
        self.error = try Self.emptyFile(at: error)
    }

    /// For this process, once the program runs. Foundation keeps what it was given, and crashes in the
    /// end, with a thousand and more files that are open.
    func close() throws {
        try output.close()
        try error.close()
    }

    private static func emptyFile(at path: String) throws -> FileHandle {
        try Data().write(to: URL(filePath: path))
        return try FileHandle(forWritingTo: URL(filePath: path))
    }
}
