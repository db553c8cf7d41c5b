internal import Replication
internal import Resync
internal import VHDX

/// `vhdresync info DISK`.
enum InfoVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let job = ConcreteJob()
        job.start()
        do throws(VHDXError) {
            let description = try ImageDescription(
                ofImageAt: invocation.paths[0], parents: invocation.options.parents)
            job.complete()
            return invocation.wantsJSON
                ? Output.json(InfoObject(description), .completed)
                : Output.text(InfoText.text(description), .completed)
        } catch {
            let code = ReturnCode(error)
            job.fail(code, "\(error)")
            return Output.failure(
                code, job, "\(error)", disks: [], wantsJSON: invocation.wantsJSON)
        }
    }
}
