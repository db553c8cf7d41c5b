internal import Replication
internal import Resync

/// `vhdresync map DISK -o MAP`.
enum MapVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let mapping = DiskMapping(
            disk: invocation.paths[0], output: invocation.output, options: invocation.options)
        return JobRun(
            invocation: invocation, disks: [DiskRun(mapping)], summary: Summary.map
        ).run()
    }
}
