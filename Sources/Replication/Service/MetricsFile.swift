internal import Dispatch
internal import Storage

/// A file that is replaced with the figures of a service, for who collects them: soon after something
/// has happened, and otherwise now and then.
final class MetricsFile: Sendable {
    /// How old the file gets while nothing happens.
    static let interval = 15.0
    /// What happens within that time is one change.
    private static let delay = 0.2

    private struct State {
        var timer: (any DispatchSourceTimer)?
        var isDue = false
        var failure: String?
    }

    private let path: String
    private let text: @Sendable () throws(StoreError) -> String
    private let failed: @Sendable (String) -> Void
    private let queue = DispatchQueue(label: "vhdresync.metrics")
    private let state = Lock(State())

    /// - Parameters:
    ///   - path: Where the file is.
    ///   - text: The figures.
    ///   - failed: Is told why the file could not be written, once for each reason in a row.
    init(
        _ path: String, text: @escaping @Sendable () throws(StoreError) -> String,
        failed: @escaping @Sendable (String) -> Void
    ) {
        self.path = path
        self.text = text
        self.failed = failed
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [weak self] in self?.write() }
        timer.schedule(deadline: .now(), repeating: Self.interval)
        timer.resume()
        state.withLock { $0.timer = timer }
    }

    deinit {
        state.withLock { $0.timer?.cancel() }
    }

    /// Something has happened.
    func change() {
        let isFirst = state.withLock { state in
            defer { state.isDue = true }
            return !state.isDue
        }
        guard isFirst else { return }
        queue.asyncAfter(deadline: .now() + Self.delay) { [weak self] in self?.write() }
    }

    /// Writes the figures as they are now, for the last time.
    func finish() {
        state.withLock { $0.timer?.cancel() }
        queue.sync { write() }
    }

    private func write() {
        state.withLock { $0.isDue = false }
        let failure = failureOfWriting()
        let isNew = state.withLock { state in
            defer { state.failure = failure }
            return state.failure != failure
        }
        if let failure, isNew { failed(failure) }
    }

    private func failureOfWriting() -> String? {
        do throws(StoreError) {
            let bytes = Array(try text().utf8)
            do throws(FileError) {
                let replacement = try DurableReplacement(of: path)
                try replacement.file.write(bytes.rawSpan, at: 0)
                try replacement.commit(.replace)
                return nil
            } catch {
                return "\(error)"
            }
        } catch {
            return "\(error)"
        }
    }
}
