/// What was read of a file: a copy in memory of its own, or bytes where the kernel keeps them.
@safe public struct ReadBuffer: ~Copyable, Sendable {
    private var copy: AlignedBuffer
    private var mapped: MappedBytes?

    /// With room for so many bytes.
    public init(byteCount: Int) throws(OutOfMemory) {
        copy = try AlignedBuffer(byteCount: byteCount)
    }

    /// The size in bytes of its own memory.
    public var byteCount: Int { copy.byteCount }

    /// The content.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            guard let mapped else { return copy.bytes }
            // Safe: they stay where they are as long as this value, which the span borrows, has them.
            return unsafe _overrideLifetime(mapped.bytes, borrowing: self)
        }
    }

    /// The memory of its own, to be filled: it becomes the content.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            mapped = nil
            return copy.mutableBytes
        }
    }

    /// Makes these bytes the content.
    public mutating func show(_ mapped: MappedBytes) {
        self.mapped = mapped
    }

    /// Ends showing what is not in this buffer's own memory.
    ///
    /// - Returns: whether all of it that was looked at was the file's.
    public mutating func endShowing() -> Bool {
        defer { mapped = nil }
        return mapped?.isIntact ?? true
    }
}
