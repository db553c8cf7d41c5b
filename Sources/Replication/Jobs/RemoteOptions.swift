package import Resync
package import Transport

/// How other hosts are reached.
public struct RemoteOptions: Equatable, Sendable {
    /// The program that reaches a host, and its first arguments.
    public var shell = ["ssh"]
    /// What it is to start there.
    public var command = ["vhdresync"]
    /// Files of this side's certificate and key, and of the authorities that it trusts.
    public var certificate = ""
    public var key = ""
    public var authorities = ""
    /// The most that is to cross a connection in each direction in a second; nil for no limit.
    public var bytesPerSecond: UInt64?
    /// How often to call again where a connection breaks.
    public var retryCount = 0
    /// After so long without a sign of life the other side counts as dead; nil for the default.
    public var idleTimeoutSeconds: Double?

    public init() {}

    /// A side that serves shows a sign of life so often unless it is told otherwise.
    package static let keepAliveSeconds = 10.0

    func check() throws(CodedError) {
        guard !shell.isEmpty, !command.isEmpty else {
            throw .invalid("what reaches another host names no program")
        }
        guard (0...1_000_000).contains(retryCount) else {
            throw .invalid("another host may be called again 0 to 1000000 times")
        }
        if let bytesPerSecond {
            guard (1024...UInt64(Int64.max)).contains(bytesPerSecond) else {
                throw .invalid("a connection must be allowed 1024 bytes in a second at least")
            }
        }
        if let idleTimeoutSeconds {
            guard (1...86400).contains(idleTimeoutSeconds) else {
                throw .invalid("the idle timeout must be 1 second to a day")
            }
        }
    }

    package var settings: ChannelSettings {
        var settings = ChannelSettings(bytesPerSecond: bytesPerSecond)
        if let seconds = idleTimeoutSeconds {
            settings.idleTimeoutSeconds = seconds
            // Whoever is told of a short time by the same option expects signs as often.
            settings.keepAliveSeconds = min(Self.keepAliveSeconds, seconds / 4)
        }
        return settings
    }

    /// The command that serves the disks of a host, for ``ProgramConnection``.
    package func words(user: String?, host: String) -> [String] {
        var words = shell + [(user.map { $0 + "@" } ?? "") + host] + command + ["agent", "--stdio"]
        if let seconds = idleTimeoutSeconds { words += ["--idle-timeout", "\(seconds)"] }
        return words
    }

    /// A host that is called when the first of its disks is needed.
    package func peer(at place: RemotePlace) -> RemotePeer {
        RemotePeer(name: place.name, settings: settings) { () throws(TransportError) in
            switch place {
            case .ssh(let user, let host):
                return try ProgramConnection(
                    command: words(user: user, host: host), peerName: place.name)
            case .tls(let host, let port):
                let context = try TLSContext(
                    TLSConfiguration(
                        certificatePath: certificate, keyPath: key, caPath: authorities))
                return try TLSConnection.connect(
                    host: host, port: port, context: context,
                    timeoutSeconds: settings.idleTimeoutSeconds)
            }
        }
    }
}
