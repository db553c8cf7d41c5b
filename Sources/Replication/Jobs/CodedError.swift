public import Resync
public import VHDX

/// Why something was not done: a return code, and one clause that says why.
public struct CodedError: Error, Equatable, Sendable, CustomStringConvertible {
    public var code: ReturnCode
    /// Without a capital or a full stop.
    public var description: String

    public init(_ code: ReturnCode, _ description: String) {
        self.code = code
        self.description = description
    }

    public init(_ error: ResyncError) {
        self.init(ReturnCode(error), "\(error)")
    }

    public init(_ error: VHDXError) {
        self.init(ReturnCode(error), "\(error)")
    }

    /// A parameter makes no sense.
    package static func invalid(_ description: String) -> CodedError {
        CodedError(.invalidParameter, description)
    }
}

/// Runs calls of the engine, and gives their errors a code.
package func onEngine<Result>(
    _ body: () throws(ResyncError) -> Result
) throws(CodedError) -> Result {
    do throws(ResyncError) {
        return try body()
    } catch {
        throw CodedError(error)
    }
}

/// The same for calls of the format.
package func onImage<Result>(_ body: () throws(VHDXError) -> Result) throws(CodedError) -> Result {
    do throws(VHDXError) {
        return try body()
    } catch {
        throw CodedError(error)
    }
}
