internal import Synchronization

/// What a resynchronization is doing.
public enum ResyncPhase: Int, Sendable {
    case opening
    /// Reading, comparing and, unless it is a dry run, recording what differs, or writing it in place.
    case comparing
    /// Writing what was recorded.
    case applying
    /// Reading what was written again, or the whole replica.
    case verifying
    case finished
}

/// Why a running resynchronization was asked to stop.
public enum StopReason: Int, Error, Equatable, Sendable {
    case cancelled = 1
    case timeout = 2
}

/// What was done to the replica as a file before its content was compared.
public enum ReplicaPreparation: Int, Sendable {
    case none
    /// It was made, empty.
    case made
    /// It was made as large as the primary.
    case grown
}

/// What a run has made of the content of the replica.
public enum ReplicaCondition: Int, Sendable {
    case untouched
    /// It is being written, and refuses to open.
    case halfWritten
    /// It reads as it is to read.
    case written
}

/// The counts of one disk. All are final when the run has ended, and true so far while it runs.
public struct ResyncCounts: Equatable, Sendable {
    /// Virtual size of the disk in bytes; 0 until it is open.
    public var virtualSize: UInt64 = 0
    public var blocksTotal: UInt64 = 0
    /// Blocks that read as zeros on both sides by the formats' own word, and were not read.
    public var blocksSkipped: UInt64 = 0
    /// Blocks that were read on at least one side.
    public var blocksCompared: UInt64 = 0
    public var blocksDiffering: UInt64 = 0
    /// Of those that differ: blocks that an earlier run had recorded, and that were not read again.
    public var blocksHeld: UInt64 = 0
    /// Content read from both disks, in bytes, reading back and verifying included.
    public var bytesRead: UInt64 = 0
    public var bytesHashed: UInt64 = 0
    /// Content written to the replica, in bytes, ranges that were zeroed included.
    public var bytesWritten: UInt64 = 0
    /// Size of what was recorded of the differences: what is received where two machines compare.
    public var bytesRecorded: UInt64 = 0
    /// Virtual bytes that the current phase has done.
    public var bytesDone: UInt64 = 0

    public init() {}
}

/// The thread-safe view of a running resynchronization: counts out, a request to stop in.
public final class ResyncMonitor: Sendable {
    private let phaseValue = Atomic<Int>(ResyncPhase.opening.rawValue)
    private let stopValue = Atomic<Int>(0)
    private let preparationValue = Atomic<Int>(ReplicaPreparation.none.rawValue)
    private let conditionValue = Atomic<Int>(ReplicaCondition.untouched.rawValue)
    private let virtualSize = Atomic<UInt64>(0)
    private let blocksTotal = Atomic<UInt64>(0)
    private let blocksSkipped = Atomic<UInt64>(0)
    private let blocksCompared = Atomic<UInt64>(0)
    private let blocksDiffering = Atomic<UInt64>(0)
    private let blocksHeld = Atomic<UInt64>(0)
    private let bytesRead = Atomic<UInt64>(0)
    private let bytesHashed = Atomic<UInt64>(0)
    private let bytesWritten = Atomic<UInt64>(0)
    private let bytesRecorded = Atomic<UInt64>(0)
    private let bytesDone = Atomic<UInt64>(0)

    public init() {}

    public var phase: ResyncPhase {
        ResyncPhase(rawValue: phaseValue.load(ordering: .acquiring)) ?? .opening
    }

    public var preparation: ReplicaPreparation {
        ReplicaPreparation(rawValue: preparationValue.load(ordering: .acquiring)) ?? .none
    }

    public var condition: ReplicaCondition {
        ReplicaCondition(rawValue: conditionValue.load(ordering: .acquiring)) ?? .untouched
    }

    public var counts: ResyncCounts {
        var counts = ResyncCounts()
        counts.virtualSize = virtualSize.load(ordering: .relaxed)
        counts.blocksTotal = blocksTotal.load(ordering: .relaxed)
        counts.blocksSkipped = blocksSkipped.load(ordering: .relaxed)
        counts.blocksCompared = blocksCompared.load(ordering: .relaxed)
        counts.blocksDiffering = blocksDiffering.load(ordering: .relaxed)
        counts.blocksHeld = blocksHeld.load(ordering: .relaxed)
        counts.bytesRead = bytesRead.load(ordering: .relaxed)
        counts.bytesHashed = bytesHashed.load(ordering: .relaxed)
        counts.bytesWritten = bytesWritten.load(ordering: .relaxed)
        counts.bytesRecorded = bytesRecorded.load(ordering: .relaxed)
        counts.bytesDone = bytesDone.load(ordering: .relaxed)
        return counts
    }

    /// Asks the run to stop at the next block. It ends with ``ResyncError/stopped(_:)`` and leaves
    /// a valid image. Safe in a signal handler's thread; the first reason stays.
    public func requestStop(_ reason: StopReason) {
        _ = stopValue.compareExchange(
            expected: 0, desired: reason.rawValue, ordering: .acquiringAndReleasing)
    }

    /// Why the run is to stop, or nil.
    public var stopReason: StopReason? {
        StopReason(rawValue: stopValue.load(ordering: .acquiring))
    }

    func note(_ preparation: ReplicaPreparation) {
        preparationValue.store(preparation.rawValue, ordering: .releasing)
    }

    func note(_ condition: ReplicaCondition) {
        conditionValue.store(condition.rawValue, ordering: .releasing)
    }

    func begin(_ phase: ResyncPhase) {
        bytesDone.store(0, ordering: .relaxed)
        phaseValue.store(phase.rawValue, ordering: .releasing)
    }

    /// Forgets what was counted of a comparison, since it is done once more.
    func restart() {
        blocksSkipped.store(0, ordering: .relaxed)
        blocksCompared.store(0, ordering: .relaxed)
        blocksDiffering.store(0, ordering: .relaxed)
        blocksHeld.store(0, ordering: .relaxed)
        bytesRecorded.store(0, ordering: .relaxed)
    }

    func setDisk(_ virtualSize: UInt64, blockSize: Int) {
        self.virtualSize.store(virtualSize, ordering: .relaxed)
        blocksTotal.store(
            DigestTree.blockCount(virtualSize: virtualSize, blockSize: blockSize),
            ordering: .relaxed)
    }

    /// Adds the counts of a piece of work; its `virtualSize` and `blocksTotal` are not looked at.
    func add(_ counts: ResyncCounts) {
        blocksSkipped.add(counts.blocksSkipped, ordering: .relaxed)
        blocksCompared.add(counts.blocksCompared, ordering: .relaxed)
        blocksDiffering.add(counts.blocksDiffering, ordering: .relaxed)
        blocksHeld.add(counts.blocksHeld, ordering: .relaxed)
        bytesRead.add(counts.bytesRead, ordering: .relaxed)
        bytesHashed.add(counts.bytesHashed, ordering: .relaxed)
        bytesWritten.add(counts.bytesWritten, ordering: .relaxed)
        bytesRecorded.add(counts.bytesRecorded, ordering: .relaxed)
        bytesDone.add(counts.bytesDone, ordering: .relaxed)
    }
}
