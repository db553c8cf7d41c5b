internal import Replication
internal import Resync

/// `vhdresync PRIMARY REPLICA`.
enum ResyncVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let resync = LocalResync(
            primary: invocation.paths[0], replica: invocation.paths[1], options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: resync.primary, replica: resync.replica,
                blockSize: resync.options.blockSize),
            invocation: invocation, isWriting: !resync.options.isDryRun,
            summary: { Summary.resync($0, $1, resync.options) },
            work: { (monitor) throws(ResyncError) in try resync.run(monitor: monitor) })
        return run.run()
    }
}
