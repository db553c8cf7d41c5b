internal import Replication
internal import Resync
internal import VHDX

/// `vhdresync info FILE`: an image, or one of the files that this program makes.
enum InfoVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        let path = invocation.paths[0]
        return LookingJob.run(invocation) { () throws(ResyncError) in
            switch FileKind(ofFileAt: path) {
            case .digestMap:
                let map = try DigestMapDescription(ofMapAt: path)
                return invocation.wantsJSON
                    ? Output.json(DigestMapObject(map), .completed)
                    : Output.text(DeltaText.text(map), .completed)
            case .delta:
                let delta = try DeltaDescription(ofDeltaAt: path)
                return invocation.wantsJSON
                    ? Output.json(DeltaObject(delta), .completed)
                    : Output.text(DeltaText.text(delta), .completed)
            case .other:
                let image = try LookingJob.onImage { () throws(VHDXError) -> ImageDescription in
                    try ImageDescription(ofImageAt: path, parents: invocation.options.parents)
                }
                return invocation.wantsJSON
                    ? Output.json(InfoObject(image), .completed)
                    : Output.text(InfoText.text(image), .completed)
            }
        }
    }
}
