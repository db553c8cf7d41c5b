internal import Replication
internal import Resync

/// `vhdresync map DISK -o MAP [--reuse[=OLD]]`.
enum MapVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        var mapping = DiskMapping(
            disk: invocation.paths[0], output: invocation.output, options: invocation.options)
        mapping.earlierMap = invocation.earlierMap.map { $0.isEmpty ? invocation.output : $0 }
        return JobRun(
            invocation: invocation, disks: [DiskRun(mapping)], summary: Summary.map
        ).run()
    }
}
