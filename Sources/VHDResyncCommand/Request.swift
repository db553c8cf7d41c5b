internal import Replication
internal import Resync
internal import VHDX

/// What the arguments ask for.
enum Request {
    /// Of a verb, or of all that there is.
    case help(Verb?)
    case version
    case run(Invocation)
}

/// A verb with its operands and options, all checked.
struct Invocation {
    var verb: Verb
    /// The operands: for the main job pairs of names, for any other verb as many paths as it takes.
    var paths: [String]
    /// The disks of the main job, those of lists included, in the order in which they are done.
    var pairs: [ResyncPair] = []
    var remote = RemoteOptions()
    var agent = AgentOptions()
    var control = ControlOptions()
    /// Where `map` and `diff` write; empty for every other verb, and for a `diff` that only counts.
    var output = ""
    /// A map that `map` may trust: an empty path is the output itself, and nil none.
    var earlierMap: String?
    var options: ResyncOptions
    var timeout: Duration?
    var wantsJSON = false
    /// Whether `check` follows the chain of parents.
    var includesParents = false
    var progress = ProgressChoice.auto
    var isQuiet = false
}

extension Request {
    /// - Throws: ``UsageError`` with the first thing that is wrong.
    init(_ arguments: CommandLineArguments) throws(UsageError) {
        if let error = arguments.error { throw error }
        if arguments.contains(.help) {
            self = .help(arguments.operands.first.flatMap { Verb(word: $0) })
        } else if arguments.contains(.version) {
            self = .version
        } else {
            self = .run(try Invocation(arguments))
        }
    }
}

extension Invocation {
    init(_ arguments: CommandLineArguments) throws(UsageError) {
        var operands = arguments.operands[...]
        verb = .resync
        if let word = operands.first {
            if let named = Verb(word: word) {
                verb = named
                operands.removeFirst()
            }
        }
        options = ResyncOptions()
        paths = []
        for occurrence in arguments.occurrences {
            try set(occurrence.option, occurrence.argument ?? "")
        }
        try checkCombination(arguments)
        guard !verb.isOfService else {
            try addControl(operands, arguments)
            return
        }
        guard verb != .resync else {
            paths = Array(operands)
            try addPairs(lists: arguments.values(of: .disks))
            try checkRemotes(arguments)
            return
        }
        for operand in operands { paths.append(try Operand.localPath(operand)) }
        guard paths.count >= verb.operandCount else {
            let what = paths.isEmpty ? "no disk is named" : "a second disk is missing"
            throw .invalid("\(what): \(verb.usage); 'vhdresync --help' says more")
        }
        guard paths.count == verb.operandCount else {
            throw .invalid("one name too many, '\(paths[verb.operandCount])': \(verb.usage)")
        }
        guard verb != .map || !output.isEmpty else {
            throw .invalid("'map' needs a file to write to: \(verb.usage)")
        }
    }

    private mutating func set(_ option: Option, _ argument: String) throws(UsageError) {
        guard option.applies(to: verb) else {
            throw .invalid("the option '--\(option.name)' means nothing to \(verb.name)")
        }
        switch option {
        case .help, .version: break
        case .dryRun: options.isDryRun = true
        case .create: options.createsReplica = true
        case .parent: options.parentOfNewReplica = try Operand.localPath(argument)
        case .parentPath: options.parents.folders.append(try Operand.localPath(argument))
        case .grow: options.growsReplica = true
        case .force: options.breaksChildren = true
        case .verify: options.verifiesWholeReplica = true
        case .json: wantsJSON = true
        case .chain: includesParents = true
        case .quiet: isQuiet = true
        case .blockSize: options.blockSize = try OptionValues.blockSize(argument)
        case .jobs: options.workerCount = try OptionValues.jobs(argument)
        case .compare: options.comparison = try OptionValues.comparison(argument)
        case .hashProvider: options.hashProvider = try OptionValues.hashProvider(argument)
        case .cache: options.cacheUse = try OptionValues.cacheUse(argument)
        case .timeout: timeout = try OptionValues.timeout(argument)
        case .progress: progress = try OptionValues.progress(argument)
        case .inPlace: options.writeMethod = .inPlace
        case .apply:
            let method = try OptionValues.applyMethod(argument)
            // That the two exclude each other is said once all options are known.
            if options.writeMethod != .inPlace { options.writeMethod = method }
        case .journalDirectory: options.journalFolder = try Operand.localPath(argument)
        case .primaryFormat: options.primaryFormat = try OptionValues.format(argument)
        case .replicaFormat: options.replicaFormat = try OptionValues.format(argument)
        case .output: output = try Operand.localPath(argument)
        case .reuse: earlierMap = argument.isEmpty ? "" : try Operand.localPath(argument)
        case .disks, .stdio: break
        case .remoteShell: remote.shell = try OptionValues.command(argument, option)
        case .remoteCommand: remote.command = try OptionValues.command(argument, option)
        case .certificate: remote.certificate = try Operand.localPath(argument)
        case .key: remote.key = try Operand.localPath(argument)
        case .authorities: remote.authorities = try Operand.localPath(argument)
        case .bandwidthLimit: remote.bytesPerSecond = try OptionValues.rate(argument)
        case .retry: remote.retryCount = try OptionValues.retryCount(argument)
        case .idleTimeout: remote.idleTimeoutSeconds = try OptionValues.idleTimeout(argument)
        case .listen: agent.address = try OptionValues.address(argument)
        case .root: agent.root = try Operand.localPath(argument)
        case .allowPeer: agent.allowedPeers.append(argument)
        case .readOnly: agent.isReadOnly = true
        case .logFormat: agent.logFormat = try OptionValues.logFormat(argument)
        case .connectionLimit:
            agent.connectionLimit = try OptionValues.limit(
                argument, option, AgentConfiguration.connectionLimits)
        case .runLimit:
            agent.runLimit = try OptionValues.limit(
                argument, option, AgentConfiguration.runLimits)
        case .configuration: control.configuration = try Operand.localPath(argument)
        case .stateFolder: control.stateFolder = try Operand.localPath(argument)
        case .socket: control.socket = try Operand.localPath(argument)
        case .startTime: control.startTime = try OptionValues.startTime(argument)
        case .wait: control.waits = true
        }
    }

    private func checkCombination(_ arguments: CommandLineArguments) throws(UsageError) {
        guard !(options.isDryRun && options.verifiesWholeReplica) else {
            throw .invalid("a dry run writes nothing, so '--verify' means nothing to it")
        }
        guard verb != .check || includesParents || options.parents.folders.isEmpty else {
            throw .invalid("'check' looks for parents with '--chain' only")
        }
        guard options.parentOfNewReplica == nil || options.createsReplica else {
            throw .invalid("'--parent' is for a replica that is made: it needs '--create'")
        }
        guard options.parentOfNewReplica == nil || options.replicaFormat != .raw else {
            throw .invalid("a raw disk builds on no image: '--parent' means nothing to it")
        }
        for option in [Option.apply, .journalDirectory]
        where options.writeMethod == .inPlace && arguments.contains(option) {
            throw .invalid(
                "'--in-place' writes without a journal: '--\(option.name)' means nothing to it")
        }
        guard verb != .diff || output.isEmpty || options.comparison == .hash else {
            throw .invalid("a delta holds digests: it cannot be made by comparing bytes")
        }
        if verb == .agent { try checkAgent(arguments) }
    }
}
