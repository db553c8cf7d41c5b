/// What a method of the replication service returns, and with it every call and every run here.
///
/// The numbers and names are those of `Msvm_ReplicationService.Resynchronize` in the WMI reference
/// of Hyper-V. When each is returned here, `docs/return-codes.md` says.
public enum ReturnCode: UInt32, CaseIterable, Sendable {
    case completed = 0
    case jobStarted = 4096
    case failed = 32768
    case accessDenied = 32769
    case notSupported = 32770
    case statusUnknown = 32771
    case timeout = 32772
    case invalidParameter = 32773
    case systemInUse = 32774
    case invalidState = 32775
    case incorrectDataType = 32776
    case systemNotAvailable = 32777
    case outOfMemory = 32778
    case fileNotFound = 32779

    /// The documented name. The reference itself spells some of them in two ways, so programs
    /// compare numbers.
    public var name: String {
        switch self {
        case .completed: "Completed with No Error"
        case .jobStarted: "Method Parameters Checked - Job Started"
        case .failed: "Failed"
        case .accessDenied: "Access Denied"
        case .notSupported: "Not Supported"
        case .statusUnknown: "Status is unknown"
        case .timeout: "Timeout"
        case .invalidParameter: "Invalid parameter"
        case .systemInUse: "System is in use"
        case .invalidState: "Invalid state for this operation"
        case .incorrectDataType: "Incorrect data type"
        case .systemNotAvailable: "System is not available"
        case .outOfMemory: "Out of memory"
        case .fileNotFound: "File not found"
        }
    }

    /// The exit status of a process that ends with this code: a status has 8 bits, and the low
    /// byte of 32768 and of 4096 alike is that of success.
    public var exitStatus: Int32 {
        switch self {
        case .completed, .jobStarted: 0
        case .failed, .accessDenied, .notSupported, .statusUnknown, .timeout, .invalidParameter,
            .systemInUse, .invalidState, .incorrectDataType, .systemNotAvailable, .outOfMemory,
            .fileNotFound:
            Int32(rawValue - 32767)
        }
    }
}
