import Foundation
import Glibc
import TestSupport
import Transport

/// A server of OpenSSH on the loopback addresses, with a configuration, a port and keys of its own,
/// that lets the user in who runs the tests.
final class LoopbackSSH {
    let folder: TemporaryFolder
    let port: UInt16
    private let server: RunningProgram

    struct DidNotStart: Error {
        /// What it said.
        var log: String
    }

    /// Why the loopback address of IPv6 cannot be used; nil where it can.
    static let refusalOfIPv6: String? = {
        do throws(TransportError) {
            try TCPListener(address: ListenAddress(host: "::1", port: 0)).stop()
            return nil
        } catch {
            return "no IPv6 here: \(error)"
        }
    }()

    /// Starts a server that lets the key "user" in, and no other.
    ///
    /// - Parameter restriction: what stands before the key in the file of those that are let in.
    /// - Throws: ``DidNotStart``, or what a program or a file throws.
    init(restriction: String = "") throws {
        folder = try TemporaryFolder()
        for name in ["host", "user", "stranger"] {
            try ExternalProgram.run(
                "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", folder.file(name)]
            ).requireSuccess()
        }
        let user = try Self.text(folder.file("user.pub"))
        try "\(restriction) \(user)".write(
            toFile: folder.file("authorized"), atomically: false, encoding: .utf8)
        // Root's connections are served by a process that is locked up there.
        if geteuid() == 0, !FileManager.default.fileExists(atPath: "/run/sshd") {
            try FileManager.default.createDirectory(
                atPath: "/run/sshd", withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o755])
        }
        // Somebody else may take the port before the server does.
        var attempt = 0
        while true {
            let port = try Self.freePort()
            if let server = try Self.start(in: folder, port: port, isLast: attempt == 5) {
                (self.port, self.server) = (port, server)
                break
            }
            attempt += 1
        }
        let host = try Self.text(folder.file("host.pub"))
        try "[localhost]:\(port),[127.0.0.1]:\(port),[::1]:\(port) \(host)".write(
            toFile: folder.file("known"), atomically: false, encoding: .utf8)
    }

    deinit {
        Self.stop(server)
        _ = try? server.wait(timeoutSeconds: 30)
    }

    /// What the server has said so far.
    var log: String { (try? server.errorSoFar()) ?? "" }

    /// The options that reach it with a key.
    func options(key: String = "user", knownHosts: String = "known") throws -> [String] {
        ["--rsh", command(key: key, knownHosts: knownHosts)]
            + ["--remote-command", try Program.path().path]
    }

    private func command(key: String, knownHosts: String) -> String {
        let options = [
            "BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "LogLevel=ERROR",
            "StrictHostKeyChecking=yes", "UserKnownHostsFile=\(folder.file(knownHosts))",
            "GlobalKnownHostsFile=none",
        ]
        return "ssh -F none -p \(port) -i \(folder.file(key)) "
            + options.map { "-o \($0)" }.joined(separator: " ")
    }

    /// Ends the processes that serve connections, and what they have started: as when the host is
    /// gone.
    func cutConnections() throws {
        for daemon in try Self.children(of: server.identifier) {
            for process in try Self.descendants(of: daemon) { kill(process, SIGKILL) }
        }
    }

    private static func children(of process: Int32) throws -> [Int32] {
        try text("/proc/\(process)/task/\(process)/children").split(separator: " ")
            .compactMap { Int32($0) }
    }

    private static func descendants(of process: Int32) throws -> [Int32] {
        let children = try children(of: process)
        return children + children.flatMap { (try? descendants(of: $0)) ?? [] }
    }

    private static func freePort() throws -> UInt16 {
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        defer { listener.stop() }
        return listener.port
    }

    /// Foundation takes a program for ended that closes all descriptors which it does not know, as
    /// this server does, and then waits for it instead of looking at others. A shell keeps them.
    private static let launcher = "\"$@\"; :"

    /// The shell ends with the server.
    private static func stop(_ server: RunningProgram) {
        for daemon in (try? children(of: server.identifier)) ?? [] { kill(daemon, SIGTERM) }
    }

    /// - Returns: nil where the port is taken.
    private static func start(
        in folder: TemporaryFolder, port: UInt16, isLast: Bool
    ) throws -> RunningProgram? {
        let addresses = refusalOfIPv6 == nil ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"]
        let lines =
            addresses.map { "ListenAddress \($0):\(port)" } + [
                "HostKey \(folder.file("host"))", "AuthorizedKeysFile \(folder.file("authorized"))",
                "PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
                "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
                "LogLevel VERBOSE", "",
            ]
        let configuration = folder.file("sshd_config")
        try lines.joined(separator: "\n").write(
            toFile: configuration, atomically: false, encoding: .utf8)
        let server = try RunningProgram(
            at: URL(filePath: "/bin/sh"),
            ["-c", launcher, "sh", "/usr/sbin/sshd", "-D", "-e", "-f", configuration])
        for _ in 0..<60_000 where server.isRunning {
            let log = try server.errorSoFar()
            if log.ranges(of: "Server listening on ").count == addresses.count { return server }
            guard !log.contains("Address already in use") else { break }
            usleep(1000)
        }
        stop(server)
        let log = try server.wait(timeoutSeconds: 30).error
        guard log.contains("Address already in use"), !isLast else { throw DidNotStart(log: log) }
        return nil
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }
}
