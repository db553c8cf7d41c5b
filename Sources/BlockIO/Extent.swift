/// What a disk knows of a range of its content without reading it.
public enum ExtentState: Equatable, Sendable {
    /// May hold anything.
    case data
    /// Reads as zeros, and stays so while the disk is not written to.
    case zero
}

/// A range of virtual bytes with one state.
public struct Extent: Equatable, Sendable {
    public var range: Range<UInt64>
    public var state: ExtentState

    public init(range: Range<UInt64>, state: ExtentState) {
        self.range = range
        self.state = state
    }
}
