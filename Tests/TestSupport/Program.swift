internal import Dispatch
package import Foundation

/// The built `vhdresync`, run as a process of its own.
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
    package static func path() throws -> URL {
        // On Linux the bundle is a program itself.
        let arguments = ProcessInfo.processInfo.arguments.map { URL(filePath: $0) }
        let candidates = arguments + [Bundle.main.executableURL].compactMap(\.self)
        for candidate in candidates {
            let program = candidate.deletingLastPathComponent().appending(path: "vhdresync")
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

    /// A run that has not ended: a test may send it signals.
    ///
    /// Its output goes to files, so that it never waits for a reader.
    package final class Running {
        private let process = Process()
        private let ended = DispatchSemaphore(value: 0)
        private let files: TemporaryFolder

        package init(
            _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
            output: FileHandle? = nil, launcher: [String] = []
        ) throws {
            files = try TemporaryFolder()
            let program = try Program.path()
            process.executableURL = launcher.isEmpty ? program : URL(filePath: "/usr/bin/env")
            process.arguments =
                launcher.isEmpty ? arguments : launcher + [program.path] + arguments
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
            if let directory { process.currentDirectoryURL = URL(filePath: directory) }
            process.standardInput = FileHandle.nullDevice
            let file = try Self.newFile(files.file("output"))
            process.standardOutput = output ?? file
            process.standardError = try Self.newFile(files.file("error"))
            let ended = ended
            process.terminationHandler = { _ in ended.signal() }
            try process.run()
        }

        /// Whether it has not ended yet.
        package var isRunning: Bool { process.isRunning }

        /// Whether it has this file open now.
        package func hasOpen(_ path: String) -> Bool {
            let folder = "/proc/\(process.processIdentifier)/fd"
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return names.contains {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)"))
                    == path
            }
        }

        /// Sends a signal.
        package func send(_ signal: Int32) {
            kill(process.processIdentifier, signal)
        }

        /// What has been written to standard error so far.
        package func errorSoFar() throws -> String {
            try text("error")
        }

        /// Waits for the end. To be called once.
        ///
        /// - Throws: ``TimedOut`` after so many seconds; or an error of a file.
        package func wait(timeoutSeconds: Int = 120) throws -> Ending {
            if ended.wait(timeout: .now() + .seconds(timeoutSeconds)) == .timedOut {
                send(SIGKILL)
                ended.wait()
                throw TimedOut(arguments: process.arguments ?? [], error: try text("error"))
            }
            return Ending(
                status: process.terminationStatus,
                wasKilled: process.terminationReason == .uncaughtSignal,
                output: try text("output"), error: try text("error"))
        }

        private func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: URL(filePath: files.file(name))), as: UTF8.self)
        }

        private static func newFile(_ path: String) throws -> FileHandle {
            try Data().write(to: URL(filePath: path))
            return try FileHandle(forWritingTo: URL(filePath: path))
        }
    }
}
