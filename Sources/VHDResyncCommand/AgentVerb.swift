internal import Glibc
internal import Replication
internal import Resync
internal import Transport

/// `vhdresync agent`: the side of a run over two hosts that is called.
enum AgentVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        guard let address = invocation.agent.address else { return serveCaller(invocation) }
        do throws(ResyncError) {
            try listen(at: address, invocation)
            return .completed
        } catch {
            Output.error("\(error)")
            return ReturnCode(error)
        }
    }

    /// Serves until the caller ends. What is wrong is told to the caller, who shows it: standard error
    /// is the caller's terminal under ssh, and would show it twice.
    private static func serveCaller(_ invocation: Invocation) -> ReturnCode {
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

    /// Serves who connects, until a signal ends it. Another, SIGHUP, has it read its certificates
    /// again.
    private static func listen(
        at address: ListenAddress, _ invocation: Invocation
    ) throws(ResyncError) {
        let options = invocation.options
        let agent = try Agent(
            invocation.agentConfiguration, tls: invocation.tlsConfiguration,
            log: EventLog(invocation.agent.logFormat)
        ) { error, monitor, path in
            var report = DiskReport(primary: "", replica: path, blockSize: options.blockSize)
            if let monitor { report.counts = monitor.counts }
            return ErrorSentence(
                error: error, disk: report, state: monitor?.replicaState, verb: .resync,
                options: options, isServed: true
            ).text
        }
        let stop = StopSignals(
            [SIGINT, SIGTERM], status: ReturnCode.failed.exitStatus, first: { agent.stop() },
            second: { agent.stop(atOnce: true) })
        // What is wrong with them is in the log.
        let reload = SignalAction(SIGHUP) { try? agent.reloadCertificates() }
        do throws(TransportError) {
            let listener = try TCPListener(address: address)
            try withExtendedLifetime((stop, reload)) { () throws(TransportError) in
                try agent.run(listener)
            }
        } catch {
            throw .connection(error)
        }
    }
}
