public import Resync

/// How far a run has come at one instant.
public struct ProgressSample: Equatable, Sendable {
    public var phase: ResyncPhase
    public var counts: ResyncCounts
    /// Whether the run was asked to stop and has not ended yet.
    public var isStopping = false
    /// Seconds since the run began.
    public var elapsedSeconds: Double
    /// How far the whole job is, all phases together.
    public var percentComplete: UInt16
    /// Bytes in a block; 0 until the disk is open.
    public var blockSize = 0
    /// Which disk of the job it is, from 1 on, and of how many.
    public var diskNumber = 1
    public var diskCount = 1
    /// The last other call of a host after a connection broke; nil before the first.
    public var retry: Retry?
}

extension ProgressSample {
    /// What a monitor shows now.
    package init(_ monitor: ResyncMonitor, elapsed: Duration) {
        let progress = monitor.progress
        phase = progress.phase
        counts = progress.counts
        blockSize = progress.blockSize
        isStopping = monitor.stopReason != nil && phase != .finished
        elapsedSeconds = elapsed.seconds
        retry = monitor.retry
        // 0.6 and 0.2 are a little less than 0.8.
        percentComplete = UInt16(progress.shareOfJob * 100 + 1e-9)
    }

    /// Percent of the current phase.
    public var percentOfPhase: UInt16 {
        guard phase != .finished else { return 100 }
        guard counts.bytesToDo > 0 else { return 0 }
        return UInt16(min(Double(counts.bytesDone) / Double(counts.bytesToDo), 1) * 100)
    }

    /// What the run is doing, in a word, and with which of several disks.
    public var activity: String {
        let activity = isStopping ? "stopping" : "\(phase)"
        return diskCount > 1 ? "\(diskNumber)/\(diskCount) \(activity)" : activity
    }
}
