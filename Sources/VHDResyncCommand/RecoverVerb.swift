internal import Replication
internal import Resync

/// `vhdresync recover REPLICA`.
enum RecoverVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let recovery = ReplicaRecovery(replica: invocation.paths[0], options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: recovery.replica, replica: recovery.replica,
                blockSize: recovery.options.blockSize),
            invocation: invocation, isWriting: true,
            summary: { Summary.resync($0, $1, isDryRun: false) },
            work: { (monitor) throws(ResyncError) in
                let outcome = try recovery.run(monitor: monitor)
                var report = DiskReport(
                    primary: "\(outcome)", replica: recovery.replica,
                    blockSize: recovery.options.blockSize)
                report.isVerified = true
                return report
            })
        return run.run()
    }
}
