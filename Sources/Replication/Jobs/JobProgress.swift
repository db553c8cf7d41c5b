internal import Resync
internal import Storage

/// How far a job has come with its disks, of which it does one after another; and the request to stop,
/// for the disk that is being done and for those that follow.
final class JobProgress: Sendable {
    private let diskCount: Int
    private let disk = Lock(CurrentDisk())

    init(diskCount: Int) {
        self.diskCount = diskCount
    }

    /// The disk with this index is next.
    func begin(_ index: Int, _ traffic: TrafficWatch?) -> ResyncMonitor {
        disk.withLock { $0.begin(index, traffic) }
    }

    /// The first reason stays.
    func requestStop(_ reason: StopReason) {
        disk.withLock { $0.noteStop(reason) }.requestStop(reason)
    }

    /// What the disk shows that is being done; percent of the job are of all disks, each of which
    /// counts the same.
    func sample(elapsed: Duration) -> ProgressSample {
        let disk = disk.withLock { $0 }
        var sample = ProgressSample(disk.monitor, elapsed: elapsed)
        disk.traffic?.note(in: &sample.counts)
        sample.diskNumber = disk.index + 1
        sample.diskCount = diskCount
        let percent = (disk.index * 100 + Int(sample.percentComplete)) / max(diskCount, 1)
        sample.percentComplete = UInt16(percent)
        return sample
    }
}
