internal import Storage

/// Takes what differs from the workers of a pass, in the order of the disk.
protocol DifferenceSink: Sendable {
    /// A window begins, of so many items.
    func beginWindow(itemCount: Int)

    /// An item was compared; the records, where there are any, are those of its blocks. Waits until
    /// what stands before it was taken.
    func take(
        _ differences: ItemDifferences, at index: Int, records: borrowing DeltaRecordBuffer
    ) throws(ResyncError)

    /// Lets go of whoever waits, after an error: nothing more is taken.
    func cancel()
}

/// Writes what differs to a delta stream. Runs of zeros are joined across items and windows, and over
/// blocks that are zero on both sides, so that the target sees whole payload blocks that became zero.
///
/// Items without records are taken at once; only who has some waits for its turn.
final class DifferenceRecorder<File: RandomAccessFile & ~Copyable>: DifferenceSink {
    private struct State: ~Copyable {
        /// Made when the first record is there: equal disks leave no stream.
        var writer: DeltaWriter<File>?
        /// What became known of the window's items, by index.
        var waiting: [ItemDifferences?] = []
        /// The item whose turn it is.
        var next = 0
        var isCancelled = false
        /// Zero on the primary, and not recorded yet. Both sides are zero where there is no item.
        var zeros: Range<UInt64> = 0..<0
        var zerosDiffer = false
        var growth: UInt64 = 0
    }

    private let state: ConditionLock<State>
    private let monitor: ResyncMonitor
    private let makeWriter: (@Sendable () throws(ResyncError) -> DeltaWriter<File>)?

    /// A recorder to a stream that is there; where there is none yet, the first record makes one.
    init(
        continuing writer: consuming DeltaWriter<File>?, _ monitor: ResyncMonitor,
        makeWriter: (@Sendable () throws(ResyncError) -> DeltaWriter<File>)? = nil
    ) {
        state = ConditionLock(State(writer: writer))
        self.monitor = monitor
        self.makeWriter = makeWriter
    }

    /// Bytes of content that the target has no space for yet.
    var growth: UInt64 { state.withLock { $0.growth } }

    /// Behind the last block that is recorded.
    var endBlock: UInt64 { state.withLock { $0.writer?.endBlock ?? 0 } }

    func beginWindow(itemCount: Int) {
        state.withLock { state in
            state.waiting = Array(repeating: nil, count: itemCount)
            state.next = 0
        }
    }

    func take(
        _ differences: ItemDifferences, at index: Int, records: borrowing DeltaRecordBuffer
    ) throws(ResyncError) {
        guard records.recordCount > 0 else {
            return try state.withLock { (state) throws(ResyncError) in
                state.waiting[index] = differences
                try drain(&state)
            }
        }
        try state.withLock(when: { $0.next == index || $0.isCancelled }) {
            (state) throws(ResyncError) in
            guard !state.isCancelled else { return }
            try begin(differences, &state)
            try withWriter(&state) { (writer) throws(ResyncError) in try writer.append(records) }
            end(differences, &state)
            state.next += 1
            try drain(&state)
        }
    }

    func cancel() {
        state.withLock { $0.isCancelled = true }
    }

    /// Hands what is recorded to the file, so that another run can go on with it. An error here would
    /// hide the one that led here.
    func flush() {
        state.withLock { state in
            try? withWriter(&state, isBeginning: false) { (writer) throws(ResyncError) in
                try writer.flush()
            }
        }
    }

    /// The stream, after the last window; nil where nothing differs.
    func finish() throws(ResyncError) -> DeltaWriter<File>? {
        try state.withLock { (state) throws(ResyncError) in
            try endZeros(&state)
            return state.writer.take()
        }
    }

    /// Takes the items that are known and whose turn it is.
    private func drain(_ state: inout State) throws(ResyncError) {
        while state.next < state.waiting.count, let differences = state.waiting[state.next] {
            try begin(differences, &state)
            end(differences, &state)
            state.next += 1
        }
    }

    /// What comes before the records of an item.
    ///
    /// - Throws: ``ResyncError/outdatedJournal(path:)`` where the item differs and stands before the end
    ///   of what an earlier run recorded.
    private func begin(_ differences: ItemDifferences, _ state: inout State) throws(ResyncError) {
        let first = differences.blocks.lowerBound
        if differences.hasAny, let writer = state.writer.take() {
            let (end, path) = (writer.endBlock, writer.path)
            state.writer = consume writer
            guard first >= end else { throw .outdatedJournal(path: path) }
        }
        let leading = first + differences.leadingZeros.count
        state.growth += differences.growth
        state.zeros = min(state.zeros.lowerBound, leading)..<leading
        state.zerosDiffer = state.zerosDiffer || differences.leadingZeros.differs
        if !differences.isZero { try endZeros(&state) }
    }

    /// What comes behind them.
    private func end(_ differences: ItemDifferences, _ state: inout State) {
        guard !differences.isZero else { return }
        let end = differences.blocks.upperBound
        state.zeros = end - differences.trailingZeros.count..<end
        state.zerosDiffer = differences.trailingZeros.differs
    }

    private func endZeros(_ state: inout State) throws(ResyncError) {
        let zeros = state.zeros
        if state.zerosDiffer {
            try withWriter(&state) { (writer) throws(ResyncError) in
                // What stands before the end of the stream was recorded by an earlier run.
                let start = max(zeros.lowerBound, writer.endBlock)
                if start < zeros.upperBound { try writer.append(zeros: start..<zeros.upperBound) }
            }
        }
        state.zerosDiffer = false
    }

    /// Runs the body on the stream, which is begun where `isBeginning` says so.
    private func withWriter(
        _ state: inout State, isBeginning: Bool = true,
        _ body: (inout DeltaWriter<File>) throws(ResyncError) -> Void
    ) throws(ResyncError) {
        if state.writer == nil, isBeginning, let makeWriter { state.writer = try makeWriter() }
        guard var writer = state.writer.take() else { return }
        let before = writer.byteCount
        do throws(ResyncError) {
            try body(&writer)
        } catch {
            state.writer = consume writer
            throw error
        }
        var counts = ResyncCounts()
        counts.bytesRecorded = writer.byteCount - before
        monitor.add(counts)
        state.writer = consume writer
    }
}
