internal import Dispatch
internal import Replication
internal import Storage

/// Writes progress to standard error, and to the job, several times a second until the run is over.
final class ProgressReporter: Sendable {
    private static let interval = DispatchTimeInterval.milliseconds(200)

    private struct State {
        var printer: ProgressPrinter
        var isOver = false
    }

    private let job: DiskJob
    private let state: Lock<State>

    init(_ job: DiskJob, style: ProgressStyle) {
        self.job = job
        state = Lock(State(printer: ProgressPrinter(style: style)))
    }

    /// Runs the body, and writes until it returns. Afterwards nothing is left on the terminal.
    func report<Result>(during body: () -> Result) -> Result {
        let queue = DispatchQueue(label: "vhdresync.progress")
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { self.tick() }
        timer.schedule(deadline: .now() + Self.interval, repeating: Self.interval)
        timer.resume()
        let result = body()
        timer.cancel()
        end()
        return result
    }

    /// Writes the last of it. Nothing is written afterwards; a second call does nothing.
    func end() {
        let sample = job.sample()
        state.withLock { state in
            guard !state.isOver else { return }
            state.isOver = true
            if let text = state.printer.end(sample) { StandardStream.error.write(text) }
        }
    }

    private func tick() {
        let sample = job.sample()
        state.withLock { state in
            guard !state.isOver else { return }
            let text = state.printer.text(for: sample, columns: StandardStream.error.columns)
            if let text { StandardStream.error.write(text) }
        }
    }
}
