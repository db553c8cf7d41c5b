internal import Replication
internal import Resync

/// `vhdresync diff PRIMARY REPLICA|MAP`.
enum DiffVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let comparison = DiskComparison(
            primary: invocation.paths[0], replica: invocation.paths[1],
            output: invocation.output.isEmpty ? nil : invocation.output,
            options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: comparison.primary, replica: comparison.replica,
                blockSize: comparison.options.blockSize),
            invocation: invocation,
            summary: { Summary.diff($0, $1) },
            work: { (monitor) throws(ResyncError) in try comparison.run(monitor: monitor) })
        return run.run()
    }
}
