/// A position or a length from input that reaches past the bytes it belongs to.
public struct OutOfBounds: Error, Equatable {
    /// Where the wanted bytes start, in bytes.
    public var offset: UInt64
    /// How many bytes were wanted.
    public var count: UInt64
    /// How many bytes there are.
    public var available: Int
}

extension RawSpan {
    /// Reads a little-endian integer.
    ///
    /// - Precondition: the integer lies within the span.
    @inlinable
    public func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size)
        // Safe: the precondition bounds the read, and every bit pattern is a valid integer.
        let stored = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self)
        return T(littleEndian: stored)
    }

    /// The bytes at an untrusted offset.
    ///
    /// - Throws: ``OutOfBounds`` where the range does not lie within the span.
    @_lifetime(copy self)
    public func slice(at offset: UInt64, count: UInt64) throws(OutOfBounds) -> RawSpan {
        let (end, overflows) = offset.addingReportingOverflow(count)
        guard !overflows, end <= UInt64(byteCount) else {
            throw OutOfBounds(offset: offset, count: count, available: byteCount)
        }
        return extracting(Int(offset)..<Int(end))
    }

    /// Whether every byte is zero. For the small structures of a format; disk content is
    /// scanned by `ZeroScan`.
    public var isZero: Bool {
        for index in 0..<byteCount where load(UInt8.self, at: index) != 0 { return false }
        return true
    }
}

extension MutableRawSpan {
    /// Writes an integer, little-endian.
    ///
    /// - Precondition: the integer lies within the span.
    @inlinable
    @_lifetime(self: copy self)
    public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, at offset: Int
    ) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }

    /// Copies bytes into this span.
    ///
    /// - Precondition: they fit.
    @_lifetime(self: copy self)
    public mutating func copy(_ source: RawSpan, at offset: Int = 0) {
        precondition(offset >= 0 && offset <= byteCount - source.byteCount)
        // Safe: the precondition bounds the write, and the two spans cannot overlap, because this
        // one is held exclusively.
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { bytes in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...])
                    .copyMemory(from: bytes)
            }
        }
    }

    /// Lends a part of this span, for changes.
    ///
    /// - Precondition: the range lies within the span.
    @_lifetime(&self)
    public mutating func part(_ range: Range<Int>) -> MutableRawSpan {
        _mutatingExtracting(range)
    }

    /// Sets every byte to zero.
    @_lifetime(self: copy self)
    public mutating func clear() {
        // Safe: the buffer is this span.
        unsafe withUnsafeMutableBytes { target in
            _ = unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
        }
    }
}

extension [UInt8] {
    /// The elements as raw bytes.
    @inlinable
    public var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get {
            // Safe: an element has no padding.
            unsafe span.bytes
        }
    }

    /// Lends the elements as raw bytes, for changes.
    @inlinable
    public mutating func withMutableRawSpan<Failure: Error>(
        _ body: (inout MutableRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        var elements = mutableSpan
        // Safe: every bit pattern is a valid element.
        var bytes = unsafe elements.mutableBytes
        try body(&bytes)
    }

    /// Adds raw bytes at the end.
    public mutating func append(_ bytes: RawSpan) {
        // Safe: the buffer is the span, and is read only while it is lent.
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}
