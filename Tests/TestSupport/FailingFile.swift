internal import Glibc
package import Storage

/// A file of which one call fails, and if wanted all later ones.
///
/// Counting the calls of a run that succeeds and then failing each in turn visits every error path.
package final class FailingFile: RandomAccessFile {
    /// A kind of call that can fail.
    package enum Call: Hashable, CaseIterable, Sendable {
        case read, write, flush, setByteCount, reserve, deallocate, writeZeros

        /// Every kind that may change the file or orders its changes.
        package static let mutating = Set(allCases).subtracting([.read])
    }

    /// Which call fails, and how.
    package struct Plan: Sendable {
        /// The kinds of calls that count.
        package var calls: Set<Call>
        /// The number among them, from 0, of the one that fails.
        package var index: Int
        /// The system's reason.
        package var errno: Int32
        /// How many bytes a failing write leaves behind, at most what it was given.
        package var partialByteCount: Int
        /// Whether all later calls of these kinds fail too, as on a device that is gone.
        package var isPermanent: Bool

        /// A failure of the call number `index`.
        package init(
            failing index: Int, of calls: Set<Call> = Call.mutating, errno: Int32,
            partialByteCount: Int = 0, isPermanent: Bool = false
        ) {
            self.calls = calls
            self.index = index
            self.errno = errno
            self.partialByteCount = partialByteCount
            self.isPermanent = isPermanent
        }
    }

    private struct State {
        var plan: Plan?
        var callCount = 0
        var failureCount = 0
    }

    /// The file behind.
    package let file: MemoryFile
    private let state: Lock<State>

    /// A file in front of `file` that fails as planned, or never.
    package init(_ file: MemoryFile, plan: Plan? = nil) {
        self.file = file
        state = Lock(State(plan: plan))
    }

    /// What to call the file in a message.
    package var name: String { file.name }

    /// How many calls have failed.
    package var failureCount: Int { state.withLock { $0.failureCount } }

    /// How many calls of the planned kinds were made; without a plan, of those that change the file.
    package var callCount: Int { state.withLock { $0.callCount } }

    /// Replaces the plan and counts from zero again.
    package func follow(_ plan: Plan?) {
        state.withLock { $0 = State(plan: plan) }
    }

    package func byteCount() throws(FileError) -> UInt64 {
        try file.byteCount()
    }

    package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        if let errno = failure(of: .read) {
            throw .system(.read, path: name, at: offset, errno: errno)
        }
        try file.read(into: &buffer, at: offset)
    }

    package func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        if let errno = failure(of: .write) {
            let partial = min(state.withLock { $0.plan?.partialByteCount ?? 0 }, bytes.byteCount)
            if partial > 0 { try file.write(bytes.extracting(0..<partial), at: offset) }
            throw .system(.write, path: name, at: offset, errno: errno)
        }
        try file.write(bytes, at: offset)
    }

    package func deallocate(_ range: Range<UInt64>) throws(FileError) {
        try check(.deallocate, .deallocate, range.lowerBound)
        try file.deallocate(range)
    }

    package func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        try check(.writeZeros, .write, range.lowerBound)
        try file.writeZeros(range)
    }

    package func reserve(_ range: Range<UInt64>) throws(FileError) {
        try check(.reserve, .allocate, range.lowerBound)
        try file.reserve(range)
    }

    package func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try check(.setByteCount, .resize, byteCount)
        try file.setByteCount(byteCount)
    }

    package func flush() throws(FileError) {
        try check(.flush, .flush, nil)
        try file.flush()
    }

    package func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        try file.nextData(from: offset, limit: limit)
    }

    private func check(
        _ call: Call, _ operation: FileOperation, _ offset: UInt64?
    ) throws(FileError) {
        if let errno = failure(of: call) {
            throw .system(operation, path: name, at: offset, errno: errno)
        }
    }

    /// The reason why this call fails, or nil where it does not.
    private func failure(of call: Call) -> Int32? {
        state.withLock { state in
            guard (state.plan?.calls ?? Call.mutating).contains(call) else { return nil }
            defer { state.callCount += 1 }
            guard let plan = state.plan else { return nil }
            let isReached = state.callCount >= plan.index
            guard isReached, plan.isPermanent || state.callCount == plan.index else { return nil }
            state.failureCount += 1
            return plan.errno
        }
    }
}
