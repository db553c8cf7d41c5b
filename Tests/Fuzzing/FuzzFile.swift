internal import Glibc
internal import Storage

/// A file in memory around a ``Content``, for images that are damaged on purpose.
final class FuzzFile: RandomAccessFile {
    private struct State {
        var content: Content
        var changeCount = 0
        var bytesRead: UInt64 = 0
    }

    let name = "fuzz.vhdx"
    private let state: Lock<State>

    init(_ content: Content) {
        state = Lock(State(content: content))
    }

    /// What the file holds now.
    var content: Content { state.withLock { $0.content } }

    /// How many calls could have changed the file.
    var changeCount: Int { state.withLock { $0.changeCount } }

    /// How much was read so far.
    var bytesRead: UInt64 { state.withLock { $0.bytesRead } }

    func byteCount() throws(FileError) -> UInt64 { state.withLock { $0.content.byteCount } }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        let count = UInt64(buffer.byteCount)
        let content = state.withLock { state in
            state.bytesRead += count
            return state.content
        }
        guard let end = try? offset.adding(count), end <= content.byteCount else {
            throw .unexpectedEnd(path: name, at: content.byteCount)
        }
        content.read(into: &buffer, at: offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        try checkEnd(offset, UInt64(bytes.byteCount), .write)
        state.withLock { state in
            state.changeCount += 1
            state.content.write(bytes, at: offset)
        }
    }

    func deallocate(_ range: Range<UInt64>) throws(FileError) {
        state.withLock { state in
            state.changeCount += 1
            state.content.clear(range)
        }
    }

    func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        try deallocate(range)
    }

    func reserve(_ range: Range<UInt64>) throws(FileError) {
        try checkEnd(range.lowerBound, range.byteCount, .allocate)
        state.withLock { state in
            state.changeCount += 1
            guard range.upperBound > state.content.byteCount else { return }
            state.content.resize(to: range.upperBound)
        }
    }

    func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try checkEnd(byteCount, 0, .resize)
        state.withLock { state in
            state.changeCount += 1
            state.content.resize(to: byteCount)
        }
    }

    func flush() throws(FileError) {}

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        content.nextData(from: offset, limit: limit)
    }

    /// Refuses what no Linux file can hold.
    private func checkEnd(
        _ offset: UInt64, _ count: UInt64, _ operation: FileOperation
    ) throws(FileError) {
        guard let end = try? offset.adding(count), end <= UInt64(Int64.max) else {
            throw .system(operation, path: name, at: offset, errno: EFBIG)
        }
    }
}
