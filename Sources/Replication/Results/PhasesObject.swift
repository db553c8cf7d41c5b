package import Resync

/// What each phase of a run has done, in the result and in an event. README.md documents the fields;
/// they keep their names.
package struct PhasesObject: Encodable, Equatable, Sendable {
    struct Phase: Encodable, Equatable, Sendable {
        var bytes: UInt64
    }

    var comparing: Phase
    var receiving: Phase
    var applying: Phase
    var verifying: Phase

    package init(_ counts: ResyncCounts) {
        comparing = Phase(bytes: counts.bytesCompared)
        receiving = Phase(bytes: counts.bytesRecorded)
        applying = Phase(bytes: counts.bytesApplied)
        verifying = Phase(bytes: counts.bytesVerified)
    }
}
