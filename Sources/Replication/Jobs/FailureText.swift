package import Resync
internal import Storage

/// A failed run in words: what happened, and what it means for the replica, in clauses without a
/// capital or a full stop. What may be done about the cause, each interface says in its own words.
package struct FailureText {
    package var error: ResyncError
    /// What is known of the disk: its names, and the counts of the run.
    package var disk: DiskReport
    /// What the run leaves behind; nil where it could not write to a replica here.
    package var state: ReplicaState?
    package var options: ResyncOptions
    /// The host of one of the disks; nil where both are here.
    package var remote: RemoteSide?

    package init(
        error: ResyncError, disk: DiskReport, state: ReplicaState?, options: ResyncOptions,
        remote: RemoteSide?
    ) {
        self.error = error
        self.disk = disk
        self.state = state
        self.options = options
        self.remote = remote
    }

    /// What happened. What the other side does is said with its name in front.
    package var cause: String {
        switch error {
        case .protocolViolation, .unsupportedProtocol:
            (remote.map { "\($0.host): " } ?? "") + "\(error)"
        default:
            "\(error)"
        }
    }

    /// What it means for the replica; empty where there is nothing to say.
    package var consequence: String {
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

    // MARK: On another host

    /// What an error means for a replica on another host.
    private var remoteConsequence: String {
        guard let remote, remote.role == .replica, !options.isDryRun else { return "" }
        switch error {
        case .peer(_, let failure):
            return consequence(of: failure, on: remote.host)
        case .unknownOutcome:
            return "the replica is as it was, or reads as the primary, or refuses to open until a "
                + "run has finished it"
        default:
            // Where nobody has answered, nothing was begun.
            guard disk.counts.bytesReceived > 0 else { return "" }
            return "\(remote.host) finishes what it has begun to write, and keeps what it has "
                + "received: the same command goes on from there"
        }
    }

    /// The other side's sentence says it in its own words, unless it is of another kind.
    private func consequence(of failure: PeerFailure, on host: String) -> String {
        switch failure.condition {
        case .foundHalfWritten, .halfWritten:
            failure.text.contains("half-written")
                ? "" : "the replica on \(host) is half-written until a run has finished it"
        case .written:
            failure.text.contains("replica") ? "" : "the replica on \(host) was written before that"
        case .untouched: ""
        }
    }
}

extension ResyncError {
    fileprivate var isPrimaryChanged: Bool {
        if case .primaryChanged = self { true } else { false }
    }
}
