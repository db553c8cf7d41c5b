internal import Replication
internal import Resync

/// `vhdresync map DISK -o MAP`.
enum MapVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let mapping = DiskMapping(
            disk: invocation.paths[0], output: invocation.output, options: invocation.options)
        let run = JobRun(
            disk: DiskReport(
                primary: mapping.disk, replica: nil, blockSize: mapping.options.blockSize),
            invocation: invocation,
            summary: { Summary.map($0, $1) },
            work: { (monitor) throws(ResyncError) in try mapping.run(monitor: monitor) })
        return run.run()
    }
}
