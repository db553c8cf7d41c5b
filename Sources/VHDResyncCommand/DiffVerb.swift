internal import Replication
internal import Resync

/// `vhdresync diff PRIMARY REPLICA|MAP`.
enum DiffVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let comparison = DiskComparison(
            primary: invocation.paths[0], replica: invocation.paths[1],
            output: invocation.output.isEmpty ? nil : invocation.output,
            options: invocation.options)
        return JobRun(
            invocation: invocation, disks: [DiskRun(comparison)], summary: Summary.diff
        ).run()
    }
}
