internal import Replication
internal import Resync

/// `vhdresync info FILE`: an image, or one of the files that this program makes.
enum InfoVerb {
    static func run(_ invocation: Invocation) -> ReturnCode {
        LookingJob.run(invocation) { () throws(ResyncError) in
            let description = try FileDescription(
                ofFileAt: invocation.paths[0], parents: invocation.options.parents)
            let text = invocation.wantsJSON ? description.json + "\n" : Self.text(description)
            return Output.text(text, .completed)
        }
    }

    private static func text(_ description: FileDescription) -> String {
        switch description {
        case .image(let image): InfoText.text(image)
        case .map(let map): DeltaText.text(map)
        case .delta(let delta): DeltaText.text(delta)
        }
    }
}
