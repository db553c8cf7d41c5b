import BlockIO
import Storage
import VHDX

/// What a test sees of the calls on a ``ProbeDisk``, and what it does to them.
final class Probe: Sendable {
    /// What becomes of a write.
    enum Fate: Sendable {
        case done
        /// Reported as done, and not done.
        case dropped
        /// One bit of the byte at this position is written wrong.
        case corrupted(at: Int)
    }

    struct Counts: Equatable, Sendable {
        var reads = 0
        var bytesRead: UInt64 = 0
        /// What was looked at without being read.
        var bytesMapped: UInt64 = 0
        var writes = 0
        var bytesWritten: UInt64 = 0
        var zeroed: [Range<UInt64>] = []
    }

    private let state = Lock(Counts())
    /// Runs before each read, with its number and its range.
    let beforeRead: @Sendable (Int, Range<UInt64>) throws(VHDXError) -> Void
    /// Runs between the look-up of content where the kernel keeps it and the look at it.
    let whenMapped: @Sendable (MappedBytes) throws(VHDXError) -> Void
    /// Decides over each write and zeroing, by its range.
    let fate: @Sendable (Range<UInt64>) -> Fate

    init(
        beforeRead: @escaping @Sendable (Int, Range<UInt64>) throws(VHDXError) -> Void = {
            (_, _) throws(VHDXError) in
        },
        whenMapped: @escaping @Sendable (MappedBytes) throws(VHDXError) -> Void = {
            (_) throws(VHDXError) in
        },
        fate: @escaping @Sendable (Range<UInt64>) -> Fate = { _ in .done }
    ) {
        self.beforeRead = beforeRead
        self.whenMapped = whenMapped
        self.fate = fate
    }

    var counts: Counts { state.withLock { $0 } }

    fileprivate func countRead(_ range: Range<UInt64>) -> Int {
        state.withLock { counts in
            counts.reads += 1
            counts.bytesRead += range.byteCount
            return counts.reads - 1
        }
    }

    fileprivate func countMapped(_ range: Range<UInt64>) {
        state.withLock { $0.bytesMapped += range.byteCount }
    }

    fileprivate func countWrite(_ byteCount: Int) {
        state.withLock { counts in
            counts.writes += 1
            counts.bytesWritten += UInt64(byteCount)
        }
    }

    fileprivate func countZeros(_ range: Range<UInt64>) {
        state.withLock { $0.zeroed.append(range) }
    }
}

/// A disk in front of another, that lets a test count, spoil or stop what passes.
struct ProbeDisk<Base: BlockTarget & ~Copyable>: ~Copyable, BlockTarget {
    private let base: Base
    private let probe: Probe

    init(_ base: consuming Base, _ probe: Probe) {
        self.base = base
        self.probe = probe
    }

    consuming func intoBase() -> Base { base }

    var virtualSize: UInt64 { base.virtualSize }

    func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        try base.extents(in: range)
    }

    func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        try base.nextData(from: offset)
    }

    func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        try base.storedRanges(in: range)
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        let range = offset..<offset + UInt64(buffer.byteCount)
        try probe.beforeRead(probe.countRead(range), range)
        try base.read(into: &buffer, at: offset)
    }

    func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        guard let mapped = try base.mappedBytes(in: range) else { return nil }
        probe.countMapped(range)
        try probe.whenMapped(mapped)
        return mapped
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(VHDXError) {
        probe.countWrite(bytes.byteCount)
        switch probe.fate(offset..<offset + UInt64(bytes.byteCount)) {
        case .done:
            try base.write(bytes, at: offset)
        case .dropped:
            break
        case .corrupted(let position):
            var copy = [UInt8](repeating: 0, count: bytes.byteCount)
            copy.withMutableRawSpan { $0.copy(bytes) }
            copy[position] ^= 0x10
            try base.write(copy.rawSpan, at: offset)
        }
    }

    func writeZeros(_ range: Range<UInt64>) throws(VHDXError) {
        probe.countZeros(range)
        switch probe.fate(range) {
        case .done: try base.writeZeros(range)
        case .dropped: break
        case .corrupted(let position):
            try base.writeZeros(range)
            let one: [UInt8] = [1]
            try base.write(one.rawSpan, at: range.lowerBound + UInt64(position))
        }
    }

    func commitIfBatchIsFull() throws(VHDXError) { try base.commitIfBatchIsFull() }

    func commit() throws(VHDXError) { try base.commit() }
}

extension ProbeDisk: ReplicaTarget where Base: ReplicaTarget & ~Copyable {
    var virtualDiskID: GUID { base.virtualDiskID }
    var dataWriteGUID: GUID { base.dataWriteGUID }
    var isMarkable: Bool { base.isMarkable }
    var mark: ApplyMark? { base.mark }
    func chooseDataWriteGUID(_ guid: GUID) { base.chooseDataWriteGUID(guid) }
    func checkRoom(for mark: ApplyMark) throws(VHDXError) {
        try base.checkRoom(for: mark)
    }

    func setMark(_ mark: ApplyMark) throws(VHDXError) { try base.setMark(mark) }
    func removeMark() throws(VHDXError) { try base.removeMark() }
    consuming func close() throws(VHDXError) { try base.close() }
    consuming func abandon() { base.abandon() }
}
