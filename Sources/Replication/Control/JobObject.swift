/// A job for programs: the properties of `Msvm_ConcreteJob` under their names there, a name beside each
/// number that stands for one, and what is ours under names with a small letter in front.
///
/// `docs/control.md` documents the keys; they keep their names, and all are always there.
package struct JobObject: Codable, Equatable, Sendable {
    package var instanceID: String
    package var caption: String
    package var description: String
    package var elementName: String
    package var name: String
    package var installDate: Nullable<String>
    package var operationalStatus: [UInt16]
    package var statusDescriptions: [String]
    package var status: String
    package var healthState: UInt16
    package var jobStatus: String
    package var jobState: UInt16
    package var jobStateName: String
    package var jobType: UInt16
    package var jobTypeName: String
    package var owner: Nullable<String>
    package var percentComplete: UInt16
    package var timeSubmitted: String
    package var scheduledStartTime: Nullable<String>
    package var startTime: Nullable<String>
    package var elapsedTime: String
    package var timeOfLastStateChange: String
    package var timeBeforeRemoval: String
    package var deleteOnCompletion: Bool
    package var cancellable: Bool
    package var errorCode: UInt16
    package var errorDescription: Nullable<String>
    package var errorSummaryDescription: Nullable<String>
    package var recoveryAction: UInt16
    package var recoveryActionName: String
    package var otherRecoveryAction: Nullable<String>
    package var priority: UInt32
    package var notify: Nullable<String>
    package var untilTime: Nullable<String>
    package var localOrUtcTime: UInt16
    package var jobRunTimes: UInt32
    package var runMonth: Nullable<UInt8>
    package var runDay: Nullable<Int8>
    package var runDayOfWeek: Nullable<Int8>
    package var runStartInterval: Nullable<String>

    package var relationship: String
    package var isCommitted: Bool
    package var attemptCount: Int
    package var elapsedSeconds: Double
    package var bytesCompared: UInt64
    package var bytesDiffering: UInt64
    package var bytesSent: UInt64
    package var bytesComparedPerSecond: Nullable<UInt64>
    package var bytesSentPerSecond: Nullable<UInt64>
    package var etaSeconds: Nullable<UInt64>
    package var timeOfRemoval: Nullable<String>
    package var error: Nullable<JobErrorObject>
    package var disks: Nullable<[JobDiskObject]>

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case instanceID = "InstanceID"
        case caption = "Caption"
        case description = "Description"
        case elementName = "ElementName"
        case name = "Name"
        case installDate = "InstallDate"
        case operationalStatus = "OperationalStatus"
        case statusDescriptions = "StatusDescriptions"
        case status = "Status"
        case healthState = "HealthState"
        case jobStatus = "JobStatus"
        case jobState = "JobState"
        case jobStateName = "JobStateName"
        case jobType = "JobType"
        case jobTypeName = "JobTypeName"
        case owner = "Owner"
        case percentComplete = "PercentComplete"
        case timeSubmitted = "TimeSubmitted"
        case scheduledStartTime = "ScheduledStartTime"
        case startTime = "StartTime"
        case elapsedTime = "ElapsedTime"
        case timeOfLastStateChange = "TimeOfLastStateChange"
        case timeBeforeRemoval = "TimeBeforeRemoval"
        case deleteOnCompletion = "DeleteOnCompletion"
        case cancellable = "Cancellable"
        case errorCode = "ErrorCode"
        case errorDescription = "ErrorDescription"
        case errorSummaryDescription = "ErrorSummaryDescription"
        case recoveryAction = "RecoveryAction"
        case recoveryActionName = "RecoveryActionName"
        case otherRecoveryAction = "OtherRecoveryAction"
        case priority = "Priority"
        case notify = "Notify"
        case untilTime = "UntilTime"
        case localOrUtcTime = "LocalOrUtcTime"
        case jobRunTimes = "JobRunTimes"
        case runMonth = "RunMonth"
        case runDay = "RunDay"
        case runDayOfWeek = "RunDayOfWeek"
        case runStartInterval = "RunStartInterval"
        case relationship, isCommitted, attemptCount, elapsedSeconds
        case bytesCompared, bytesDiffering, bytesSent
        case bytesComparedPerSecond, bytesSentPerSecond, etaSeconds
        case timeOfRemoval, error, disks
    }
}

