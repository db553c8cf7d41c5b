internal import Storage

/// Takes what differs from the workers of a pass, in the order of the disk.
protocol DifferenceSink: Sendable {
    /// A window begins, of so many items.
    func beginWindow(itemCount: Int)

    /// An item was compared; the records, where there are any, are those of its blocks. May wait until
    /// what stands before it was taken.
    ///
    /// - Returns: the box for the next item's records: this one, or another of the same size.
    func take(
        _ differences: ItemDifferences, at index: Int, records: RecordBox
    ) throws(ResyncError) -> RecordBox

    /// Lets go of whoever waits, after an error: nothing more is taken.
    func cancel()
}

/// Where records go, in the order of the disk.
protocol RecordOutput: ~Copyable, Sendable {
    /// Behind the last block that is recorded.
    var endBlock: UInt64 { get }
    /// How many bytes were given out.
    var byteCount: UInt64 { get }
    /// What to call it in a message.
    var path: String { get }

    mutating func append(_ records: borrowing DeltaRecordBuffer) throws(ResyncError)
    mutating func append(zeros blocks: Range<UInt64>) throws(ResyncError)
    mutating func flush() throws(ResyncError)
}

extension DeltaWriter: RecordOutput where File: ~Copyable {}

/// Writes what differs to a delta stream. Runs of zeros are joined across items and windows, and over
/// blocks that are zero on both sides, so that the target sees whole payload blocks that became zero.
///
/// Items without records are taken at once, and so are those with records while there is a spare box;
/// without one, who has records waits for its turn.
final class DifferenceRecorder<Output: RecordOutput & ~Copyable>: DifferenceSink {
    private struct Item {
        var differences: ItemDifferences
        /// Nil where there are no records.
        var records: RecordBox?
    }

    /// As much as a worker reads at once, each.
    private static var maximumSpareBoxCount: Int { 4 }

    private struct State: ~Copyable {
        /// Made when the first record is there: equal disks leave no stream.
        var writer: Output?
        /// What became known of the window's items, by index.
        var waiting: [Item?] = []
        var spareBoxes: [RecordBox] = []
        var spareBoxCount = 0
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
    private let makeWriter: (@Sendable () throws(ResyncError) -> Output)?

    /// A recorder to a stream that is there; where there is none yet, the first record makes one.
    init(
        continuing writer: consuming Output?, _ monitor: ResyncMonitor,
        makeWriter: (@Sendable () throws(ResyncError) -> Output)? = nil
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
        _ differences: ItemDifferences, at index: Int, records: RecordBox
    ) throws(ResyncError) -> RecordBox {
        let hasRecords = records.withLock { $0.recordCount > 0 }
        let next = try state.withLock { (state) throws(ResyncError) -> RecordBox? in
            var box: RecordBox? = records
            if hasRecords, state.next != index {
                box = spareBox(like: records, &state)
                guard box != nil else { return nil }
            }
            state.waiting[index] = Item(
                differences: differences, records: hasRecords ? records : nil)
            try drain(&state, keeping: box === records ? records : nil)
            return box
        }
        if let next { return next }
        return try state.withLock(when: { $0.next == index || $0.isCancelled }) {
            (state) throws(ResyncError) in
            guard !state.isCancelled else { return records }
            state.waiting[index] = Item(differences: differences, records: records)
            try drain(&state, keeping: records)
            return records
        }
    }

    private func spareBox(like records: RecordBox, _ state: inout State) -> RecordBox? {
        if let box = state.spareBoxes.popLast() { return box }
        guard state.spareBoxCount < Self.maximumSpareBoxCount else { return nil }
        // Without memory for one there is none: it is not needed.
        let box = try? records.withLock { (records) throws(OutOfMemory) in
            RecordBox(try records.another())
        }
        if box != nil { state.spareBoxCount += 1 }
        return box
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

    /// What lies before a block, and was not taken yet, is as it is to be.
    func skip(to block: UInt64) throws(ResyncError) {
        try state.withLock { (state) throws(ResyncError) in
            try endZeros(&state)
            state.zeros = block..<block
        }
    }

    /// The stream, after the last window; nil where nothing differs.
    func finish() throws(ResyncError) -> Output? {
        try state.withLock { (state) throws(ResyncError) in
            try endZeros(&state)
            return state.writer.take()
        }
    }

    /// Takes the items that are known and whose turn it is. Their boxes are spare then, but for one
    /// that its owner keeps.
    private func drain(
        _ state: inout State, keeping kept: RecordBox?
    ) throws(ResyncError) {
        while state.next < state.waiting.count, let item = state.waiting[state.next] {
            try begin(item.differences, &state)
            if let records = item.records {
                try write(records, &state)
                if records !== kept { state.spareBoxes.append(records) }
            }
            end(item.differences, &state)
            state.waiting[state.next] = nil
            state.next += 1
        }
    }

    private func write(_ box: RecordBox, _ state: inout State) throws(ResyncError) {
        try withWriter(&state) { (writer) throws(ResyncError) in
            try box.withLock { (records) throws(ResyncError) in try writer.append(records) }
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
        _ body: (inout Output) throws(ResyncError) -> Void
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
