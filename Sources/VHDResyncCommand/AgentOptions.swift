internal import Replication
internal import Resync
internal import Transport

/// What an agent that listens is to do.
struct AgentOptions {
    /// Where it listens; nil for one that is called under ssh.
    var address: ListenAddress?
    /// The only folder that it serves.
    var root = ""
    var allowedPeers: [String] = []
    var isReadOnly = false
    var logFormat = LogFormat.text
    var connectionLimit: Int?
    var runLimit: Int?
}

extension Invocation {
    /// What an agent that listens needs to know, from the options of all kinds.
    var agentConfiguration: AgentConfiguration {
        var configuration = AgentConfiguration(root: agent.root, options: options)
        configuration.allowedPeers = agent.allowedPeers
        configuration.isReadOnly = agent.isReadOnly
        if let limit = agent.connectionLimit { configuration.connectionLimit = limit }
        if let limit = agent.runLimit { configuration.runLimit = limit }
        configuration.channel = remote.settings
        return configuration
    }

    var tlsConfiguration: TLSConfiguration {
        TLSConfiguration(
            certificatePath: remote.certificate, keyPath: remote.key, caPath: remote.authorities)
    }

    /// Checks that an agent is told how it is called, and all that this needs.
    func checkAgent(_ arguments: CommandLineArguments) throws(UsageError) {
        guard arguments.contains(.stdio) != arguments.contains(.listen) else {
            throw .invalid("'agent' needs either '--stdio' or '--listen': \(verb.usage)")
        }
        guard arguments.contains(.listen) else {
            for option in Option.allCases where option.isOfListening && arguments.contains(option) {
                throw .invalid("the option '--\(option.name)' is for 'agent --listen'")
            }
            return
        }
        for option in [Option.root, .certificate, .key, .authorities]
        where !arguments.contains(option) {
            throw .invalid(
                "an agent that listens needs '--root', '--cert', '--key' and '--ca', and "
                    + "'--\(option.name)' is missing")
        }
    }
}
