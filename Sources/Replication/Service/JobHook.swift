internal import Dispatch
internal import Storage
internal import Transport

/// The command that is run when a job has ended, with what the job came to on its standard input.
///
/// One run at a time, in the order in which jobs ended. No job waits for it. A run that takes too long is
/// ended, with what it has started.
final class JobHook: Sendable {
    /// How long a run may take: then it is ended.
    static let timeLimitSeconds = 60.0
    /// Runs that may wait. More jobs than that are not told of.
    static let waitingLimit = 1000
    /// Of what the command prints so much is kept, for who looks for its mistake.
    private static let outputLimit = 512

    private let command: [String]
    private let timeLimitSeconds: Double
    private let waitingLimit: Int
    private let failed: @Sendable (String) -> Void
    private let queue = DispatchQueue(label: "vhdresync.hook")
    private let waiting = ConditionLock(0)

    /// - Parameters:
    ///   - command: A program and its arguments.
    ///   - timeLimitSeconds: How long a run may take.
    ///   - waitingLimit: How many runs may wait, with the one under way.
    ///   - failed: Is told what went wrong, with the command.
    init(
        _ command: [String], timeLimitSeconds: Double = timeLimitSeconds,
        waitingLimit: Int = waitingLimit,
        failed: @escaping @Sendable (String) -> Void
    ) {
        self.command = command
        self.timeLimitSeconds = timeLimitSeconds
        self.waitingLimit = waitingLimit
        self.failed = failed
    }

    /// Runs the command soon.
    ///
    /// - Parameter input: Is asked when the turn of this run comes, in another thread; with nil it is not
    ///   run.
    func run(_ input: @escaping @Sendable () -> String?) {
        let isFull = waiting.withLock { count in
            guard count < waitingLimit else { return true }
            count += 1
            return false
        }
        guard !isFull else { return failed("\(waitingLimit) runs wait already: it is not run") }
        queue.async {
            do throws(TransportError) {
                if let input = input() { try self.runNow(with: input) }
            } catch {
                self.failed("\(error)")
            }
            self.waiting.withLock { $0 -= 1 }
        }
    }

    /// Waits until nothing is to be run any more, for so long at most.
    func finish(timeoutSeconds: Double) {
        let end = DispatchTime.now() + timeoutSeconds
        waiting.withLock(when: { $0 == 0 }, orAt: end.uptimeNanoseconds) { _ in }
    }

    private func runNow(with input: String) throws(TransportError) {
        let start = ContinuousClock.now
        let program = try ProgramConnection(
            command: command, peerName: command[0], leadsGroup: true,
            sendTimeoutSeconds: timeLimitSeconds)
        defer { program.close() }
        do throws(TransportError) {
            try program.send(Array(input.utf8).rawSpan)
        } catch .ended {
            // It need not read it.
        }
        program.endSending()
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        do throws(TransportError) {
            while true {
                let seconds = timeLimitSeconds - (ContinuousClock.now - start) / .seconds(1)
                var count = 0
                try buffer.withMutableRawSpan { (span) throws(TransportError) in
                    count = try program.receive(into: &span, timeoutSeconds: max(seconds, 0.001))
                }
                if count == 0 { return }
                output += buffer.prefix(min(count, Self.outputLimit - output.count))
            }
        } catch {
            let words = String(decoding: output, as: UTF8.self)
            failed(words.isEmpty ? "\(error)" : "\(error): \(words)")
        }
    }
}
