internal import Replication

/// What a function returns that can fail; the thread keeps the text of a failure.
func answer(_ body: () throws(CodedError) -> ReturnCode) -> UInt32 {
    do throws(CodedError) {
        let code = try body()
        LastError.text = ""
        return code.rawValue
    } catch {
        LastError.text = error.description
        return error.code.rawValue
    }
}
