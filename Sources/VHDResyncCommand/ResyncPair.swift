internal import Transport

/// A primary and the replica that is to read as it, by their names on the command line.
struct ResyncPair: Equatable {
    var primary: DiskLocation
    var replica: DiskLocation

    /// - Throws: ``UsageError`` for a name that is none, and for two disks that are both elsewhere.
    init(primary: String, replica: String) throws(UsageError) {
        self.primary = try Operand.location(primary)
        self.replica = try Operand.location(replica)
        guard !self.primary.isRemote || !self.replica.isRemote else {
            throw .invalid(
                "both '\(primary)' and '\(replica)' are on other hosts, and one disk must be on "
                    + "this one: run the program on one of the two hosts")
        }
    }

    /// The one that is on another host, if one is.
    var remote: DiskLocation? {
        [primary, replica].first(where: \.isRemote)
    }
}

extension DiskLocation {
    var isRemote: Bool {
        if case .local = self { false } else { true }
    }

    /// The path as the host knows it on which the disk is.
    var path: String {
        switch self {
        case .local(let path), .ssh(_, _, let path), .tls(_, _, let path): path
        }
    }

    /// The same without its path: what disks have in common that share a connection.
    var place: RemotePlace? {
        switch self {
        case .local: nil
        case .ssh(let user, let host, _): .ssh(user: user, host: host)
        case .tls(let host, let port, _): .tls(host: host, port: port)
        }
    }
}

/// A host, and the way to it.
enum RemotePlace: Hashable {
    case ssh(user: String?, host: String)
    case tls(host: String, port: UInt16)

    /// How it is named in a sentence.
    var name: String {
        switch self {
        case .ssh(_, let host), .tls(let host, _): host
        }
    }
}
