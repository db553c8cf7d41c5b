public import Resync

/// What there is to do for a job: the disks of one relationship, each to be made to read as its
/// primary.
///
/// The disks of a machine become new one after another yet, not all together: a failure leaves those
/// before it new, and those behind it old. Who is to make them new together has the job, which knows
/// whether its end was asked for (``ConcreteJob/passCommitPoint()``).
public struct Transfer: Sendable {
    /// Is told the progress. It begins and ends elsewhere.
    public var job: ConcreteJob
    public var machine: Inventory.Machine
    public var relationship: Inventory.Relationship
    /// Which time the work is begun: more than 1 after a service that ended in the midst of it.
    public var attempt: Int
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
    /// Of the first disks of the machine, as many as were begun.
    public var disks: [DiskOutcome] = []

    public init(_ ending: Ending) {
        self.ending = ending
    }
}

/// What became of a disk.
public struct DiskOutcome: Sendable {
    public var report: DiskReport
    public var code: ReturnCode
    /// Nil where nothing went wrong.
    public var errorDescription: String?
    public var elapsedTime: Duration
}
