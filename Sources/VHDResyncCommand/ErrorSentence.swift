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
        [cause, remedy, consequence].filter { !$0.isEmpty }.joined(separator: "; ")
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

    // MARK: What it means for the replica

    private var consequence: String {
        guard let state else { return remoteConsequence }
        switch state.condition {
        case .untouched:
            // Of a run that did not come to the disks there is nothing to say.
            guard disk.counts.bytesCompared > 0 || isStop || state != ReplicaState() else {
                return ""
            }
            return untouched(state) + journal(state)
        case .foundHalfWritten:
            // How it is to be finished is then what the error is about.
            if case .missingJournal = error { return "" }
            return "the replica is half-written, as an earlier run left it, and refuses to open "
                + "until a run has finished it" + journal(state)
        case .halfWritten: return halfWritten(state)
        case .written: return written
        }
    }

    private var isStop: Bool {
        if case .stopped = error { return true }
        return false
    }

    private func untouched(_ state: ReplicaState) -> String {
        switch state.preparation {
        case .made: "the new replica is whole, and holds nothing of the primary yet"
        case .grown: "the replica has its new size, and its old content"
        case .none where state.finishedEarlierRun:
            "the replica is as the run before this one was to leave it"
        case .none: "the replica is as it was"
        }
    }

    /// What the journal is good for.
    private func journal(_ state: ReplicaState) -> String {
        switch state.journal {
        case .none: ""
        case .unfinished(let path, isContinuable: true):
            ", and what was recorded is kept in \(path): the same command goes on from there"
        case .unfinished(let path, isContinuable: false):
            ", and what was recorded is in \(path), which the same command makes anew"
        case .committed(let path):
            ", and \(path) holds all that it is to become: \(recovery) finishes it"
        }
    }

    private func halfWritten(_ state: ReplicaState) -> String {
        if state.isWrittenInPlace || options.writeMethod == .inPlace, case .none = state.journal {
            let when =
                error.isPrimaryChanged
                ? "run the same command again while nothing uses the primary"
                : "run the same command again"
            return state.isMarkable
                ? "\(writtenBlocks), and the replica refuses to open until a run has finished it: "
                    + when
                : "\(writtenBlocks), and the replica is half-written, which nothing on it tells: "
                    + when
        }
        return state.isMarkable
            ? "the replica is half-written, and refuses to open until \(recovery) has finished it"
            : "the replica is half-written, which only its journal \(state.journalPath ?? "") "
                + "tells: \(recovery) finishes it"
    }

    /// Who finishes it: "'vhdresync recover r.vhdx', or the next run,".
    private var recovery: String {
        var words = ["vhdresync recover"]
        if options.replicaFormat == .raw { words.append("--replica-format raw") }
        if let folder = options.journalFolder { words.append("--journal-dir \(folder)") }
        words.append(disk.replica ?? "REPLICA")
        return "'\(words.joined(separator: " "))', or the next run,"
    }

    private var written: String {
        switch error {
        case .proofFailed, .contentDiffersAfterWriting:
            "the replica must not be relied on until a run succeeds"
        case .stopped:
            "the replica was written and proven before that; only '--verify' did not come to its end"
        default: "the replica was written and proven before that"
        }
    }

    /// After an error in the midst of writing, what was written last may not have become part of
    /// the image.
    private var writtenBlocks: String {
        let count = disk.counts.bytesWritten.dividedRoundingUp(by: UInt64(disk.blockSize))
        let blocks = "\(ByteText.blocks(count)) \(count == 1 ? "was" : "were") written"
        switch error {
        case .stopped, .primaryChanged, .proofFailed, .contentDiffersAfterWriting: return blocks
        default: return "up to \(blocks)"
        }
    }
}

extension ResyncError {
    fileprivate var isPrimaryChanged: Bool {
        if case .primaryChanged = self { true } else { false }
    }
}
