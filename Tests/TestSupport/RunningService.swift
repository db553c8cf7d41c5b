internal import Foundation
internal import Transport

/// The built `vhdresync service` on a machine's worth of disks for each pair, with folders of its own.
package final class RunningService {
    package let folder: TemporaryFolder
    package private(set) var program: RunningProgram
    private let options: [String]

    package struct DidNotStart: Error {
        package var error: String
    }

    /// Of the state.
    package var state: String { folder.file("state") }
    package let socket: String

    /// Writes an inventory with a machine "vm1" and so on for each pair, and starts a service.
    ///
    /// It listens in the folder of its state unless it is told another path.
    ///
    /// - Throws: ``DidNotStart``, or what a program or a file throws.
    package init(
        _ pairs: [(primary: String, replica: String)], socketPath: String? = nil,
        launcher: [String] = []
    ) throws {
        folder = try TemporaryFolder()
        socket = socketPath ?? folder.file("state/service.sock")
        let machines: [[String: Any]] = pairs.enumerated().map { index, pair in
            let replica = URL(filePath: pair.replica)
            return [
                "name": "00000000-0000-0000-0000-00000000000\(index + 1)",
                "elementName": "vm\(index + 1)", "replicationMode": "primary",
                "disks": [
                    ["name": "disk", "path": pair.primary, "replica": replica.lastPathComponent]
                ],
                "primaryRelationship": [
                    "recoveryConnectionPoint": replica.deletingLastPathComponent().path
                ],
            ]
        }
        let inventory: [String: Any] = ["version": 1, "machines": machines]
        let configuration = folder.file("inventory.json")
        try JSONSerialization.data(withJSONObject: inventory)
            .write(to: URL(filePath: configuration))
        options =
            ["service", "--config", configuration, "--state-dir", folder.file("state")]
            + (socketPath.map { ["--socket", $0] } ?? [])
        program = try RunningProgram(options, launcher: launcher)
        try waitUntilReady()
    }

    /// Starts one with another inventory, and its state in the inventory's folder.
    package init(_ machine: ServiceMachine, options: [String] = [], launcher: [String] = []) throws
    {
        folder = machine.folder
        socket = folder.file("state/service.sock")
        self.options =
            ["service", "--config", machine.configuration, "--state-dir", machine.state("state")]
            + options
        program = try RunningProgram(self.options, launcher: launcher)
        try waitUntilReady()
    }

    deinit {
        end()
    }

    /// Kills it. Nothing is left of it when this returns but its files.
    package func end() {
        program.send(SIGKILL)
        _ = try? program.wait()
    }

    /// Starts it again, once it has ended.
    package func restart(launcher: [String] = []) throws {
        program = try RunningProgram(options, launcher: launcher)
        try waitUntilReady()
    }

    private func waitUntilReady() throws {
        for _ in 0..<60_000 where program.isRunning {
            if let client = try? DescriptorConnection.connect(toPath: socket, timeoutSeconds: 1) {
                client.close()
                return
            }
            usleep(1000)
        }
        program.send(SIGKILL)
        throw DidNotStart(error: try program.errorSoFar())
    }

    /// The words of a call of this service.
    package func words(_ words: [String]) -> [String] {
        words + ["--state-dir", state]
    }

    /// Calls the program about this service.
    package func call(_ words: String...) throws -> Program.Ending {
        try Program.run(self.words(words))
    }
}
