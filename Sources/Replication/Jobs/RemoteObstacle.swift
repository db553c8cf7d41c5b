package import Resync

/// Why a pair of disks on two hosts cannot be worked on as the options say.
package enum RemoteObstacle: Equatable, Sendable {
    /// Two hosts compare digests.
    case comparesBytes
    /// What comes from another host goes through a journal.
    case writesInPlace
    /// The journal of a replica on another host stands there.
    case journalFolder
    /// An image of this host is to be the parent of a replica on another one.
    case parentOfNewReplica
    /// TLS needs all three files.
    case noCertificate
    case noKey
    case noAuthorities
    /// An agent that listens may be silent for longer than this side waits.
    case idleTimeout(shortestSeconds: Double)
}

extension ResyncPair {
    /// The first obstacle, or nil. Disks that are both here have none.
    package func obstacle(_ options: ResyncOptions, _ remote: RemoteOptions) -> RemoteObstacle? {
        guard let place = self.remote?.place else { return nil }
        if options.comparison == .bytes { return .comparesBytes }
        if options.writeMethod == .inPlace { return .writesInPlace }
        if replica.isRemote {
            if options.journalFolder != nil { return .journalFolder }
            if options.parentOfNewReplica != nil { return .parentOfNewReplica }
        }
        guard case .tls = place else { return nil }
        if remote.certificate.isEmpty { return .noCertificate }
        if remote.key.isEmpty { return .noKey }
        if remote.authorities.isEmpty { return .noAuthorities }
        let shortest = 2 * RemoteOptions.keepAliveSeconds
        let seconds = remote.idleTimeoutSeconds ?? shortest
        return seconds < shortest ? .idleTimeout(shortestSeconds: shortest) : nil
    }
}
