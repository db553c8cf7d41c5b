/// What could be made out of a structure, and every rule that it breaks, in the order in which
/// opening an image meets them.
///
/// Opening takes ``valid()``, a check takes all: so the two cannot disagree.
struct Examination<Value: Sendable>: Sendable {
    /// What is right of it; nil where there is nothing to go on with.
    var value: Value?
    var errors: [VHDXError] = []

    /// - Throws: the first error.
    func valid() throws(VHDXError) -> Value {
        try errors.throwFirst()
        guard let value else { preconditionFailure("nothing was read, and nothing is wrong") }
        return value
    }
}

extension [VHDXError] {
    func throwFirst() throws(VHDXError) {
        if let first { throw first }
    }

    /// Runs the body, and keeps what it throws unless that is an error of the file.
    ///
    /// - Returns: nil after an error.
    mutating func collect<Value>(
        _ body: () throws(VHDXError) -> Value
    ) throws(VHDXError) -> Value? {
        do throws(VHDXError) {
            return try body()
        } catch {
            if case .file = error { throw error }
            append(error)
            return nil
        }
    }
}
