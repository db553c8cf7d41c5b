internal import Replication
internal import Resync

/// `vhdresync recover REPLICA`.
enum RecoverVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let recovery = ReplicaRecovery(replica: invocation.paths[0], options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: "", replica: recovery.replica, blockSize: recovery.options.blockSize),
            invocation: invocation, isWriting: true,
            summary: { Summary.recovery($0, $1) },
            work: { (monitor) throws(ResyncError) in try recovery.recover(monitor: monitor) })
        return run.run()
    }
}