extension JobObject {
    /// The job as it was read, with its disks where somebody has asked for them.
    init(_ job: StoredJob, disks: [StoredDiskResult]? = nil) {
        let properties = job.properties
        instanceID = properties.instanceID
        caption = properties.caption
        description = properties.description
        elementName = properties.elementName
        name = properties.name
        installDate = Nullable(properties.installDate.map { "\(CIMTimestamp($0))" })
        operationalStatus = properties.operationalStatus.map(\.rawValue)
        statusDescriptions = properties.statusDescriptions
        status = properties.status
        healthState = properties.healthState.rawValue
        jobStatus = properties.jobStatus
        jobState = properties.jobState.rawValue
        jobStateName = properties.jobState.name
        jobType = properties.jobType.rawValue
        jobTypeName = properties.jobType.name
        owner = Nullable(properties.owner)
        percentComplete = properties.percentComplete
        timeSubmitted = "\(CIMTimestamp(properties.timeSubmitted))"
        scheduledStartTime = Nullable(properties.scheduledStartTime.map { "\(CIMTimestamp($0))" })
        startTime = Nullable(properties.startTime.map { "\(CIMTimestamp($0))" })
        elapsedTime = "\(CIMInterval(properties.elapsedTime))"
        timeOfLastStateChange = "\(CIMTimestamp(properties.timeOfLastStateChange))"
        timeBeforeRemoval = "\(CIMInterval(properties.timeBeforeRemoval))"
        deleteOnCompletion = properties.deleteOnCompletion
        cancellable = properties.cancellable
        errorCode = properties.errorCode
        errorDescription = Nullable(properties.errorDescription)
        errorSummaryDescription = Nullable(properties.errorSummaryDescription)
        recoveryAction = properties.recoveryAction.rawValue
        recoveryActionName = properties.recoveryAction.name
        otherRecoveryAction = Nullable(properties.otherRecoveryAction)
        priority = properties.priority
        notify = Nullable(properties.notify)
        untilTime = Nullable(properties.untilTime.map { "\(CIMTimestamp($0))" })
        localOrUtcTime = properties.localOrUtcTime
        jobRunTimes = properties.jobRunTimes
        runMonth = Nullable(properties.runMonth)
        runDay = Nullable(properties.runDay)
        runDayOfWeek = Nullable(properties.runDayOfWeek)
        runStartInterval = Nullable(properties.runStartInterval.map { "\(CIMInterval($0))" })

        relationship = "\(job.relationship)"
        isCommitted = properties.isCommitted
        attemptCount = job.attemptCount
        elapsedSeconds = properties.elapsedTime.roundedSeconds
        bytesCompared = properties.figures.bytesCompared
        bytesDiffering = properties.figures.bytesDiffering
        bytesSent = properties.figures.bytesSent
        bytesComparedPerSecond = Nullable(properties.bytesComparedPerSecond.flatMap(Self.rounded))
        bytesSentPerSecond = Nullable(properties.bytesSentPerSecond.flatMap(Self.rounded))
        etaSeconds = Nullable(properties.timeLeft.flatMap { Self.rounded($0.seconds) })
        timeOfRemoval = Nullable(job.timeOfRemoval.map { "\(CIMTimestamp($0))" })
        error = Nullable(JobError(properties).map(JobErrorObject.init))
        self.disks = Nullable(disks.map { $0.map(JobDiskObject.init) })
    }

    /// Nil for what is no number of bytes or seconds.
    private static func rounded(_ value: Double) -> UInt64? {
        UInt64(exactly: value.rounded(.up))
    }
}

extension JobRecoveryAction {
    /// The documented name.
    package var name: String {
        switch self {
        case .unknown: "Unknown"
        case .other: "Other"
        case .doNotContinue: "Do Not Continue"
        case .continueWithNextJob: "Continue With Next Job"
        case .rerunJob: "Re-run Job"
        case .runRecoveryJob: "Run Recovery Job"
        }
    }
}
