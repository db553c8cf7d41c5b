internal import Glibc
package import Storage

/// The content of a file that may be far larger than memory: only pages once written exist.
///
/// A value: a copy costs nothing until one of the two changes.
package struct SparseBytes: Sendable {
    private static let pageSize: UInt64 = 4096
    private static let zeroPage = [UInt8](repeating: 0, count: Int(pageSize))

    private var pages: [UInt64: [UInt8]] = [:]
    /// The size in bytes.
    package private(set) var byteCount: UInt64

    /// As many zeros as told.
    package init(byteCount: UInt64 = 0) {
        self.byteCount = byteCount
    }

    /// Copies what is there into the buffer.
    ///
    /// - Returns: how many bytes there were, at most the size of the buffer.
    package func read(into buffer: inout MutableRawSpan, at offset: UInt64) -> Int {
        guard offset < byteCount else { return 0 }
        let count = Int(min(UInt64(buffer.byteCount), byteCount - offset))
        for piece in Self.pieces(of: offset..<(offset + UInt64(count))) {
            let page = pages[piece.page] ?? Self.zeroPage
            buffer.copy(page.rawSpan.extracting(piece.inPage), at: piece.position)
        }
        return count
    }

    /// Puts bytes at an offset and grows where they reach past the end.
    package mutating func write(_ bytes: RawSpan, at offset: UInt64) {
        guard bytes.byteCount > 0 else { return }
        let end = offset + UInt64(bytes.byteCount)
        for piece in Self.pieces(of: offset..<end) {
            let count = piece.inPage.count
            let source = bytes.extracting(piece.position..<(piece.position + count))
            pages[piece.page, default: Self.zeroPage].withMutableRawSpan { page in
                page.copy(source, at: piece.inPage.lowerBound)
            }
        }
        byteCount = max(byteCount, end)
    }

    /// Makes a range read as zeros; whole pages in it become holes. The size stays.
    package mutating func clear(_ range: Range<UInt64>) {
        let range = range.clamped(to: 0..<byteCount)
        guard !range.isEmpty else { return }
        let first = range.lowerBound.dividedRoundingUp(by: Self.pageSize)
        let last =
            range.upperBound == byteCount
            ? range.upperBound.dividedRoundingUp(by: Self.pageSize)
            : range.upperBound / Self.pageSize
        if first < last {
            removePages(first..<last)
        }
        for edge in [range.lowerBound, range.upperBound - 1] {
            guard pages[edge / Self.pageSize] != nil else { continue }
            let start = edge / Self.pageSize * Self.pageSize
            let cleared = range.clamped(to: start..<(start + Self.pageSize))
            let zeros = Self.zeroPage.rawSpan.extracting(0..<Int(cleared.byteCount))
            write(zeros, at: cleared.lowerBound)
        }
    }

    /// Cuts, or adds zeros.
    package mutating func resize(to newByteCount: UInt64) {
        if newByteCount < byteCount { clear(newByteCount..<byteCount) }
        byteCount = newByteCount
    }

    /// The next run of pages that exist, within `offset ..< limit`.
    package func nextData(from offset: UInt64, limit: UInt64) -> Range<UInt64>? {
        let limit = min(limit, byteCount)
        guard offset < limit else { return nil }
        var page = offset / Self.pageSize
        if pages[page] == nil {
            guard let next = pages.keys.lazy.filter({ $0 > page }).min() else { return nil }
            page = next
        }
        let start = max(offset, page * Self.pageSize)
        while pages[page] != nil { page += 1 }
        let end = min(page * Self.pageSize, limit)
        return start < end ? start..<end : nil
    }

    /// The first byte that differs, or the smaller size where only the sizes do.
    package func firstDifference(from other: SparseBytes) -> UInt64? {
        for page in Set(pages.keys).union(other.pages.keys).sorted() {
            let mine = pages[page] ?? Self.zeroPage
            let theirs = other.pages[page] ?? Self.zeroPage
            guard mine != theirs else { continue }
            let index = zip(mine, theirs).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
            return page * Self.pageSize + UInt64(index)
        }
        return byteCount == other.byteCount ? nil : min(byteCount, other.byteCount)
    }

    private mutating func removePages(_ range: Range<UInt64>) {
        if range.byteCount < UInt64(pages.count) {
            for page in range { pages[page] = nil }
        } else {
            pages = pages.filter { !range.contains($0.key) }
        }
    }

    private struct Piece {
        var page: UInt64
        var inPage: Range<Int>
        /// Where the piece starts in the range as a whole.
        var position: Int
    }

    private static func pieces(of range: Range<UInt64>) -> [Piece] {
        guard !range.isEmpty else { return [] }
        return (range.lowerBound / pageSize...(range.upperBound - 1) / pageSize).map { page in
            let part = range.clamped(to: page * pageSize..<(page + 1) * pageSize)
            let lower = Int(part.lowerBound - page * pageSize)
            return Piece(
                page: page, inPage: lower..<(lower + Int(part.byteCount)),
                position: Int(part.lowerBound - range.lowerBound))
        }
    }
}

