internal import Replication
internal import Resync

/// `vhdresync apply DELTA REPLICA`.
enum ApplyVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let application = DeltaApply(
            delta: invocation.paths[0], replica: invocation.paths[1], options: invocation.options)
        return JobRun(
            invocation: invocation, disks: [DiskRun(application)], summary: Summary.apply
        ).run()
    }
}
