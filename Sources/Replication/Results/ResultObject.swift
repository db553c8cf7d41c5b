public import Resync

/// The result of a job for programs: what `--json` prints, from every verb but a successful `info`. README.md documents the fields;
/// they keep their names, and all are always there.
public struct ResultObject: Encodable, Equatable, Sendable {
    struct Job: Encodable, Equatable, Sendable {
        var instanceID: String
        var jobState: UInt16
        var percentComplete: UInt16
        var elapsedSeconds: Double
        var errorCode: UInt16
        var errorDescription: Nullable<String>

        init(_ properties: ConcreteJob.Properties) {
            instanceID = properties.instanceID
            jobState = properties.jobState.rawValue
            percentComplete = properties.percentComplete
            elapsedSeconds = properties.elapsedTime.roundedSeconds
            errorCode = properties.errorCode
            errorDescription = Nullable(properties.errorDescription)
        }
    }

    struct Disk: Encodable, Equatable, Sendable {
        /// Null where nothing stands in its place.
        var primary: Nullable<String>
        var replica: Nullable<String>
        var virtualSize: UInt64
        var blockSize: Int
        var blocksTotal: UInt64
        var blocksSkipped: UInt64
        var blocksCompared: UInt64
        var blocksDiffering: UInt64
        var blocksHeld: UInt64
        var bytesRead: UInt64
        var bytesHashed: UInt64
        /// What crossed the connection, from the primary and to it; nothing where both disks are here.
        var bytesSent: UInt64
        var bytesReceived: UInt64
        var bytesWritten: UInt64
        var phases: PhasesObject
        var rootDigest: Nullable<String>
        var verified: Bool
        /// Whether an earlier map was trusted, and the disk not read.
        var reused: Bool
        /// Why not, where that was asked for.
        var notReusedReason: Nullable<String>
        var recovery: Nullable<Recovery>
        var output: Nullable<OutputFile>

        init(_ report: DiskReport) {
            primary = Nullable(report.primary.isEmpty ? nil : report.primary)
            replica = Nullable(report.replica)
            virtualSize = report.counts.virtualSize
            blockSize = report.blockSize
            blocksTotal = report.counts.blocksTotal
            blocksSkipped = report.counts.blocksSkipped
            blocksCompared = report.counts.blocksCompared
            blocksDiffering = report.counts.blocksDiffering
            blocksHeld = report.counts.blocksHeld
            bytesRead = report.counts.bytesRead
            bytesHashed = report.counts.bytesHashed
            bytesSent = report.counts.bytesSent
            bytesReceived = report.counts.bytesReceived
            bytesWritten = report.counts.bytesWritten
            phases = PhasesObject(report.counts)
            rootDigest = Nullable(report.rootDigest.map { "\($0)" })
            verified = report.isVerified
            (reused, notReusedReason) =
                switch report.reuse {
                case .reused: (true, Nullable(nil))
                case .notReused(let reason): (false, Nullable(reason.rawValue))
                case nil: (false, Nullable(nil))
                }
            recovery = Nullable(report.recovery.map(Recovery.init))
            output = Nullable(report.output.map(OutputFile.init))
        }
    }

    /// What an earlier run had left of the replica.
    struct Recovery: Encodable, Equatable, Sendable {
        var outcome: String
        var journal: Nullable<String>

        init(_ outcome: ReplicaRecovery.Outcome) {
            switch outcome {
            case .nothingToDo: (self.outcome, journal) = ("nothingToDo", Nullable(nil))
            case .unfinishedJournal(let path):
                (self.outcome, journal) = ("unfinishedJournal", Nullable(path))
            case .finished(let path): (self.outcome, journal) = ("finished", Nullable(path))
            }
        }
    }

    struct OutputFile: Encodable, Equatable, Sendable {
        var path: String
        var bytes: UInt64

        init(_ file: DiskReport.OutputFile) {
            path = file.path
            bytes = file.byteCount
        }
    }

    var returnValue: UInt32
    var returnName: String
    var job: Job
    var disks: [Disk]

    /// - Parameters:
    ///   - code: How the job ended.
    ///   - job: The job, which is over.
    ///   - disks: What became of each disk, in order; those that were not begun are named only.
    public init(_ code: ReturnCode, _ job: ConcreteJob, disks: [DiskReport]) {
        returnValue = code.rawValue
        returnName = code.name
        self.job = Job(job.properties)
        self.disks = disks.map(Disk.init)
    }

    /// The object as text, on several lines.
    public var json: String { JSONText.object(self) }
}
