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
/// A page's alignment, the default, lets the kernel copy by whole pages and suits `O_DIRECT`.
@safe public struct AlignedBuffer: ~Copyable, @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    /// The size in bytes.
    public let byteCount: Int

    /// - Throws: ``OutOfMemory``, where many other ways to allocate would trap.
    public init(byteCount: Int, alignment: Int = 4096) throws(OutOfMemory) {
        precondition(byteCount > 0)
        var memory: UnsafeMutableRawPointer?
        // Safe: posix_memalign sets the pointer only where it returns 0.
        guard unsafe posix_memalign(&memory, alignment, byteCount) == 0, let start = unsafe memory
        else { throw OutOfMemory(byteCount: byteCount) }
        unsafe memset(start, 0, byteCount)
        unsafe self.start = start
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
        unsafe free(start)
    }
}
