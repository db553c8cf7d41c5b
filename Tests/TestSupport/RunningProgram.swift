internal import Dispatch
package import Foundation

/// A program that has not ended: a test may send it signals.
///
/// Its output goes to files, so that it never waits for a reader. Who forgets it leaves it behind.
package final class RunningProgram {
    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)
    private let files: TemporaryFolder

    /// Starts a program by its path. The environment is added to the one of this process, and an
    /// output of its own is not in the ending.
    package init(
        at path: URL, _ arguments: [String], environment: [String: String] = [:],
        directory: String? = nil, output: FileHandle? = nil
    ) throws {
        files = try TemporaryFolder()
        process.executableURL = path
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        process.standardInput = FileHandle.nullDevice
        let own = try OutputFiles(output: files.file("output"), error: files.file("error"))
        process.standardOutput = output ?? own.output
        process.standardError = own.error
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        try own.close()
    }

    /// Whether it has not ended yet.
    package var isRunning: Bool { process.isRunning }

    /// Its number, good as long as it runs.
    package var identifier: Int32 { process.processIdentifier }

    /// Whether it has this file open now.
    package func hasOpen(_ path: String) -> Bool {
        let folder = "/proc/\(process.processIdentifier)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.contains {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)"))
                == path
        }
    }

    /// Whether a file is part of its memory now.
    package func hasMapped(_ path: String) throws -> Bool {
        try kernelText("maps").contains(path)
    }

    /// What the kernel says of it in a file of this name; nothing once it has ended.
    private func kernelText(_ name: String) throws -> String {
        let file = FileHandle(forReadingAtPath: "/proc/\(identifier)/\(name)")
        return String(decoding: try file?.readToEnd() ?? Data(), as: UTF8.self)
    }

    /// Whether it has a handler for a signal.
    package func catches(_ signal: Int32) throws -> Bool {
        let line = try kernelText("status").split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = line?.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } ?? 0
        return mask >> UInt64(signal - 1) & 1 == 1
    }

    /// Whether neither it runs any more nor anything that it has started, and that in turn: all are
    /// in the process group that it leads.
    package var groupHasEnded: Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return !names.contains { name in
            guard Int32(name) != nil,
                let text = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
                let end = text.lastIndex(of: ")")
            else { return false }
            // Behind the name of the program: state, parent, group. Nobody may want its status.
            let fields = text[end...].split(separator: " ").dropFirst()
            return fields.first != "Z" && fields.dropFirst(2).first == "\(identifier)"
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

    /// What has been written to standard output so far.
    package func outputSoFar() throws -> String {
        try text("output")
    }

    /// Waits for the end.
    ///
    /// - Throws: ``Program/TimedOut`` after so many seconds; or an error of a file.
    package func wait(timeoutSeconds: Int = 120) throws -> Program.Ending {
        if ended.wait(timeout: .now() + .seconds(timeoutSeconds)) == .timedOut {
            send(SIGKILL)
            ended.wait()
            throw Program.TimedOut(
                arguments: process.arguments ?? [], error: try text("error"))
        }
        // For who asks again.
        ended.signal()
        return Program.Ending(
            status: process.terminationStatus,
            wasKilled: process.terminationReason == .uncaughtSignal,
            output: try text("output"), error: try text("error"))
    }

    private func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: files.file(name))), as: UTF8.self)
    }
}
