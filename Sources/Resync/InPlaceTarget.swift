internal import BlockIO
internal import Storage
internal import VHDX

/// A replica that is written to while it is being compared. It bears a mark from before the first
/// change, since nothing else tells that it is half-written.
struct InPlaceTarget<Target: ReplicaTarget & ~Copyable>: ~Copyable, BlockTarget {
    let base: Target
    private let monitor: ResyncMonitor
    private let state: Lock<State>

    private struct State {
        var isMarked: Bool
        var isChanged = false
    }

    init(_ base: consuming Target, _ monitor: ResyncMonitor) {
        self.monitor = monitor
        monitor.note(isMarkable: base.isMarkable)
        monitor.noteWritingInPlace()
        // The mark of a journal goes: what that holds is no longer what makes the disk whole.
        state = Lock(State(isMarked: base.mark?.streamID == .zero))
        self.base = base
    }

    /// Names the state that the first change makes.
    func chooseDataWriteGUID(_ guid: GUID) { base.chooseDataWriteGUID(guid) }

    var virtualSize: UInt64 { base.virtualSize }

    func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        try base.extents(in: range)
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        try base.read(into: &buffer, at: offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        try mark()
        try base.write(bytes, at: offset)
    }

    func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        try mark()
        try base.writeZeros(range)
    }

    func commitIfBatchIsFull() throws(VHDXError) { try base.commitIfBatchIsFull() }

    func commit() throws(VHDXError) { try base.commit() }

    /// Makes everything durable, and the disk one that opens.
    func removeMark() throws(ResyncError) {
        try onDisk(.replica) { () throws(VHDXError) in try base.removeMark() }
        if monitor.condition != .untouched { monitor.note(.written) }
    }

    /// Makes everything durable, and ends. A mark stays.
    consuming func close() throws(ResyncError) {
        do throws(VHDXError) {
            try base.close()
        } catch {
            throw .disk(.replica, error)
        }
    }

    /// Ends after an error. What was written so far is kept where it is of use: then the next run has
    /// less to do.
    consuming func end(after error: ResyncError) throws(ResyncError) {
        switch error {
        case .stopped, .primaryChanged, .connection, .peer: try close()
        default: base.abandon()
        }
    }

    /// Every write comes through here first, so none is under way when the mark is set.
    private func mark() throws(VHDXError) {
        try state.withLock { (state) throws(VHDXError) in
            guard !state.isChanged else { return }
            monitor.note(.halfWritten)
            if !state.isMarked {
                try base.setMark(ApplyMark(streamID: .zero, journalPath: ""))
                state.isMarked = true
            }
            state.isChanged = true
        }
    }
}
