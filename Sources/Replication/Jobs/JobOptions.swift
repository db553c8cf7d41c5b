public import Resync

/// What a job may be told beside its disks.
public struct JobOptions: Sendable {
    public var resync = ResyncOptions()
    /// How another host is reached that has one of the disks.
    public var remote = RemoteOptions()
    /// After so long the job stops, with ``ReturnCode/timeout``; nil for never.
    public var timeout: Duration?
    /// How long it takes from one report of progress to the next.
    public var progressInterval = Duration.milliseconds(200)

    public init() {}

    /// A year. A longer time limit is none.
    package static let longestTimeout = Duration.seconds(366 * 24 * 3600)

    /// Checks what makes no sense whatever the disks are.
    package func check() throws(CodedError) {
        if let timeout {
            guard timeout > .zero, timeout <= Self.longestTimeout else {
                throw .invalid("the time limit must be more than nothing, and a year at most")
            }
        }
        guard (.milliseconds(10)...(.seconds(10))).contains(progressInterval) else {
            throw .invalid("the interval of progress must be 10 ms to 10 s")
        }
        guard !resync.isDryRun || !resync.verifiesWholeReplica else {
            throw .invalid("a dry run writes nothing that could be verified")
        }
        guard resync.parentOfNewReplica == nil || resync.createsReplica else {
            throw .invalid("a parent of the replica is for one that is to be created")
        }
        guard resync.journalFolder == nil || resync.writeMethod != .inPlace else {
            throw .invalid("in place there is no journal, so a folder for it means nothing")
        }
        try remote.check()
        try onEngine { () throws(ResyncError) in try resync.check() }
    }
}
