internal import Storage

/// What is known of each block of a window.
struct WindowResult: Sendable {
    /// Digests of both sides; in a comparison of bytes they say nothing.
    var primaryDigests: [BlockDigest]
    var replicaDigests: [BlockDigest]
    var differs: [Bool]
    var primaryIsZero: [Bool]

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
