internal import Resync

/// How far a run has come at one instant.
struct ProgressSample: Equatable {
    var phase: ResyncPhase
    var counts: ResyncCounts
    /// Whether the run was asked to stop and has not ended yet.
    var isStopping = false
    /// Seconds since the run began.
    var elapsedSeconds: Double
    /// How far the whole job is, all phases together.
    var percentComplete: UInt16
}

extension ProgressSample {
    /// What a monitor shows now.
    init(_ monitor: ResyncMonitor, elapsed: Duration, verifies: Bool) {
        // In this order: counts of a later phase under the name of an earlier one show too little
        // for a moment, never too much.
        phase = monitor.phase
        counts = monitor.counts
        isStopping = monitor.stopReason != nil && phase != .finished
        elapsedSeconds = elapsed.seconds
        percentComplete = Self.percentComplete(phase, counts, verifies: verifies)
    }

    /// Percent of the current phase.
    var percentOfPhase: UInt16 {
        phase == .finished ? 100 : UInt16(Self.share(counts) * 100)
    }

    /// What the run is doing, in a word.
    var activity: String {
        if isStopping { return "stopping" }
        switch phase {
        case .opening: return "opening"
        case .comparing: return "comparing"
        case .applying: return "applying"
        case .verifying: return "verifying"
        case .finished: return "finished"
        }
    }

    /// Comparing reads both disks, verifying one of them: two thirds and one.
    static func percentComplete(
        _ phase: ResyncPhase, _ counts: ResyncCounts, verifies: Bool
    ) -> UInt16 {
        let comparing = verifies ? 200.0 / 3 : 100
        switch phase {
        case .opening: return 0
        case .comparing: return UInt16(share(counts) * comparing)
        case .applying: return UInt16(comparing)
        case .verifying: return UInt16(comparing + share(counts) * (100 - comparing))
        case .finished: return 100
        }
    }

    /// How much of the phase is done, from 0 to 1.
    private static func share(_ counts: ResyncCounts) -> Double {
        guard counts.virtualSize > 0 else { return 0 }
        return min(Double(counts.bytesDone) / Double(counts.virtualSize), 1)
    }
}
