internal import CSystem
internal import Glibc

/// Whether files are read where the kernel keeps them, without a copy.
public enum MappedReading {
    private static let isGuarded = csystem_guard_mappings() == 0

    /// Lets this process do so, for files that are opened from now on.
    ///
    /// It takes a handler for SIGBUS, by which the kernel reports a file that was cut while it is looked
    /// at. That belongs to who owns the process: without this call all is read into buffers.
    ///
    /// - Returns: whether the process has the handler.
    @discardableResult
    public static func allow() -> Bool { isGuarded }
}

/// A whole file as part of the process's memory, to be read without a copy.
///
/// A page that cannot be read, since somebody has cut the file or the device fails, reads as zeros, and the
/// mapping is not intact from then on.
@safe final class FileMapping: @unchecked Sendable {
    private let start: UnsafeRawPointer
    private let byteCount: UInt64
    private let number: Int32
    /// Bytes from the start that nobody looks at any more.
    private let released = Lock<[Range<Int>]>([])

    /// So much stays in the process's memory before it is given back at once: each time every core that
    /// runs a thread of the process is told.
    private static let byteCountAtOnce = 8 << 20

    /// Fails where the process has no guard, or no room.
    init?(of descriptor: Int32, byteCount: UInt64) {
        var start: UnsafeRawPointer?
        // Safe: the call sets the pointer where it returns a number.
        let number = unsafe csystem_map(descriptor, byteCount, &start)
        guard number >= 0, let start = unsafe start else { return nil }
        unsafe self.start = start
        self.byteCount = byteCount
        self.number = number
    }

    deinit {
        csystem_unmap(number)
    }

    /// Whether everything that was looked at so far was the file's.
    var isIntact: Bool { csystem_mapping_is_intact(number) == 1 }

    /// Some bytes of the file, which are read from the device when they are looked at; nil where they cannot
    /// be had like this.
    func bytes(in range: Range<UInt64>) -> MappedBytes? {
        guard !range.isEmpty, range.upperBound <= byteCount,
            csystem_mapping_is_usable(number) == 1
        else { return nil }
        let bytes = Int(range.lowerBound)..<Int(range.upperBound)
        // Safe: the bytes lie within the mapping.
        return unsafe MappedBytes(start + bytes.lowerBound, of: self, bytes)
    }

    /// Takes note that nobody looks at some bytes any more.
    fileprivate func release(_ bytes: Range<Int>) {
        let all = released.withLock { released -> [Range<Int>] in
            released.append(pages(of: bytes))
            guard released.reduce(0, { $0 + $1.count }) >= Self.byteCountAtOnce else { return [] }
            defer { released = [] }
            return released
        }
        var joined: [Range<Int>] = []
        for pages in all.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, last.upperBound >= pages.lowerBound {
                joined[joined.count - 1] =
                    last.lowerBound..<max(last.upperBound, pages.upperBound)
            } else {
                joined.append(pages)
            }
        }
        for pages in joined {
            // Safe: whoever still looks at one of the pages gets it again.
            unsafe csystem_give_back_pages(start + pages.lowerBound, pages.count)
        }
    }

    private func pages(of bytes: Range<Int>) -> Range<Int> {
        let page = Int(csystem_page_byte_count())
        let end = (bytes.upperBound + page - 1) / page * page
        return bytes.lowerBound / page * page..<end
    }
}

/// Bytes of a file where the kernel keeps them. They change when somebody writes to the file.
@safe public final class MappedBytes: @unchecked Sendable {
    private let start: UnsafeRawPointer
    private let mapping: FileMapping
    private let range: Range<Int>

    fileprivate init(_ start: UnsafeRawPointer, of mapping: FileMapping, _ range: Range<Int>) {
        unsafe self.start = start
        self.mapping = mapping
        self.range = range
    }

    deinit {
        mapping.release(range)
    }

    /// The content.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // Safe: the mapping, which the span's owner keeps, ends after the span.
            let span = unsafe RawSpan(_unsafeStart: start, byteCount: range.count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Whether all bytes that were looked at were the file's. To be asked afterwards: where a page cannot
    /// be read, and behind the end of a file that was cut, there are zeros.
    public var isIntact: Bool { mapping.isIntact }
}
