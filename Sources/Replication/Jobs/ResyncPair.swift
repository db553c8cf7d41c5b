package import Transport

/// A primary and the replica that is to read as it.
package struct ResyncPair: Equatable, Sendable {
    package var primary: DiskLocation
    package var replica: DiskLocation

    package init(primary: DiskLocation, replica: DiskLocation) {
        self.primary = primary
        self.replica = replica
    }

    /// The one that is on another host, if one is.
    package var remote: DiskLocation? {
        [primary, replica].first(where: \.isRemote)
    }
}

extension DiskLocation {
    package var isRemote: Bool {
        if case .local = self { false } else { true }
    }

    /// The path as the host knows it on which the disk is.
    package var path: String {
        switch self {
        case .local(let path), .ssh(_, _, let path), .tls(_, _, let path): path
        }
    }

    /// The same without its path: what disks have in common that share a connection.
    package var place: RemotePlace? {
        switch self {
        case .local: nil
        case .ssh(let user, let host, _): .ssh(user: user, host: host)
        case .tls(let host, let port, _): .tls(host: host, port: port)
        }
    }
}

/// A host, and the way to it.
package enum RemotePlace: Hashable, Sendable {
    case ssh(user: String?, host: String)
    case tls(host: String, port: UInt16)

    /// How it is named in a sentence.
    package var name: String {
        switch self {
        case .ssh(_, let host), .tls(let host, _): host
        }
    }
}