extension SparseBytes: Equatable {
    /// Whether both read the same. Holes equal written zeros.
    package static func == (first: SparseBytes, second: SparseBytes) -> Bool {
        first.firstDifference(from: second) == nil
    }
}

/// A file in memory, sparse, so that an image of many TiB costs what is written in it.
///
/// It is one file for everyone who holds it: a test reads it again after the image that wrote it
/// is gone.
package final class MemoryFile: RandomAccessFile {
    /// How often each call was made, and how many bytes went through.
    package struct Counts: Equatable, Sendable {
        /// Calls of `read`.
        package var reads = 0
        /// Calls of `write`.
        package var writes = 0
        /// Calls of `flush`.
        package var flushes = 0
        /// Calls of `setByteCount`.
        package var resizes = 0
        /// Calls of `reserve`.
        package var reservations = 0
        /// Calls of `deallocate` and `writeZeros`.
        package var clearings = 0
        /// Bytes that `read` returned.
        package var bytesRead: UInt64 = 0
        /// Bytes that `write` took.
        package var bytesWritten: UInt64 = 0

        /// No calls.
        package init() {}

        /// Calls that may change the file.
        package var changes: Int { writes + resizes + reservations + clearings }
    }

    private struct State {
        var content: SparseBytes
        var counts = Counts()
    }

    /// What to call the file in a message.
    package let name: String
    private let state: Lock<State>

    /// A file with a content, or an empty one.
    package init(name: String = "/memory/disk.vhdx", content: SparseBytes = SparseBytes()) {
        self.name = name
        state = Lock(State(content: content))
    }

    /// What the file holds now.
    package var content: SparseBytes {
        get { state.withLock { $0.content } }
        set { state.withLock { $0.content = newValue } }
    }

    /// The calls so far.
    package var counts: Counts { state.withLock { $0.counts } }

    /// Counts from zero again.
    package func resetCounts() {
        state.withLock { $0.counts = Counts() }
    }

    package func byteCount() throws(FileError) -> UInt64 {
        state.withLock { $0.content.byteCount }
    }

    package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        let content = content
        let count = content.read(into: &buffer, at: offset)
        state.withLock { state in
            state.counts.reads += 1
            state.counts.bytesRead += UInt64(count)
        }
        guard count == buffer.byteCount else {
            throw .unexpectedEnd(path: name, at: offset + UInt64(count))
        }
    }

    package func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        try checkLimit(offset, UInt64(bytes.byteCount), .write)
        state.withLock { state in
            state.counts.writes += 1
            state.counts.bytesWritten += UInt64(bytes.byteCount)
            state.content.write(bytes, at: offset)
        }
    }

    package func deallocate(_ range: Range<UInt64>) throws(FileError) {
        clear(range)
    }

    package func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        clear(range)
    }

    package func reserve(_ range: Range<UInt64>) throws(FileError) {
        try checkLimit(range.lowerBound, range.byteCount, .allocate)
        state.withLock { state in
            state.counts.reservations += 1
            guard !range.isEmpty else { return }
            state.content.resize(to: max(range.upperBound, state.content.byteCount))
        }
    }

    package func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try checkLimit(byteCount, 0, .resize)
        state.withLock { state in
            state.counts.resizes += 1
            state.content.resize(to: byteCount)
        }
    }

    package func flush() throws(FileError) {
        state.withLock { $0.counts.flushes += 1 }
    }

    package func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        content.nextData(from: offset, limit: limit)
    }

    private func clear(_ range: Range<UInt64>) {
        state.withLock { state in
            state.counts.clearings += 1
            state.content.clear(range)
        }
    }
}

extension RandomAccessFile where Self: ~Copyable {
    /// Refuses what no Linux file can hold.
    func checkLimit(
        _ offset: UInt64, _ count: UInt64, _ operation: FileOperation
    ) throws(FileError) {
        let (end, overflows) = offset.addingReportingOverflow(count)
        guard !overflows, end <= UInt64(Int64.max) else {
            throw .system(operation, path: name, at: offset, errno: EFBIG)
        }
    }
}
