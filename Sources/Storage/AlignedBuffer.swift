internal import Glibc

/// The system has no memory left for a buffer.
public struct OutOfMemory: Error, Equatable {
    /// How many bytes were asked for; 0 where a library asked and does not say.
    public var byteCount: Int

    public init(byteCount: Int) {
        self.byteCount = byteCount
    }
}

/// Memory with one owner, a fixed size and an alignment, filled with zeros at first.
///
/// A page's alignment, the default, lets the kernel copy by whole pages and suits `O_DIRECT`. A large
/// buffer takes memory page by page, as it is used.
@safe public struct AlignedBuffer: ~Copyable, @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    private let start: UnsafeMutableRawPointer
    /// The size in bytes.
    public let byteCount: Int

    /// - Throws: ``OutOfMemory``, where many other ways to allocate would trap.
    public init(byteCount: Int, alignment: Int = 4096) throws(OutOfMemory) {
        precondition(byteCount > 0)
        let (needed, overflows) = byteCount.addingReportingOverflow(alignment - 1)
        // Not posix_memalign: of what comes fresh from the system calloc knows that it is zero.
        guard !overflows, let memory = unsafe calloc(1, needed) else {
            throw OutOfMemory(byteCount: byteCount)
        }
        unsafe self.memory = memory
        // Safe: from there on there are as many bytes as were asked for.
        unsafe start = memory.alignedUp(toMultipleOf: alignment)
        self.byteCount = byteCount
    }

    /// The content.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Safe: the memory lives as long as this owner, which the span borrows.
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The content, for changes.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            // Safe: the memory lives as long as this owner, which the span holds exclusively.
            let span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: byteCount)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    deinit {
        unsafe free(memory)
    }
}
