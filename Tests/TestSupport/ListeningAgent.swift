internal import Foundation

/// The built `vhdresync agent --listen`, which serves a folder on a port that the system has chosen.
package final class ListeningAgent {
    package let port: UInt16
    package let program: RunningProgram

    package struct DidNotStart: Error {
        /// What it said.
        package var log: String
    }

    /// Starts one that trusts the authority "ca", and returns when it listens.
    ///
    /// - Throws: ``DidNotStart``, or what a program or a file throws.
    package init(
        root: String, credentials: [String]? = nil, options: [String] = [],
        launcher: [String] = []
    ) throws {
        let credentials = try credentials ?? Self.credentials("server")
        program = try RunningProgram(
            ["agent", "--listen", "127.0.0.1:0", "--root", root, "--log-format", "json"]
                + credentials + options, launcher: launcher)
        var port: UInt16?
        for _ in 0..<60_000 where port == nil && program.isRunning {
            usleep(1000)
            port = try Self.events("listening", in: program.errorSoFar()).first
                .flatMap { ($0["message"] as? String)?.split(separator: ",").first }
                .flatMap { UInt16($0.dropFirst("port ".count)) }
        }
        guard let port else {
            program.send(SIGKILL)
            throw DidNotStart(log: try program.errorSoFar())
        }
        self.port = port
    }

    deinit {
        end()
    }

    /// Kills it. Nothing is left of it when this returns.
    package func end() {
        program.send(SIGKILL)
        _ = try? program.wait()
    }

    /// The options that show a certificate, a client's or a server's.
    package static func credentials(
        _ name: String, authority: String = "ca"
    ) throws -> [String] {
        let certificates = try Certificates.shared.get()
        return [
            "--cert", certificates.certificate(name), "--key", certificates.key(name),
            "--ca", certificates.certificate(authority),
        ]
    }

    // MARK: The log

    /// What the log says so far of an event.
    package func events(_ name: String) throws -> [[String: Any]] {
        Self.events(name, in: try program.errorSoFar())
    }

    /// How many connections it has had that are over, and the disks of which it has closed.
    package var endedConnectionCount: Int {
        get throws {
            let log = try program.errorSoFar()
            return ["connection-closed", "handshake-failed"]
                .map { Self.events($0, in: log).count }.reduce(0, +)
        }
    }

    private static func events(_ name: String, in log: String) -> [[String: Any]] {
        // The last line may not be there as a whole.
        log.split(separator: "\n").filter { $0.contains("\"event\":\"\(name)\"") }.compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }
}
