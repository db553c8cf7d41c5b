/// Why a job did not complete, as `Msvm_ConcreteJob.GetError` says it: an `Msvm_Error`.
public struct JobError: Equatable, Sendable {
    public var errorType: ErrorType
    public var owningEntity = "vhdresync"
    /// The number of the return code.
    public var messageID: String
    public var message: String
    public var messageArguments: [String] = []
    public var perceivedSeverity: Severity
    /// Unknown: the class's list names parts of telephone exchanges.
    public var probableCause: UInt16 = 0
    public var recommendedActions: [String]
    /// The job's `InstanceID`.
    public var errorSource: String
    /// Unknown, the class's default: the source is neither a path nor a name of its kinds.
    public var errorSourceFormat: UInt16 = 0
    public var cimStatusCode: UInt32
    public var cimStatusCodeDescription: String

    /// `Msvm_Error.ErrorType`.
    public enum ErrorType: UInt16, CaseIterable, Sendable {
        case unknown = 0
        case other = 1
        case communications = 2
        case qualityOfService = 3
        case software = 4
        case hardware = 5
        case environmental = 6
        case security = 7
        case oversubscription = 8
        case unavailableResource = 9
        case unsupported = 10
    }

    /// `Msvm_Error.PerceivedSeverity`.
    public enum Severity: UInt16, CaseIterable, Sendable {
        case unknown = 0
        /// It was asked for.
        case low = 2
        /// It may go away by itself.
        case medium = 3
        case high = 4
        case fatal = 5
    }

    /// The error of a job with these properties; nil where it has none.
    init?(_ properties: ConcreteJob.Properties) {
        guard properties.jobState.isFailure else { return nil }
        let code = ReturnCode(rawValue: UInt32(properties.errorCode)) ?? .failed
        errorType = ErrorType(code)
        messageID = "\(code.rawValue)"
        message = properties.errorDescription ?? code.name
        let isAskedFor = properties.jobState != .exception
        perceivedSeverity =
            isAskedFor ? .low : RetryClass(code) == .transient ? .medium : .high
        recommendedActions = properties.recoveryAction.sentence.map { [$0] } ?? []
        errorSource = properties.instanceID
        (cimStatusCode, cimStatusCodeDescription) = code.cimStatus
    }
}

extension JobError.ErrorType {
    fileprivate init(_ code: ReturnCode) {
        switch code {
        case .completed, .jobStarted: self = .unknown
        case .statusUnknown, .timeout, .systemNotAvailable: self = .communications
        case .failed, .invalidParameter, .invalidState, .incorrectDataType: self = .software
        case .accessDenied: self = .security
        case .outOfMemory: self = .oversubscription
        case .systemInUse, .fileNotFound: self = .unavailableResource
        case .notSupported: self = .unsupported
        }
    }
}

extension JobRecoveryAction {
    fileprivate var sentence: String? {
        switch self {
        case .unknown, .other: nil
        case .doNotContinue: "Remove the cause before another attempt."
        case .continueWithNextJob: "Go on with the next job."
        case .rerunJob: "Run the job again."
        case .runRecoveryJob: "Finish the replica with vhdresync recover, or run the job again."
        }
    }
}

extension ReturnCode {
    /// The nearest of the status codes of CIM operations.
    fileprivate var cimStatus: (code: UInt32, name: String) {
        switch self {
        case .completed, .jobStarted: (0, "CIM_ERR_SUCCESS")
        case .failed, .statusUnknown, .timeout, .systemInUse, .invalidState, .outOfMemory:
            (1, "CIM_ERR_FAILED")
        case .accessDenied: (2, "CIM_ERR_ACCESS_DENIED")
        case .invalidParameter: (4, "CIM_ERR_INVALID_PARAMETER")
        case .systemNotAvailable, .fileNotFound: (6, "CIM_ERR_NOT_FOUND")
        case .notSupported: (7, "CIM_ERR_NOT_SUPPORTED")
        case .incorrectDataType: (13, "CIM_ERR_TYPE_MISMATCH")
        }
    }
}
