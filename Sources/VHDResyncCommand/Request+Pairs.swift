internal import Replication
internal import Resync

extension Invocation {
    /// Takes the operands as pairs of disks, and adds those of lists.
    mutating func addPairs(lists: [String]) throws(UsageError) {
        guard !paths.isEmpty || !lists.isEmpty else {
            throw .invalid("no disk is named: \(verb.usage); 'vhdresync --help' says more")
        }
        guard paths.count != 1 else {
            throw .invalid("a second disk is missing: \(verb.usage); 'vhdresync --help' says more")
        }
        guard paths.count.isMultiple(of: 2) else {
            throw .invalid(
                "disks come in pairs, and '\(paths[paths.count - 1])' is one name too many: "
                    + verb.usage)
        }
        for index in stride(from: 0, to: paths.count, by: 2) {
            pairs.append(try ResyncPair(primary: paths[index], replica: paths[index + 1]))
        }
        for list in lists { pairs += try DiskList.pairs(inFileAt: Operand.localPath(list)) }
        var replicas: Set<String> = []
        for pair in pairs {
            guard replicas.insert("\(pair.replica)").inserted else {
                throw .invalid("'\(pair.replica)' is named as a replica twice")
            }
        }
    }

    /// Options that mean something only where another host has one of the disks, or nothing there.
    func checkRemotes(_ arguments: CommandLineArguments) throws(UsageError) {
        let remotes = pairs.compactMap(\.remote?.place)
        let isShellUsed = remotes.contains { if case .ssh = $0 { true } else { false } }
        let isTLSUsed = remotes.contains { if case .tls = $0 { true } else { false } }
        for option in Option.allCases where option.isOfRemotes && arguments.contains(option) {
            try check(option, isShellUsed: isShellUsed, isTLSUsed: isTLSUsed)
        }
        for pair in pairs {
            guard let obstacle = pair.obstacle(options, remote) else { continue }
            throw .invalid(sentence(of: obstacle, pair))
        }
    }

    private func sentence(of obstacle: RemoteObstacle, _ pair: ResyncPair) -> String {
        func missing(_ option: Option) -> String {
            "a disk at vhdresync:// is reached with certificates: it needs '--cert', '--key' and "
                + "'--ca', and '--\(option.name)' is missing"
        }
        return switch obstacle {
        case .comparesBytes:
            "two hosts compare digests: '--compare bytes' needs both disks on this one"
        case .writesInPlace:
            "what comes from another host goes through a journal, so that a connection that breaks "
                + "harms nothing: '--in-place' needs both disks on this host"
        case .journalFolder:
            "the journal of '\(pair.replica)' stands on that host: '--journal-dir' belongs to the "
                + "'vhdresync agent' there"
        case .parentOfNewReplica:
            "'--parent' names an image on this host: it means nothing to a replica that is made on "
                + "another one, '\(pair.replica)'"
        case .noCertificate: missing(.certificate)
        case .noKey: missing(.key)
        case .noAuthorities: missing(.authorities)
        case .idleTimeout(let shortest):
            "an agent that listens gives a sign of life every \(Int(shortest / 2)) s: for "
                + "vhdresync:// the idle timeout must be \(Int(shortest)) s at least"
        }
    }

    private func check(
        _ option: Option, isShellUsed: Bool, isTLSUsed: Bool
    ) throws(UsageError) {
        let isUsed: Bool
        let what: String
        switch option {
        case .remoteShell, .remoteCommand: (isUsed, what) = (isShellUsed, "a disk at host:path")
        case .certificate, .key, .authorities:
            (isUsed, what) = (isTLSUsed, "a disk at vhdresync://host/path")
        default: (isUsed, what) = (isShellUsed || isTLSUsed, "a disk on another host")
        }
        guard isUsed else {
            throw .invalid("'--\(option.name)' is for \(what), and none is named")
        }
    }
}
