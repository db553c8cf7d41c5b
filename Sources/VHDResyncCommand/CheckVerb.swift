internal import Replication
internal import Resync
internal import VHDX

/// `vhdresync check DISK`.
enum CheckVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let job = ConcreteJob()
        job.start()
        do throws(VHDXError) {
            let checks = try Self.checks(invocation)
            let code = ReturnCode(checks)
            job.complete()
            return invocation.wantsJSON
                ? Output.json(CheckObject(checks, code), code)
                : Output.text(CheckText.text(checks), code)
        } catch {
            let code = ReturnCode(error)
            job.fail(code, "\(error)")
            return Output.failure(
                code, job, "\(error)", disks: [], wantsJSON: invocation.wantsJSON)
        }
    }

    private static func checks(_ invocation: Invocation) throws(VHDXError) -> [ImageCheck] {
        let path = invocation.paths[0]
        guard invocation.includesParents else { return [try ImageCheck(ofImageAt: path)] }
        return try ImageCheck.chain(ofImageAt: path, parents: invocation.options.parents)
    }
}
