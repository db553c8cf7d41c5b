internal import Storage

/// What is known of each block of a window.
struct WindowResult: Sendable {
    /// Digests of both sides; in a comparison of bytes they say nothing.
    var primaryDigests: [BlockDigest]
    var replicaDigests: [BlockDigest]
    var differs: [Bool]
    var primaryIsZero: [Bool]

    /// A window that reads as zeros on both sides, or as digests say on the replica's.
    init(
        _ plan: WindowPlan, zeros: ZeroDigests, virtualSize: UInt64, replica: ReplicaContent
    ) {
        self.init(plan, zeros: zeros, virtualSize: virtualSize)
        if case .digests(let digests, _) = replica { replicaDigests = digests }
    }

    /// A window that reads as zeros on both sides.
    init(_ plan: WindowPlan, zeros: ZeroDigests, virtualSize: UInt64) {
        let count = plan.blockCount
        primaryDigests = [BlockDigest](repeating: zeros.block, count: count)
        if plan.range.upperBound == virtualSize, count > 0 {
            primaryDigests[count - 1] = zeros.lastBlock
        }
        replicaDigests = primaryDigests
        differs = [Bool](repeating: false, count: count)
        primaryIsZero = [Bool](repeating: true, count: count)
    }

    /// Notes what an earlier run has recorded. What the replica has there is not known.
    mutating func set(_ held: HeldBlocks) {
        for index in held.range {
            differs[index] = true
            primaryIsZero[index] = held.digests == nil
            if let digests = held.digests {
                primaryDigests[index] = digests[index - held.range.lowerBound]
            }
        }
    }

    /// What the disk's digests are once all differences are written.
    var resultDigests: [BlockDigest] {
        differs.indices.map { differs[$0] ? primaryDigests[$0] : replicaDigests[$0] }
    }

    /// Runs of blocks that are zero on the primary and hold at least one that differs.
    ///
    /// The blocks of a run that are zero on both sides are part of it, so that a target sees whole
    /// payload blocks that became zero.
    var runsToZero: [Range<Int>] {
        var runs: [Range<Int>] = []
        var start = 0
        while start < differs.count {
            guard primaryIsZero[start] else {
                start += 1
                continue
            }
            let end = primaryIsZero[start...].firstIndex(of: false) ?? differs.count
            if differs[start..<end].contains(true) { runs.append(start..<end) }
            start = end
        }
        return runs
    }
}
