internal import Replication
internal import Resync

/// `vhdresync recover REPLICA`.
enum RecoverVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let recovery = ReplicaRecovery(replica: invocation.paths[0], options: invocation.options)
        return JobRun(
            invocation: invocation, disks: [DiskRun(recovery)], summary: Summary.recovery
        ).run()
    }
}
