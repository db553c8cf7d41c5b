/// What `GetError` of a job returns, for programs: an `Msvm_Error`, with a name beside each number that
/// stands for one.
package struct JobErrorObject: Codable, Equatable, Sendable {
    package var errorType: UInt16
    package var errorTypeName: String
    package var owningEntity: String
    package var messageID: String
    package var message: String
    package var messageArguments: [String]
    package var perceivedSeverity: UInt16
    package var perceivedSeverityName: String
    package var probableCause: UInt16
    package var recommendedActions: [String]
    package var errorSource: String
    package var errorSourceFormat: UInt16
    package var cimStatusCode: UInt32
    package var cimStatusCodeDescription: String

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case errorType = "ErrorType"
        case errorTypeName = "ErrorTypeName"
        case owningEntity = "OwningEntity"
        case messageID = "MessageID"
        case message = "Message"
        case messageArguments = "MessageArguments"
        case perceivedSeverity = "PerceivedSeverity"
        case perceivedSeverityName = "PerceivedSeverityName"
        case probableCause = "ProbableCause"
        case recommendedActions = "RecommendedActions"
        case errorSource = "ErrorSource"
        case errorSourceFormat = "ErrorSourceFormat"
        case cimStatusCode = "CIMStatusCode"
        case cimStatusCodeDescription = "CIMStatusCodeDescription"
    }

    init(_ error: JobError) {
        errorType = error.errorType.rawValue
        errorTypeName = error.errorType.name
        owningEntity = error.owningEntity
        messageID = error.messageID
        message = error.message
        messageArguments = error.messageArguments
        perceivedSeverity = error.perceivedSeverity.rawValue
        perceivedSeverityName = error.perceivedSeverity.name
        probableCause = error.probableCause
        recommendedActions = error.recommendedActions
        errorSource = error.errorSource
        errorSourceFormat = error.errorSourceFormat
        cimStatusCode = error.cimStatusCode
        cimStatusCodeDescription = error.cimStatusCodeDescription
    }
}

extension JobError.ErrorType {
    /// The documented name.
    fileprivate var name: String {
        switch self {
        case .unknown: "Unknown"
        case .other: "Other"
        case .communications: "Communications Error"
        case .qualityOfService: "Quality of Service Error"
        case .software: "Software Error"
        case .hardware: "Hardware Error"
        case .environmental: "Environmental Error"
        case .security: "Security Error"
        case .oversubscription: "Oversubscription Error"
        case .unavailableResource: "Unavailable Resource Error"
        case .unsupported: "Unsupported Operation Error"
        }
    }
}

extension JobError.Severity {
    /// The documented name.
    fileprivate var name: String {
        switch self {
        case .unknown: "Unknown"
        case .low: "Low"
        case .medium: "Medium"
        case .high: "High"
        case .fatal: "Fatal"
        }
    }
}
