internal import Dispatch
internal import Glibc
internal import Storage

/// A signal that asks for something to be done, each time it comes.
struct SignalAction {
    private let source: any DispatchSourceSignal

    init(_ number: Int32, _ action: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeSignalSource(
            signal: number, queue: DispatchQueue(label: "vhdresync.signal"))
        let registered = DispatchGroup()
        source.setEventHandler(handler: action)
        registered.enter()
        source.setRegistrationHandler { registered.leave() }
        source.resume()
        registered.wait()
    }
}

/// The signals that ask the program to end: Ctrl-C, `kill`, and a terminal that went away.
///
/// The first asks the run to stop in an orderly way, the second ends the process at once.
struct StopSignals {
    static let numbers = [SIGINT, SIGTERM, SIGHUP]

    private let sources: [any DispatchSourceSignal]

    /// - Parameters:
    ///   - numbers: which signals.
    ///   - status: that of the process which the second signal ends.
    ///   - first: what the first signal does.
    ///   - second: what the second does before the process ends.
    init(
        _ numbers: [Int32] = Self.numbers, status: Int32, first: @escaping @Sendable () -> Void,
        second: @escaping @Sendable () -> Void
    ) {
        // A queue of its own: the one of the progress may be busy with a slow terminal.
        let queue = DispatchQueue(label: "vhdresync.signals")
        let count = Lock(0)
        let registered = DispatchGroup()
        sources = numbers.filter { !Self.isIgnored($0) }.map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                switch count.withLock({ count in
                    count += 1
                    return count
                }) {
                case 1: first()
                default:
                    second()
                    _exit(status)
                }
            }
            // Until it is registered, which is done elsewhere, a signal ends the process.
            registered.enter()
            source.setRegistrationHandler { registered.leave() }
            source.resume()
            return source
        }
        registered.wait()
    }

    /// Whether the one who started the program wants it to survive this signal: `nohup` does, and a
    /// shell for what a script puts into the background.
    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        // Safe: the call fills in the structure. A handler that is no function is a small number.
        guard unsafe sigaction(number, nil, &action) == 0 else { return false }
        let handler = unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        return unsafe handler == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Makes a write to a closed pipe an error instead of the end of the process.
    static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
