internal import Glibc
internal import Replication
internal import Resync
internal import Transport

/// `vhdresync agent`: the side of a run over two hosts that is called.
enum AgentVerb {
    /// Serves until the caller ends. What is wrong is told to the caller, who shows it: standard error
    /// is the caller's terminal under ssh, and would show it twice.
    static func run(_ invocation: Invocation) -> ReturnCode {
        guard isatty(STDIN_FILENO) != 1 else {
            Output.error(
                "'agent --stdio' talks to another vhdresync, which starts it on this host with ssh: "
                    + "it is of no use on a terminal")
            return .invalidParameter
        }
        let channel = PeerChannel(StandardStreams.take(), settings: invocation.remote.settings)
        let host = StdioHost(invocation.options, end: { channel.finish() })
        let signals = StopSignals(
            status: ReturnCode.failed.exitStatus, first: { host.requestStop() }, second: {})
        return withExtendedLifetime(signals) {
            do throws(ResyncError) {
                try RemoteService(channel, host: host).run()
                return .completed
            } catch {
                return ReturnCode(error)
            }
        }
    }
}
