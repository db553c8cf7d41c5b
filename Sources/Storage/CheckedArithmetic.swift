/// A sum or a product that does not fit into 64 bits.
public struct ArithmeticOverflow: Error, Equatable {}

extension UInt64 {
    /// One mebibyte: the unit in which VHDX places everything.
    public static let mebibyte: UInt64 = 1 << 20

    /// - Throws: ``ArithmeticOverflow``.
    public func adding(_ other: UInt64) throws(ArithmeticOverflow) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        guard !overflows else { throw ArithmeticOverflow() }
        return sum
    }

    /// The next multiple of a power of two, or nil where that does not fit.
    public func roundedUp(toMultipleOf alignment: UInt64) -> UInt64? {
        precondition(alignment.nonzeroBitCount == 1)
        let (sum, overflows) = addingReportingOverflow(alignment - 1)
        return overflows ? nil : sum & ~(alignment - 1)
    }

    /// The last multiple of a power of two that is not larger.
    public func roundedDown(toMultipleOf alignment: UInt64) -> UInt64 {
        precondition(alignment.nonzeroBitCount == 1)
        return self & ~(alignment - 1)
    }

    /// How many pieces of a size are needed to cover this many bytes.
    public func dividedRoundingUp(by size: UInt64) -> UInt64 {
        self / size + (isMultiple(of: size) ? 0 : 1)
    }
}

extension Range<UInt64> {
    /// The range of `count` bytes at an untrusted offset.
    ///
    /// - Throws: ``ArithmeticOverflow``.
    public init(at offset: UInt64, count: UInt64) throws(ArithmeticOverflow) {
        self = try offset..<offset.adding(count)
    }

    /// How many bytes the range holds. (`count` is an `Int`, which an untrusted range may exceed.)
    public var byteCount: UInt64 { upperBound - lowerBound }
}
