internal import Replication

/// Why the arguments of the program are refused.
struct UsageError: Error, Equatable {
    var code: ReturnCode
    /// One clause, without a capital or a full stop.
    var sentence: String

    /// What was asked for makes no sense.
    static func invalid(_ sentence: String) -> UsageError {
        UsageError(code: .invalidParameter, sentence: sentence)
    }

    /// What was asked for makes sense and is not there yet.
    static func notSupported(_ sentence: String) -> UsageError {
        UsageError(code: .notSupported, sentence: sentence)
    }
}
