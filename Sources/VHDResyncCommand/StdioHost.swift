internal import Dispatch
internal import Replication
internal import Resync
internal import Storage

/// Lets the caller have every disk that the user may read or write, as rsync over ssh does: whoever
/// could start the program could run any other.
final class StdioHost: ServiceHost {
    private struct State {
        var isStopping = false
        var run: Run?
        var timer: (any DispatchSourceTimer)?
    }

    private struct Run {
        var request: ServiceRequest
        var disk: ServedDisk
        var isOver = false
    }

    /// How often a stop looks whether it may be.
    private static let interval = DispatchTimeInterval.milliseconds(50)

    private let options: ResyncOptions
    private let end: @Sendable () -> Void
    private let state = Lock(State())

    /// - Parameters:
    ///   - options: How disks are opened and written here.
    ///   - end: Ends the connection, once what was said has been sent.
    init(_ options: ResyncOptions, end: @escaping @Sendable () -> Void) {
        self.options = options
        self.end = end
    }

    func open(_ request: ServiceRequest) throws(ResyncError) -> ServedDisk {
        let disk = ServedDisk(path: request.path, options: options, monitor: ResyncMonitor())
        let isStopping = state.withLock { state in
            if !state.isStopping { state.run = Run(request: request, disk: disk) }
            return state.isStopping
        }
        guard !isStopping else { throw .stopped(.cancelled) }
        return disk
    }

    func finished(_ disk: ServedDisk, _ request: ServiceRequest, failure: ResyncError?) {
        // After a failure the service itself ends.
        state.withLock { $0.run?.isOver = failure == nil }
    }

    func failure(for error: ResyncError, _ monitor: ResyncMonitor?) -> PeerFailure {
        let run = state.withLock { $0.run }
        let isReplica = run?.request.role == .replica
        let path = run?.disk.path ?? ""
        var report = DiskReport(
            primary: isReplica ? "" : path, replica: isReplica ? path : nil,
            blockSize: options.blockSize)
        if let monitor { report.counts = monitor.counts }
        let isWriting = isReplica && run?.request.isDryRun == false
        let sentence = ErrorSentence(
            error: error, disk: report, state: isWriting ? monitor?.replicaState : nil,
            verb: .resync, options: options, isServed: true)
        return PeerFailure(
            code: ReturnCode(error).rawValue, condition: monitor?.condition ?? .untouched,
            text: sentence.text)
    }

    // MARK: Stopping

    /// Stops what is being done in an orderly way, and ends: a comparison at once, which keeps what
    /// was received; a replica that is being written is finished before that.
    func requestStop() {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "vhdresync.stop"))
        timer.setEventHandler { self.stopIfItMay() }
        timer.schedule(deadline: .now(), repeating: Self.interval)
        state.withLock { state in
            state.isStopping = true
            state.timer = timer
        }
        timer.resume()
    }

    private func stopIfItMay() {
        let run = state.withLock { $0.run }
        guard let run, !run.isOver else {
            cancelTimer()
            return end()
        }
        guard run.disk.monitor.condition != .halfWritten else { return }
        cancelTimer()
        run.disk.monitor.requestStop(.cancelled)
    }

    private func cancelTimer() {
        state.withLock { $0.timer?.cancel() }
    }
}
