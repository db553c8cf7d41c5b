internal import Resync
internal import Transport

/// What a job is to do.
///
/// Disks are paths. Of a resynchronization one of them may be on another host: `host:path` over ssh,
/// or `vhdresync://host/path` over TLS; `./a:b` is the file `a:b`.
public enum JobTask: Equatable, Sendable {
    /// Makes the replica read as the primary.
    case resynchronize(primary: String, replica: String)
    /// Finishes a replica that an interrupted run has left half-written.
    case recover(replica: String)
    /// Writes the digests of a disk to a file.
    case map(disk: String, output: String)
    /// Compares a disk with another one, or with a map, and changes nothing. What differs is written
    /// to a file, if one is named.
    case diff(primary: String, replicaOrMap: String, output: String? = nil)
    /// Makes the replica read as a delta says.
    case apply(delta: String, replica: String)
}

extension JobTask {
    /// What there is to be done, and what is to be done when that is over.
    ///
    /// - Throws: ``CodedError`` for names and options that make no sense, whatever the disks are.
    func run(
        _ options: JobOptions
    ) throws(CodedError) -> (run: DiskRun, end: @Sendable () -> Void) {
        try options.check()
        let resync = options.resync
        let run: DiskRun
        switch self {
        case .resynchronize(let primary, let replica):
            let pair = ResyncPair(
                primary: try Self.location(primary), replica: try Self.location(replica))
            try pair.check(options)
            let (runs, end) = DiskRun.resync([pair], resync, options.remote)
            return (runs[0], end)
        case .recover(let replica):
            let replica = try Self.path(replica)
            try Self.check(replica: replica, resync)
            run = DiskRun(ReplicaRecovery(replica: replica, options: resync))
        case .map(let disk, let output):
            run = DiskRun(
                DiskMapping(disk: try Self.path(disk), output: output, options: resync))
        case .diff(let primary, let replica, let output):
            run = DiskRun(
                DiskComparison(
                    primary: try Self.path(primary), replica: try Self.path(replica),
                    output: output, options: resync))
        case .apply(let delta, let replica):
            let replica = try Self.path(replica)
            try Self.check(replica: replica, resync)
            run = DiskRun(DeltaApply(delta: delta, replica: replica, options: resync))
        }
        return (run, {})
    }

    /// On this host or on another one.
    private static func location(_ name: String) throws(CodedError) -> DiskLocation {
        do throws(TransportError) {
            return try DiskLocation(parsing: name)
        } catch {
            throw .invalid("\(error)")
        }
    }

    /// On this host.
    private static func path(_ name: String) throws(CodedError) -> String {
        let location = try location(name)
        guard case .local(let path) = location else {
            throw CodedError(
                .notSupported,
                "\(location) names a disk on another host, and only a resynchronization works over "
                    + "two hosts")
        }
        return path
    }

    fileprivate static func check(
        replica: String, _ options: ResyncOptions
    ) throws(CodedError) {
        try onEngine { () throws(ResyncError) in try options.check(replica: replica) }
    }
}

extension ResyncPair {
    fileprivate func check(_ options: JobOptions) throws(CodedError) {
        guard !primary.isRemote || !replica.isRemote else {
            throw .invalid(
                "both \(primary) and \(replica) are on other hosts, and one disk must be on this "
                    + "one")
        }
        if let obstacle = obstacle(options.resync, options.remote) {
            throw .invalid(text(obstacle))
        }
        guard !replica.isRemote else { return }
        try JobTask.check(replica: replica.path, options.resync)
    }

    private func text(_ obstacle: RemoteObstacle) -> String {
        func missing(_ name: String) -> String {
            "a disk at vhdresync:// is reached with certificate, key and authorities, and \(name) "
                + "is missing"
        }
        return switch obstacle {
        case .comparesBytes: "two hosts compare digests, not bytes"
        case .writesInPlace: "what comes from another host goes through a journal, not in place"
        case .journalFolder:
            "the journal of \(replica) stands on that host, and its folder is named there"
        case .parentOfNewReplica:
            "the parent of a replica is an image of this host, and \(replica) is on another one"
        case .noCertificate: missing("certificate")
        case .noKey: missing("key")
        case .noAuthorities: missing("authorities")
        case .idleTimeout(let shortest):
            "the idle timeout must be \(Int(shortest)) s at least for vhdresync://"
        }
    }
}
