internal import Replication
internal import Resync
internal import VHDX

/// `vhdresync check DISK`.
enum CheckVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        LookingJob.run(invocation) { () throws(ResyncError) in
            let checks = try LookingJob.onImage { () throws(VHDXError) -> [ImageCheck] in
                try Self.checks(invocation)
            }
            let code = ReturnCode(checks)
            return invocation.wantsJSON
                ? Output.json(CheckObject(checks, code), code)
                : Output.text(CheckText.text(checks), code)
        }
    }

    private static func checks(_ invocation: Invocation) throws(VHDXError) -> [ImageCheck] {
        let path = invocation.paths[0]
        guard invocation.includesParents else { return [try ImageCheck(ofImageAt: path)] }
        return try ImageCheck.chain(ofImageAt: path, parents: invocation.options.parents)
    }
}
