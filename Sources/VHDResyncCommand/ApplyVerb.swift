internal import Replication
internal import Resync

/// `vhdresync apply DELTA REPLICA`.
enum ApplyVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let application = DeltaApply(
            delta: invocation.paths[0], replica: invocation.paths[1], options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: application.delta, replica: application.replica,
                blockSize: application.options.blockSize),
            invocation: invocation, isWriting: true,
            summary: { Summary.apply($0, $1) },
            work: { (monitor) throws(ResyncError) in try application.run(monitor: monitor) })
        return run.run()
    }
}
