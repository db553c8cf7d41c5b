internal import Replication
internal import Resync
internal import Storage
internal import VHDX

/// An error in words: what happened, what to do about it, and what it means for the replica, in
/// clauses without a capital or a full stop.
struct ErrorSentence {
    var error: ResyncError
    /// What is known of the disk: its names, and the counts of the run.
    var disk: DiskReport
    /// What the run leaves behind; nil where it could not write to a replica.
    var state: ReplicaState?
    var verb: Verb
    var options: ResyncOptions
    /// The host of one of the disks; nil where both are here.
    var remote: RemoteSide?
    /// Whether it is told to another host, on which the options of this one are not given.
    var isServed = false

    var text: String {
        let failure = FailureText(
            error: error, disk: disk, state: state, options: options, remote: remote)
        return [failure.cause, remedy, failure.consequence].filter { !$0.isEmpty }
            .joined(separator: "; ")
    }

    // MARK: What to do about it

    /// What the user may do about an error that has its own cure.
    private var remedy: String {
        switch error {
        case .disk(_, .parentNotFound), .disk(_, .parentOutsideFolders):
            return "'--parent-path' names folders where it may be"
        case .disk(.replica, .hasChild): return "'--force' writes to it all the same"
        case .disk(_, .unfinishedApply(_, let mark)) where mark.streamID == .zero:
            return "run the resynchronization again"
        case .disk(_, .unfinishedApply(let path, _)):
            return "'vhdresync recover \(path)' finishes it"
        case .disk(let role, .notVHDX(let path)): return formatRemedy(role, path)
        case .differentSizes(let primary, let replica) where state != nil && replica < primary:
            return Option.grow.applies(to: verb) ? "'--grow' makes the replica as large" : ""
        case .otherBase(_, let replica, _, _):
            return "make a delta for it as it is: from its map, which 'vhdresync map \(replica) -o "
                + "MAP' writes, with 'vhdresync diff PRIMARY MAP -o DELTA'"
        case .foreignJournal:
            return "if nothing needs that file any more, remove it and run the same command again"
        case .missingJournal:
            return "run the resynchronization again: it compares everything and makes the replica "
                + "whole"
        case .damagedDelta(let path, _, _), .unsupportedDelta(let path, _):
            return deltaRemedy(path)
        case .incompleteDelta, .deltaWithoutProof: return "make or copy it once more"
        case .cannotClone: return "without '--apply clone' the replica is written from its journal"
        case .proofFailed, .contentDiffersAfterWriting:
            return "check the device of the replica"
        case _ where error.isOutOfSpace: return spaceRemedy
        default: return remoteRemedy
        }
    }

    private func formatRemedy(_ role: Role, _ path: String) -> String {
        let option = role == .primary ? Option.primaryFormat : .replicaFormat
        // What it builds on is an image in any case.
        let operand = role == .primary ? disk.primary : disk.replica
        guard option.applies(to: verb), path == operand else { return "" }
        return "if its bytes are those of the disk, say so with '--\(option.name) raw'"
    }

    private func deltaRemedy(_ path: String) -> String {
        guard path != disk.primary else { return "make or copy it once more" }
        return "it was to be the journal of the replica: remove it, and run the resynchronization "
            + "again, which compares everything"
    }

    private var spaceRemedy: String {
        guard let state else { return "free space there" }
        guard state.condition != .halfWritten else { return "free space there" }
        var ways = ["free space there"]
        if isJournalFull {
            ways = [journalSize + "free space there"]
        }
        if options.writeMethod != .inPlace, !isServed, verb == .resync || verb == .apply {
            if options.journalFolder == nil || isJournalFull {
                ways.append(
                    "name a folder of another file system for the journal with '--journal-dir'")
            }
            if verb == .resync, remote == nil {
                ways.append("write without a journal with '--in-place'")
            }
        }
        let last = ways.removeLast()
        return ways.isEmpty ? last : ways.joined(separator: ", ") + ", or " + last
    }

    /// Whether it was the journal that could not be written.
    private var isJournalFull: Bool {
        guard case .file(.system(_, let path, _, _)) = error else { return false }
        return path == state?.journalPath
    }

    /// How large the journal was, and what is free where it stood.
    private var journalSize: String {
        guard let path = state?.journalPath else { return "" }
        let size = "the journal had \(ByteText.size(disk.counts.bytesRecorded))"
        do throws(FileError) {
            let free = try Volume.freeByteCount(at: PathText.folder(of: path))
            return "\(size), and \(ByteText.size(free)) are free without it: "
        } catch {
            return "\(size): "
        }
    }
}
