public import Resync

/// What there is to do for a job: the disks of one relationship, all to be made to read as their
/// primaries, or none.
///
/// No disk is changed before the job has passed its commit point (``ConcreteJob/passCommitPoint()``), and
/// then ``decide`` has returned.
public struct Transfer: Sendable {
    /// Is told the progress. It begins and ends elsewhere.
    public var job: ConcreteJob
    public var machine: Inventory.Machine
    public var relationship: Inventory.Relationship
    /// Which time the work is begun: more than 1 after a service that ended in the midst of it.
    public var attempt: Int
    /// What is to be finished before anything else; nil where there is nothing.
    public var decision: TransferDecision?
    /// Remembers for good that these disks become new, in place of what was decided before; with what is known of
    /// all disks of the machine.
    public var decide:
        @Sendable (_ disks: [StoredDecidedDisk], _ outcomes: [DiskOutcome]) throws(StoreError) ->
            Void
    /// Remembers that what an earlier job has decided is carried out.
    public var noteCarriedOut: @Sendable () throws(StoreError) -> Void
    /// To be called once, from any thread, when nothing is being done any more.
    public var end: @Sendable (TransferOutcome) -> Void
}

/// Who does transfers.
public protocol TransferRunner: Sendable {
    /// Begins in threads of its own, and does not wait for them.
    ///
    /// - Returns: What asks for the end, in an orderly way, as soon as may be. It may be called more
    ///   than once, and after the end.
    func begin(_ transfer: Transfer) -> @Sendable () -> Void
}

/// How a transfer has ended.
public struct TransferOutcome: Sendable {
    public enum Ending: Equatable, Sendable {
        case succeeded
        /// As it was asked to; what was compared so far is kept.
        case stopped(String)
        case failed(CodedError, RetryClass)
    }

    public var ending: Ending
    public var figures = JobFigures()
    /// Of the disks of which anything is known.
    public var disks: [DiskOutcome] = []

    public init(_ ending: Ending) {
        self.ending = ending
    }
}

/// What became of a disk.
public struct DiskOutcome: Sendable {
    public var report: DiskReport
    /// Nil where the disk is neither done nor has failed.
    public var code: ReturnCode?
    /// Nil where nothing went wrong.
    public var errorDescription: String?
    public var elapsedTime: Duration
    /// In the machine, from 0 on; nil for its place among the outcomes.
    public var position: Int?
}
