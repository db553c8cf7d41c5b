internal import Glibc
public import Storage
public import Transport
public import VHDX

/// Which of the two disks.
public enum Role: String, Sendable {
    case primary
    case replica
}

/// Why a resynchronization, or another verb on a disk, did not complete.
public enum ResyncError: Error, Equatable {
    case disk(Role, VHDXError)
    /// A file that is no disk: a map or a delta that is written or read.
    case file(FileError)
    /// The file is not a digest map.
    case notADigestMap(path: String)
    case damagedDigestMap(path: String, what: String, at: UInt64)
    /// The digest map has a format version that this package does not know.
    case unsupportedDigestMap(path: String, version: UInt64)
    /// The file is not a delta stream.
    case notADelta(path: String)
    case damagedDelta(path: String, what: String, at: UInt64)
    /// The delta has a format version that this package does not know.
    case unsupportedDelta(path: String, version: UInt64)
    /// The delta has no trailer, and what was asked for needs a whole one.
    case incompleteDelta(path: String)
    /// Another delta got the name while the replica was read.
    case deltaChanged(path: String)
    /// The delta has no root digests, so that nothing could prove what it is applied to.
    case deltaWithoutProof(path: String)
    /// The delta applies to another disk, or to another state of this one.
    case otherBase(delta: String, replica: String, expected: BlockDigest, found: BlockDigest)
    /// What stands at the journal's place cannot be the replica's journal.
    case foreignJournal(path: String, what: String)
    /// The replica is half-written, and the journal that would finish it is not there.
    case missingJournal(path: String, mark: ApplyMark)
    /// A replica that was prepared cannot be finished as was decided, and was not changed. The reason is
    /// a clause.
    case notAsPrepared(path: String, what: String)
    /// What the journal holds is not what the disks say: found before anything depends on it.
    case outdatedJournal(path: String)
    /// The replica's file system has less room than the replica needs to grow. Nothing was written.
    case noSpace(path: String, needed: UInt64, free: UInt64)
    /// The file system cannot make a copy that shares what does not change.
    case cannotClone(path: String)
    /// A value of the options that is not allowed.
    case invalidOption(String)
    /// Both paths lead to one file.
    case sameFile(primary: String, replica: String)
    /// The primary is a differencing image, and the replica one of those that it builds on.
    case parentOfPrimary(primary: String, replica: String)
    case differentSizes(primary: UInt64, replica: UInt64)
    /// The primary's file was written to between the first byte read and the last.
    case primaryChanged(path: String)
    /// What was written does not read back as the primary.
    case proofFailed(primary: BlockDigest, replica: BlockDigest)
    /// As above, in a comparison of bytes; the first virtual byte of the block that differs.
    case contentDiffersAfterWriting(at: UInt64)
    case outOfMemory(OutOfMemory)
    case stopped(StopReason)
    /// The connection with the other side could not be made, or broke.
    case connection(TransportError)
    /// The other side could not go on.
    case peer(name: String, failure: PeerFailure)
    /// The connection broke after the other side was asked to commit and before it answered, and it
    /// cannot be asked any more.
    case unknownOutcome(peer: String)
    /// The other side broke the rules of the protocol.
    case protocolViolation(String)
    /// The other side knows other versions of the protocol.
    case unsupportedProtocol(oldest: UInt16, newest: UInt16)
    /// A client is not one of those whom a service serves.
    case peerNotAllowed(String)
    /// A service does not let a client have this disk. The path is the client's.
    case accessDenied(path: String, reason: String)
    /// A service can take no run now. The reason is a clause.
    case busy(String)
}

extension ResyncError {
    /// Whether the other side said so, which it need not be told.
    var isOfPeer: Bool {
        if case .peer = self { true } else { false }
    }

