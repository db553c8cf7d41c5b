package import Foundation

/// The built `vhdresync`, run as a process of its own; and other programs that are built with it.
package enum Program {
    /// How a run ended and what it wrote.
    package struct Ending: Sendable {
        /// The exit status, or the number of the signal that ended it.
        package var status: Int32
        package var wasKilled: Bool
        package var output: String
        package var error: String
    }

    package struct NotBuilt: Error {
        package var lookedBeside: [String]
    }

    /// The program did not end, and was killed.
    package struct TimedOut: Error {
        package var arguments: [String]
        package var error: String
    }

    /// The executable, which lies beside the test bundle.
    package static func path(of name: String = "vhdresync") throws -> URL {
        // On Linux the bundle is a program itself.
        let arguments = ProcessInfo.processInfo.arguments.map { URL(filePath: $0) }
        let candidates = arguments + [Bundle.main.executableURL].compactMap(\.self)
        for candidate in candidates {
            let program = candidate.deletingLastPathComponent().appending(path: name)
            if FileManager.default.isExecutableFile(atPath: program.path) { return program }
        }
        throw NotBuilt(lookedBeside: candidates.map(\.path))
    }

    /// Runs it to its end. The arguments are without the program's name, the environment is added
    /// to the one of this process, and an output of its own is not in the ending. A launcher is a
    /// command that runs the command that follows it.
    package static func run(
        _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
        output: FileHandle? = nil, launcher: [String] = []
    ) throws -> Ending {
        let running = try Running(
            arguments, environment: environment, directory: directory, output: output,
            launcher: launcher)
        return try running.wait()
    }

    /// A run that has not ended.
    package typealias Running = RunningProgram
}

extension RunningProgram {
    /// Starts the built `vhdresync`, by a launcher where there is one.
    package convenience init(
        _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
        output: FileHandle? = nil, launcher: [String] = []
    ) throws {
        let program = try Program.path()
        try self.init(
            at: launcher.isEmpty ? program : URL(filePath: "/usr/bin/env"),
            launcher.isEmpty ? arguments : launcher + [program.path] + arguments,
            environment: environment, directory: directory, output: output)
    }
}
