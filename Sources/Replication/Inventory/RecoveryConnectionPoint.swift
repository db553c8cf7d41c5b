internal import Storage
public import Transport

/// Where the replicas of a relationship stand: a folder on this host, or on another one that is reached
/// over ssh or over TLS.
public enum RecoveryConnectionPoint: Hashable, Sendable {
    case folder(String)
    /// Without a folder, paths there start with a slash.
    case ssh(user: String?, host: String, folder: String?)
    /// The folder is one within what the agent there serves; empty for that itself.
    case tls(host: String, port: UInt16, folder: String)

    /// Reads `/folder`, `[user@]host:`, `[user@]host:/folder` or `vhdresync://host[:port][/folder]`.
    ///
    /// - Throws: ``TransportError/invalidAddress(_:)``.
    public init(parsing text: String) throws(TransportError) {
        switch try DiskLocation(parsingFolder: text) {
        case .local(let path):
            self = .folder(path)
        case .ssh(let user, let host, let path):
            self = .ssh(user: user, host: host, folder: path.isEmpty ? nil : path)
        case .tls(let host, let port, let path):
            self = .tls(host: host, port: port, folder: path)
        }
    }

    /// The other host, in lower case; nil where there is none. Transfers to one host are counted by
    /// it, whatever the way there.
    public var host: String? {
        switch self {
        case .folder: nil
        case .ssh(_, let host, _), .tls(let host, _, _): host.lowercased()
        }
    }

    /// Whether paths there are absolute, and do not start from a folder that is named here.
    var takesAbsolutePaths: Bool {
        if case .ssh(_, _, nil) = self { true } else { false }
    }

    /// Where a disk stands whose path there is known.
    func location(of path: String) -> DiskLocation {
        switch self {
        case .folder(let folder):
            .local(Self.join(folder, path))
        case .ssh(let user, let host, let folder):
            .ssh(user: user, host: host, path: folder.map { Self.join($0, path) } ?? path)
        case .tls(let host, let port, let folder):
            .tls(host: host, port: port, path: folder.isEmpty ? path : Self.join(folder, path))
        }
    }

    private static func join(_ folder: String, _ path: String) -> String {
        folder.utf8.last == UInt8(ascii: "/") ? folder + path : folder + "/" + path
    }
}