    /// Whether a file system is full, or a quota is used up.
    public var isOutOfSpace: Bool {
        let fileError: FileError
        switch self {
        case .noSpace: return true
        case .disk(_, .file(let error)), .file(let error): fileError = error
        default: return false
        }
        guard case .system(_, _, _, let errno) = fileError else { return false }
        return errno == ENOSPC || errno == EDQUOT
    }
}

extension ResyncError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop.
    public var description: String {
        switch self {
        case .disk(_, let error):
            return "\(error)"
        case .file(let error):
            return "\(error)"
        case .notADigestMap(let path):
            return "\(path) is not a digest map"
        case .damagedDigestMap(let path, let what, let offset):
            return "\(path) is damaged: \(what) at byte \(offset)"
        case .unsupportedDigestMap(let path, let version):
            return "\(path) is not supported: digest map of version \(version)"
        case .notADelta(let path):
            return "\(path) is not a delta"
        case .damagedDelta(let path, let what, let offset):
            return "\(path) is damaged: \(what) at byte \(offset)"
        case .unsupportedDelta(let path, let version):
            return "\(path) is not supported: delta of version \(version)"
        case .incompleteDelta(let path):
            return "\(path) is incomplete: a delta without a trailer"
        case .deltaChanged(let path):
            return "\(path) was changed while the replica was being read"
        case .deltaWithoutProof(let path):
            return "\(path) has no root digests: it cannot be told what it applies to"
        case .otherBase(let delta, let replica, let expected, let found):
            return "\(delta) does not apply to \(replica): it builds on a disk with root digest "
                + "\(expected), and this one has \(found)"
        case .foreignJournal(let path, let what):
            return "\(path) is not the journal of this replica: \(what)"
        case .missingJournal(let path, let mark):
            let journal = mark.journalPath
            return journal.isEmpty
                ? "\(path) is half-written, and no journal can finish it: a resynchronization in "
                    + "place was interrupted"
                : "\(path) is half-written, and its journal \(journal) is not there"
        case .notAsPrepared(let path, let what):
            return "\(path) is not as it was prepared: \(what)"
        case .outdatedJournal(let path):
            return "\(path) does not hold what the disks differ in"
        case .noSpace(let path, let needed, let free):
            return "no space for \(path): it has to grow by \(needed) bytes, and \(free) are free"
        case .cannotClone(let path):
            return "cannot clone \(path): its file system cannot share content between files"
        case .invalidOption(let what):
            return what
        case .sameFile(let primary, let replica):
            return "\(primary) and \(replica) are one file"
        case .parentOfPrimary(let primary, let replica):
            return "\(primary) builds on \(replica)"
        case .differentSizes(let primary, let replica):
            return "the virtual sizes differ: primary \(primary) bytes, replica \(replica) bytes"
        case .primaryChanged(let path):
            return "\(path) was changed while it was being read"
        case .proofFailed(let primary, let replica):
            return "the replica does not read as the primary: root digest \(replica), "
                + "expected \(primary)"
        case .contentDiffersAfterWriting(let offset):
            return "the replica does not read as the primary at virtual byte \(offset)"
        case .outOfMemory(let error):
            return "no memory for a buffer of \(error.byteCount) bytes"
        case .stopped(.cancelled):
            return "stopped on request"
        case .stopped(.timeout):
            return "stopped: the time limit was reached"
        case .connection(let error):
            return "\(error)"
        case .peer(let name, let failure):
            return "\(name): \(failure.text.printable)"
        case .unknownOutcome(let peer):
            return "the connection with \(peer) broke while it was finishing the replica"
        case .protocolViolation(let what):
            return "the other side does not keep to the protocol: \(what)"
        case .unsupportedProtocol(let oldest, let newest):
            return
                "the other side speaks versions \(oldest) to \(newest) of the protocol, and this "
                + "one speaks version \(Hello.newest)"
        case .peerNotAllowed(let name):
            return "\(name.printable) is not among those whom this side serves"
        case .accessDenied(let path, let reason):
            return "no access to \(path.printable): \(reason)"
        case .busy(let reason):
            return reason
        }
    }
}
