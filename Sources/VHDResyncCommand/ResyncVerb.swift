internal import Replication
internal import Resync

/// `vhdresync PRIMARY REPLICA`.
enum ResyncVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let (disks, end) = DiskRun.resync(
            invocation.pairs, invocation.options, invocation.remote)
        return JobRun(
            invocation: invocation, disks: disks,
            summary: { Summary.resync($0, $1, invocation.options) }, ended: end
        ).run()
    }
}
