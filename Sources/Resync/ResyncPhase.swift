/// What a resynchronization is doing.
public enum ResyncPhase: Int, Sendable, CaseIterable {
    case opening
    /// Reading, comparing and, unless it is a dry run, recording what differs, or writing it in place.
    case comparing
    /// Copying a delta to the journal. Where both disks are here, what differs goes there while they
    /// are being compared.
    case receiving
    /// Writing what was recorded.
    case applying
    /// Reading what was written again, or the whole replica.
    case verifying
    case finished
}

/// Where in a job each phase ends, from 0 to 1. A phase starts where the one before it ended.
///
/// How long a phase takes depends on the disks and on what differs, so these are rough; what counts
/// is that a job's progress never goes back and reaches its end.
struct JobPlan: Equatable, Sendable {
    var comparing: Double
    var receiving = 1.0
    var applying = 1.0
    var verifying = 1.0

    /// One look at the disks. Whatever comes next goes on to the end.
    static let looking = JobPlan(comparing: 1)
    /// What a run does first where an earlier one left a journal.
    static let recoveryBefore = JobPlan(comparing: 0.03, applying: 0.06, verifying: 0.1)
    static let recovery = JobPlan(comparing: 0.4, applying: 0.7)
    /// A delta: the replica is read as a whole, and what differs is copied before it is written.
    static let applying = JobPlan(comparing: 0.5, receiving: 0.6, applying: 0.8)

    /// Comparing reads both disks, verifying the replica alone: two thirds and one.
    static func resync(_ options: ResyncOptions) -> JobPlan {
        let scale = options.verifiesWholeReplica && !options.isDryRun ? 2.0 / 3 : 1
        guard options.writeMethod != .inPlace, !options.isDryRun else {
            return JobPlan(comparing: scale)
        }
        return JobPlan(comparing: 0.6 * scale, applying: 0.8 * scale, verifying: scale)
    }

    func end(of phase: ResyncPhase) -> Double {
        switch phase {
        case .opening: 0
        case .comparing: comparing
        case .receiving: receiving
        case .applying: applying
        case .verifying: verifying
        case .finished: 1
        }
    }
}

/// How far a run has come at one instant: values that belong together.
public struct ResyncProgress: Equatable, Sendable {
    public var phase: ResyncPhase
    public var counts: ResyncCounts
    /// Of the whole job, from 0 to 1.
    public var shareOfJob: Double
    /// Bytes in a block; 0 until the disk is open.
    public var blockSize: Int
}
