internal import Resync
internal import Storage

/// How far a job has come with its disks, of which it does one after another; and the request to stop,
/// for the disk that is being done and for those that follow.
final class JobProgress: Sendable {
    private struct State {
        var index = 0
        var monitor = ResyncMonitor()
        var traffic: TrafficWatch?
        var stopReason: StopReason?
    }

    private let diskCount: Int
    private let state = Lock(State())

    init(diskCount: Int) {
        self.diskCount = diskCount
    }

    /// The disk with this index is next.
    func begin(_ index: Int, _ traffic: TrafficWatch?) -> ResyncMonitor {
        let monitor = ResyncMonitor()
        let reason = state.withLock { state in
            (state.index, state.monitor, state.traffic) = (index, monitor, traffic)
            return state.stopReason
        }
        if let reason { monitor.requestStop(reason) }
        return monitor
    }

    /// The first reason stays.
    func requestStop(_ reason: StopReason) {
        let monitor = state.withLock { state in
            state.stopReason = state.stopReason ?? reason
            return state.monitor
        }
        monitor.requestStop(reason)
    }

    /// What the disk shows that is being done; percent of the job are of all disks, each of which
    /// counts the same.
    func sample(elapsed: Duration) -> ProgressSample {
        let (index, monitor, traffic) = state.withLock { ($0.index, $0.monitor, $0.traffic) }
        var sample = ProgressSample(monitor, elapsed: elapsed)
        traffic?.note(in: &sample.counts)
        sample.diskNumber = index + 1
        sample.diskCount = diskCount
        let percent = (index * 100 + Int(sample.percentComplete)) / max(diskCount, 1)
        sample.percentComplete = UInt16(percent)
        return sample
    }
}
