internal import Dispatch
internal import Foundation

/// What a program left behind when it ended.
public struct ProgramOutcome: Sendable {
    /// The command line, for messages.
    public let command: String
    /// The exit status, or 128 and the number of the signal that ended the program.
    public let status: Int32
    /// All of standard output; empty where that went to a file.
    public let output: String
    /// All of standard error.
    public let errorOutput: String

    /// Whether the program ended with status 0.
    public var isSuccess: Bool { status == 0 }

    /// The outcome itself, if it is one with status 0.
    ///
    /// - Throws: ``ProgramFailure/failed(_:)``.
    @discardableResult
    public func requireSuccess() throws(ProgramFailure) -> ProgramOutcome {
        guard isSuccess else { throw .failed(self) }
        return self
    }
}

/// A reason why a program did not do what a test needs of it.
public enum ProgramFailure: Error, CustomStringConvertible {
    /// No folder of PATH holds it, nor the folders of system programs.
    case notFound(String)
    /// The system would not start it.
    case notStarted(command: String, reason: String)
    /// It was killed because it took too long.
    case timedOut(command: String, seconds: Int)
    case failed(ProgramOutcome)

    /// Some lines for a person, with all that the program printed.
    public var description: String {
        switch self {
        case .notFound(let name):
            "\(name) is not installed; make setup installs it"
        case .notStarted(let command, let reason):
            "cannot start \(command): \(reason)"
        case .timedOut(let command, let seconds):
            "\(command) was killed after \(seconds) s"
        case .failed(let outcome):
            """
            \(outcome.command) ended with \(outcome.status)
            \(outcome.output)\(outcome.errorOutput)
            """
        }
    }
}

/// Runs other programs and waits for them.
public enum ExternalProgram {
    /// Runs a program to its end, with its output going to memory or to a file.
    ///
    /// - Parameters:
    ///   - program: A path, or a name that is looked up in PATH and in the folders of system
    ///     programs.
    ///   - arguments: The arguments, without a shell in between.
    ///   - environment: Variables to set beside those of this process.
    ///   - outputFile: A file to make or replace with what the program prints to standard output.
    ///   - timeoutSeconds: After this time the program is killed.
    /// - Returns: Its status and what it printed.
    /// - Throws: ``ProgramFailure``, though not for a status other than 0; or an error of a
    ///   temporary file.
    public static func run(
        _ program: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        outputFile: String? = nil,
        timeoutSeconds: Int = 300
    ) throws -> ProgramOutcome {
        let folder = try TemporaryFolder()
        let outputPath = outputFile ?? folder.file("output")
        let errorPath = folder.file("error")

        let process = Process()
        process.executableURL = URL(fileURLWithPath: try locate(program))
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(environment) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        let files = try OutputFiles(output: outputPath, error: errorPath)
        process.standardOutput = files.output
        process.standardError = files.error

        let command = ([program] + arguments).joined(separator: " ")
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do {
            try process.run()
        } catch {
            throw ProgramFailure.notStarted(command: command, reason: "\(error)")
        }
        try files.close()
        if ended.wait(timeout: .now() + .seconds(timeoutSeconds)) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
            throw ProgramFailure.timedOut(command: command, seconds: timeoutSeconds)
        }
        let signalBase: Int32 = process.terminationReason == .uncaughtSignal ? 128 : 0
        return ProgramOutcome(
            command: command,
            status: signalBase + process.terminationStatus,
            output: outputFile == nil ? try text(ofFileAt: outputPath) : "",
            errorOutput: try text(ofFileAt: errorPath)
        )
    }

    /// Where the program lies.
    private static func locate(_ program: String) throws(ProgramFailure) -> String {
        if program.contains("/") { return program }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        for folder in folders
        where FileManager.default.isExecutableFile(atPath: folder + "/" + program) {
            return folder + "/" + program
        }
        throw .notFound(program)
    }

    private static func text(ofFileAt path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    }
}
