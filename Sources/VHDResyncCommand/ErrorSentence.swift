internal import Resync
internal import Storage
internal import VHDX

extension ResyncError {
    /// What happened, what it means for the replica, and what to do: one clause after another,
    /// without a capital or a full stop. The report is that of a run which could write.
    func sentence(
        _ report: DiskReport?, _ preparation: ReplicaPreparation = .none
    ) -> String {
        guard let report else {
            return "\(self)" + (isOutOfSpace ? "; free space there" : wayOut(ofWriter: false))
        }
        guard report.counts.bytesWritten > 0 else {
            let state = preparation.consequence
            if isOutOfSpace {
                return "\(self)\(state); free space there and run the same command again"
            }
            if case .stopped = self, state.isEmpty { return "\(self); nothing was written" }
            return "\(self)\(state)\(wayOut(ofWriter: true))"
        }
        return "\(self); \(written(report)), and \(consequence)"
    }

    /// What the user may do about an error that one option mends.
    private func wayOut(ofWriter isWriter: Bool) -> String {
        switch self {
        case .disk(_, .parentNotFound), .disk(_, .parentOutsideFolders):
            "; '--parent-path' names folders where it may be"
        case .disk(.replica, .hasChild): "; '--force' writes to it all the same"
        case .disk(_, .unfinishedApply(_, let mark)) where mark.streamID == .zero:
            "; run the resynchronization again"
        case .disk(_, .unfinishedApply(let path, _)):
            "; 'vhdresync recover \(path)' finishes it"
        case .differentSizes(let primary, let replica) where isWriter && replica < primary:
            "; '--grow' makes the replica as large"
        default: ""
        }
    }

    /// What it means that something was written before the error.
    private var consequence: String {
        let partial = "the replica is a valid image that holds part of the primary"
        switch self {
        case .stopped:
            return "\(partial): run the same command again to finish"
        case .proofFailed, .contentDiffersAfterWriting:
            return "the replica must not be relied on until a run succeeds: check its device, "
                + "then run the same command again"
        case .primaryChanged:
            return "the replica is a valid image that holds the primary of more than one moment: "
                + "run the same command again while nothing uses the primary"
        case _ where isOutOfSpace:
            return "\(partial): free space there and run the same command again to finish"
        default:
            return "\(partial): see to the cause, then run the same command again to finish"
        }
    }

    /// After an error in the midst of writing, what was written last may not have become part of
    /// the image.
    private func written(_ report: DiskReport) -> String {
        let count = report.counts.bytesWritten.dividedRoundingUp(by: UInt64(report.blockSize))
        let blocks = "\(ByteText.blocks(count)) \(count == 1 ? "was" : "were") written"
        switch self {
        case .stopped, .proofFailed, .contentDiffersAfterWriting, .primaryChanged: return blocks
        default: return "up to \(blocks)"
        }
    }
}

extension ReplicaPreparation {
    /// What an error means for a replica of which no block was written yet.
    fileprivate var consequence: String {
        switch self {
        case .none: ""
        case .made: "; the new replica is a valid image that holds nothing of the primary yet"
        case .grown: "; the replica has its new size, and its old content"
        }
    }
}
