internal import Replication
internal import Resync
internal import VHDX

/// `vhdresync info DISK`.
enum InfoVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        LookingJob.run(invocation) { () throws(VHDXError) in
            let description = try ImageDescription(
                ofImageAt: invocation.paths[0], parents: invocation.options.parents)
            return invocation.wantsJSON
                ? Output.json(InfoObject(description), .completed)
                : Output.text(InfoText.text(description), .completed)
        }
    }
}
