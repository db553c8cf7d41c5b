internal import Replication
internal import Resync

/// One line of `--progress json`, where a host is called again. README.md documents the fields.
struct RetryEvent: Encodable, Equatable {
    var event = "retry"
    var disk: Int
    var disks: Int
    var elapsedSeconds: Double
    var host: String
    var error: String
    var attempt: Int
    var attempts: Int
    var delaySeconds: Double

    init(_ retry: Retry, _ sample: ProgressSample) {
        disk = sample.diskNumber
        disks = sample.diskCount
        elapsedSeconds = (sample.elapsedSeconds * 1000).rounded() / 1000
        host = retry.host
        error = "\(retry.error)"
        attempt = retry.number
        attempts = retry.limit
        delaySeconds = retry.seconds
    }
}

/// One line of `--progress json`. README.md documents the fields; they keep their names.
struct ProgressEvent: Encodable, Equatable {
    var event = "progress"
    var phase: String
    var isStopping: Bool
    var disk: Int
    var disks: Int
    var percentComplete: UInt16
    var elapsedSeconds: Double
    var virtualSize: UInt64
    var bytesDone: UInt64
    var bytesToDo: UInt64
    var phases: PhasesObject
    var bytesRead: UInt64
    var bytesHashed: UInt64
    var bytesWritten: UInt64
    var bytesSent: UInt64
    var bytesReceived: UInt64
    var blocksTotal: UInt64
    var blocksSkipped: UInt64
    var blocksCompared: UInt64
    var blocksDiffering: UInt64
    var blocksHeld: UInt64
    var bytesReadPerSecond: Nullable<UInt64>
    var bytesWrittenPerSecond: Nullable<UInt64>
    var bytesSentPerSecond: Nullable<UInt64>
    var bytesDonePerSecond: Nullable<UInt64>
    var etaSeconds: Nullable<UInt64>

    init(_ sample: ProgressSample, _ rates: RateEstimator) {
        phase = "\(sample.phase)"
        isStopping = sample.isStopping
        disk = sample.diskNumber
        disks = sample.diskCount
        percentComplete = sample.percentComplete
        elapsedSeconds = (sample.elapsedSeconds * 1000).rounded() / 1000
        virtualSize = sample.counts.virtualSize
        bytesDone = sample.counts.bytesDone
        bytesToDo = sample.counts.bytesToDo
        phases = PhasesObject(sample.counts)
        bytesRead = sample.counts.bytesRead
        bytesHashed = sample.counts.bytesHashed
        bytesWritten = sample.counts.bytesWritten
        bytesSent = sample.counts.bytesSent
        bytesReceived = sample.counts.bytesReceived
        blocksTotal = sample.counts.blocksTotal
        blocksSkipped = sample.counts.blocksSkipped
        blocksCompared = sample.counts.blocksCompared
        blocksDiffering = sample.counts.blocksDiffering
        blocksHeld = sample.counts.blocksHeld
        bytesReadPerSecond = Nullable(rates.bytesReadPerSecond.flatMap(Self.rounded))
        bytesWrittenPerSecond = Nullable(rates.bytesWrittenPerSecond.flatMap(Self.rounded))
        bytesSentPerSecond = Nullable(rates.bytesSentPerSecond.flatMap(Self.rounded))
        bytesDonePerSecond = Nullable(rates.bytesDonePerSecond.flatMap(Self.rounded))
        etaSeconds = Nullable(rates.secondsLeft.flatMap(Self.rounded))
    }

    private static func rounded(_ value: Double) -> UInt64? {
        UInt64(exactly: value.rounded(.up))
    }
}
