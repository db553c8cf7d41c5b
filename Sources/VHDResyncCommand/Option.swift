/// An option of the command line. The raw value is what `getopt_long` returns for it: the letter of
/// its short form, or a number past all letters.
enum Option: Int32, CaseIterable, Sendable {
    case dryRun = 0x6E  // n
    case output = 0x6F  // o
    case quiet = 0x71  // q
    case help = 0x68  // h
    case version = 0x56  // V
    case blockSize = 256
    case jobs
    case compare
    case hashProvider
    case cache
    case create
    case parent
    case parentPath
    case reuse
    case chain
    case grow
    case force
    case verify
    case timeout
    case json
    case progress
    case inPlace
    case apply
    case journalDirectory
    case primaryFormat
    case replicaFormat
    case disks
    case remoteShell
    case remoteCommand
    case certificate
    case key
    case authorities
    case bandwidthLimit
    case retry
    case idleTimeout
    case stdio
    case listen
    case root
    case allowPeer
    case readOnly
    case logFormat
    case connectionLimit
    case runLimit
    case configuration
    case stateFolder
    case socket
    case startTime
    case wait

    /// The long form, without its hyphens.
    var name: String {
        switch self {
        case .dryRun: "dry-run"
        case .output: "output"
        case .quiet: "quiet"
        case .help: "help"
        case .version: "version"
        case .blockSize: "block-size"
        case .jobs: "jobs"
        case .compare: "compare"
        case .hashProvider: "hash-provider"
        case .cache: "cache"
        case .create: "create"
        case .parent: "parent"
        case .parentPath: "parent-path"
        case .reuse: "reuse"
        case .chain: "chain"
        case .grow: "grow"
        case .force: "force"
        case .verify: "verify"
        case .timeout: "timeout"
        case .json: "json"
        case .progress: "progress"
        case .inPlace: "in-place"
        case .apply: "apply"
        case .journalDirectory: "journal-dir"
        case .primaryFormat: "primary-format"
        case .replicaFormat: "replica-format"
        case .disks: "disks"
        case .remoteShell: "rsh"
        case .remoteCommand: "remote-command"
        case .certificate: "cert"
        case .key: "key"
        case .authorities: "ca"
        case .bandwidthLimit: "bandwidth-limit"
        case .retry: "retry"
        case .idleTimeout: "idle-timeout"
        case .stdio: "stdio"
        case .listen: "listen"
        case .root: "root"
        case .allowPeer: "allow-peer"
        case .readOnly: "read-only"
        case .logFormat: "log-format"
        case .connectionLimit: "connection-limit"
        case .runLimit: "run-limit"
        case .configuration: "config"
        case .stateFolder: "state-dir"
        case .socket: "socket"
        case .startTime: "start-time"
        case .wait: "wait"
        }
    }

    /// The letter of the short form, or nil.
    var letter: Character? {
        UInt8(exactly: rawValue).map { Character(UnicodeScalar($0)) }
    }

    /// Whether it may have an argument behind `=`, and none otherwise.
    var mayTakeArgument: Bool { self == .reuse }

    var takesArgument: Bool {
        switch self {
        case .output, .blockSize, .jobs, .compare, .hashProvider, .cache, .timeout, .progress,
            .parent, .parentPath, .apply, .journalDirectory, .primaryFormat, .replicaFormat, .disks,
            .remoteShell,
            .remoteCommand, .certificate, .key, .authorities, .bandwidthLimit, .retry,
            .idleTimeout, .listen, .root, .allowPeer, .logFormat, .connectionLimit, .runLimit,
            .configuration, .stateFolder, .socket, .startTime:
            true
        case .dryRun, .quiet, .help, .version, .create, .reuse, .chain, .grow, .force, .verify,
            .json, .inPlace, .stdio, .readOnly, .wait:
            false
        }
    }

    /// Whether the option means something for this verb.
    func applies(to verb: Verb) -> Bool {
        switch self {
        case .help, .version: true
        case .parentPath: !verb.isOfService
        case .json: verb != .agent && verb != .service
        case .jobs, .hashProvider, .cache: verb != .info && verb != .check && !verb.isOfService
        case .timeout:
            verb != .info && verb != .check && verb != .agent && !verb.isOfService
        case .progress, .quiet:
            verb != .info && verb != .check && verb != .agent && verb != .service
        case .blockSize: verb == .resync || verb == .diff || verb == .map
        case .compare: verb == .resync || verb == .diff
        case .chain: verb == .check
        case .reuse: verb == .map
        case .dryRun, .create, .parent, .grow, .inPlace, .verify: verb == .resync
        case .force: verb == .resync || verb == .apply
        case .output: verb == .map || verb == .diff
        case .apply: verb == .resync || verb == .apply || verb == .recover
        case .journalDirectory:
            verb == .resync || verb == .apply || verb == .recover || verb == .agent
        case .primaryFormat: verb == .resync || verb == .diff || verb == .map
        case .replicaFormat: verb == .resync || verb == .diff || verb == .apply || verb == .recover
        case .disks: verb == .resync
        case .idleTimeout: verb == .resync || verb == .agent
        case .stdio, .listen: verb == .agent
        case .certificate, .key, .authorities: verb == .resync || verb == .agent
        case .remoteShell, .remoteCommand, .bandwidthLimit, .retry: verb == .resync
        case .root, .allowPeer, .readOnly, .logFormat, .connectionLimit, .runLimit:
            verb == .agent
        case .configuration: verb == .service
        case .stateFolder, .socket: verb.isOfService
        case .startTime, .wait: verb == .machine
        }
    }

    /// Whether it says how another host is reached, and so means nothing where all disks are here.
    var isOfRemotes: Bool {
        switch self {
        case .remoteShell, .remoteCommand, .certificate, .key, .authorities, .bandwidthLimit,
            .retry,
            .idleTimeout:
            true
        default: false
        }
    }

    /// Whether it is for an agent that listens, and means nothing to one that is called under ssh.
    var isOfListening: Bool {
        switch self {
        case .listen, .root, .allowPeer, .readOnly, .logFormat, .connectionLimit, .runLimit,
            .certificate, .key, .authorities:
            true
        default: false
        }
    }

    /// The short forms as `getopt_long` takes them. The colon in front makes it tell a missing
    /// argument from an unknown option.
    static var shortForms: String {
        ":"
            + allCases.compactMap { option in
                option.letter.map { String($0) + (option.takesArgument ? ":" : "") }
            }.joined()
    }
}
