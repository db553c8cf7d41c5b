import Dispatch
import Foundation
import Storage
import TestSupport

/// A program of the tests under way, which says how far it is on its standard output, a pipe.
final class SpeakingProgram: Sendable {
    private struct Said {
        var bytes = Data()
        var hasEnded = false

        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    private let identifier: Int32
    private let ended: DispatchGroup
    private let said = ConditionLock(Said())

    /// Starts a program by its name. The environment is added to the one of this process.
    init(
        _ name: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws {
        let (process, output, ended) = (Process(), Pipe(), DispatchGroup())
        process.executableURL = try Program.path(of: name)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        ended.enter()
        process.terminationHandler = { _ in ended.leave() }
        try process.run()
        identifier = process.processIdentifier
        self.ended = ended
        // Else the end of the output would never come.
        try output.fileHandleForWriting.close()
        DispatchQueue(label: "test.output").async { [said, input = output.fileHandleForReading] in
            while case let more = input.availableData, !more.isEmpty {
                said.withLock { $0.bytes += more }
            }
            said.withLock { $0.hasEnded = true }
            // Foundation keeps it.
            try? input.close()
        }
    }

    /// Waits until what it has said is enough, or it has ended.
    func wait(until isEnough: (String) -> Bool) {
        said.withLock(when: { $0.hasEnded || isEnough($0.text) }) { _ in }
    }

    /// What it has said by now.
    var textSoFar: String { said.withLock { $0.text } }

    func kill() { Foundation.kill(identifier, SIGKILL) }

    /// What it had said at its end, for which this waits.
    func text() -> String {
        ended.wait()
        return said.withLock(when: { $0.hasEnded }) { $0.text }
    }
}
