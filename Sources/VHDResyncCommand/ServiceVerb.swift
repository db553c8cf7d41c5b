internal import FoundationEssentials
internal import Glibc
internal import Replication
internal import Storage
internal import Transport

/// `vhdresync service`: a replication service, until a signal ends it.
enum ServiceVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let options = invocation.control
        let inventory: Inventory
        do throws(InventoryError) {
            inventory = try Inventory(contentsOf: options.configuration)
        } catch {
            return fail(error)
        }
        do throws(CodedError) {
            let host = try ReplicationHost(
                inventory, stateFolder: options.stateFolder,
                socketPath: options.socket.isEmpty ? nil : options.socket,
                log: EventLog(inventory.service.logFormat),
                manager: ServiceManager(environment: ProcessInfo.processInfo.environment))
            let signals = StopSignals(
                [SIGINT, SIGTERM], status: ReturnCode.failed.exitStatus, first: { host.stop() },
                second: { host.abandon() })
            // What is wrong with it is in the log.
            let reload = SignalAction(SIGHUP) { try? host.reload(options.configuration) }
            host.start()
            try withExtendedLifetime((signals, reload)) { () throws(CodedError) in
                try host.wait()
            }
            return .completed
        } catch {
            Output.error(error.description)
            return error.code
        }
    }

    /// Says all that is wrong, a line for each mistake, as a compiler does.
    private static func fail(_ error: InventoryError) -> ReturnCode {
        switch error {
        case .file: Output.error("\(error)")
        case .invalid:
            for line in "\(error)".split(separator: "\n") {
                StandardStream.error.write("\(String(line).printable)\n")
            }
        }
        return ReturnCode(error)
    }
}
