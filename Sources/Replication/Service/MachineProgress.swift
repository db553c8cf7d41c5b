internal import Resync
internal import Storage

/// How far a transfer has come with the disks of a machine, which it goes through more than once; and the
/// request to stop, for what is being done and for what follows.
final class MachineProgress: Sendable {
    /// What is done with all disks before the next.
    enum Stage: Sendable {
        /// What an earlier job has decided is carried out.
        case finishingEarlier
        case preparing
        case checking
        case finishing

        /// The part of the job that it is, from 0 to 1: a rough one, since that depends on the disks.
        var share: ClosedRange<Double> {
            switch self {
            case .finishingEarlier: 0...0.1
            case .preparing: 0.1...0.75
            case .checking: 0.75...0.75
            case .finishing: 0.75...1
            }
        }
    }

    private struct State {
        var stage = Stage.preparing
        var disk = CurrentDisk()
        /// Of the disks, by position, in each stage that moves content.
        var compared: [Int: JobFigures] = [:]
        var sentByteCounts: [Int: UInt64] = [:]
    }

    private let diskCount: Int
    private let state = Lock(State())

    init(diskCount: Int) {
        self.diskCount = diskCount
    }

    var isStopping: Bool { state.withLock { $0.disk.stopReason != nil } }

    /// The disk at this position is next.
    func begin(_ stage: Stage, _ position: Int, _ remote: RemoteSide?) -> ResyncMonitor {
        let traffic = remote.map(TrafficWatch.init)
        return state.withLock { state in
            Self.note(&state)
            state.stage = stage
            return state.disk.begin(position, traffic)
        }
    }

    /// The first reason stays.
    func requestStop(_ reason: StopReason) {
        state.withLock { $0.disk.noteStop(reason) }.requestStop(reason)
    }

    /// What all disks have come to.
    var figures: JobFigures {
        state.withLock { state in
            Self.note(&state)
            return Self.figures(state)
        }
    }

    /// Tells a job how far its work is.
    func report(to job: ConcreteJob) {
        var (figures, share, sample) = (JobFigures(), 0.0, ProgressSample?.none)
        state.withLock { state in
            sample = Self.note(&state)
            figures = Self.figures(state)
            share = Self.share(state, diskCount)
        }
        sample?.diskCount = diskCount
        job.report(figures, share: share, activity: sample?.activity)
    }

    private static func share(_ state: State, _ diskCount: Int) -> Double {
        let share = state.stage.share
        let done =
            (Double(state.disk.index) + state.disk.monitor.progress.shareOfJob)
            / Double(diskCount)
        return share.lowerBound + (share.upperBound - share.lowerBound) * min(done, 1)
    }

    private static func figures(_ state: State) -> JobFigures {
        var sum = JobFigures()
        for figures in state.compared.values {
            sum.bytesCompared += figures.bytesCompared
            sum.bytesDiffering += figures.bytesDiffering
            sum.bytesSent += figures.bytesSent
        }
        for byteCount in state.sentByteCounts.values { sum.bytesSent += byteCount }
        return sum
    }

    /// Notes what the disk shows that is being done. To finish it finds no new differences.
    @discardableResult
    private static func note(_ state: inout State) -> ProgressSample {
        let disk = state.disk
        var sample = ProgressSample(disk.monitor, elapsed: .zero)
        disk.traffic?.note(in: &sample.counts)
        sample.diskNumber = disk.index + 1
        switch state.stage {
        case .preparing:
            state.compared[disk.index] = JobFigures(
                sample.counts, blockSize: sample.blockSize)
        case .finishing:
            state.sentByteCounts[disk.index] = sample.counts.bytesSent
        case .finishingEarlier, .checking: break
        }
        return sample
    }
}

extension JobFigures {
    init(_ counts: ResyncCounts, blockSize: Int) {
        // The last block of a disk may be a part of one.
        let differing = counts.blocksDiffering.multipliedReportingOverflow(by: UInt64(blockSize))
        self.init(
            bytesCompared: counts.bytesCompared,
            bytesDiffering: min(
                differing.overflow ? .max : differing.partialValue, counts.virtualSize),
            bytesSent: counts.bytesSent)
    }
}
