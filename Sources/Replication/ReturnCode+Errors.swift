internal import Glibc
public import Resync
public import Storage
public import Transport
public import VHDX

// No switch over an error has a default: a new error does not compile until someone has chosen its
// code. Only the system's error numbers, of which there is no closed list, have one.

extension ReturnCode {
    /// The code of a run that ended with this error.
    public init(_ error: ResyncError) {
        switch error {
        case .disk(_, let error):
            self.init(error)
        case .file(let error):
            self.init(error)
        case .notADigestMap, .notADelta:
            self = .incorrectDataType
        case .unsupportedDigestMap, .unsupportedDelta, .cannotClone:
            self = .notSupported
        case .invalidOption, .sameFile, .parentOfPrimary:
            self = .invalidParameter
        case .differentSizes, .primaryChanged, .incompleteDelta, .deltaWithoutProof, .deltaChanged,
            .otherBase, .foreignJournal,
            .missingJournal, .notAsPrepared:
            self = .invalidState
        case .damagedDigestMap, .damagedDelta, .proofFailed, .contentDiffersAfterWriting,
            .outdatedJournal, .noSpace:
            self = .failed
        case .outOfMemory:
            self = .outOfMemory
        case .stopped(.cancelled):
            self = .failed
        case .stopped(.timeout):
            self = .timeout
        case .connection(let error):
            self.init(error)
        case .peer(_, let failure):
            // A number that is none of ours says no more than that it failed.
            let code = ReturnCode(rawValue: failure.code)
            self = code.flatMap { $0 == .completed || $0 == .jobStarted ? nil : $0 } ?? .failed
        case .unknownOutcome:
            self = .statusUnknown
        case .protocolViolation:
            self = .failed
        case .unsupportedProtocol:
            self = .notSupported
        case .peerNotAllowed, .accessDenied:
            self = .accessDenied
        case .busy:
            self = .systemInUse
        }
    }

    /// The code of a connection that could not be made, or that broke, for this reason.
    public init(_ error: TransportError) {
        switch error {
        case .unknownHost, .unreachable, .ended, .closed, .programFailed, .programMissing:
            self = .systemNotAvailable
        case .system, .tls, .invalidFrame:
            self = .failed
        case .timedOut:
            self = .timeout
        case .refused:
            self = .accessDenied
        case .credentials(_, _):
            self = .accessDenied
        case .invalidAddress:
            self = .invalidParameter
        case .occupied:
            self = .systemInUse
        case .inTheWay:
            self = .invalidState
        case .outOfMemory:
            self = .outOfMemory
        }
    }

    /// The code of an image that cannot be used for this reason.
    public init(_ error: VHDXError) {
        switch error {
        case .file(let error):
            self.init(error)
        case .notVHDX:
            self = .incorrectDataType
        case .unsupported:
            self = .notSupported
        case .truncated, .wrongSignature, .wrongChecksum, .invalidField, .noValidCopy, .ambiguous,
            .missing, .overlap, .noValidLogEntry, .sequenceNumberExhausted, .parentLoop,
            .parentSectorSize:
            self = .failed
        case .parentNotFound:
            self = .fileNotFound
        case .parentMismatch, .unfinishedApply:
            self = .invalidState
        case .parentOutsideFolders:
            self = .accessDenied
        case .hasChild:
            self = .systemInUse
        case .limitExceeded, .outOfMemory:
            self = .outOfMemory
        case .invalidGeometry:
            self = .invalidParameter
        }
    }

    /// The code of an inventory that cannot be used for this reason.
    public init(_ error: InventoryError) {
        switch error {
        case .file(let error):
            self.init(error)
        case .invalid:
            self = .invalidParameter
        }
    }

    /// The code of a store that cannot be used, or not be changed so, for this reason.
    public init(_ error: StoreError) {
        switch error {
        case .file(let error):
            self.init(error)
        case .inUse, .resynchronizing:
            self = .systemInUse
        case .damaged:
            self = .failed
        case .foreign:
            self = .incorrectDataType
        case .laterVersion:
            self = .notSupported
        case .database(_, let error):
            self.init(error)
        case .unknownRelationship, .closed:
            self = .systemNotAvailable
        case .unknownJob:
            self = .invalidParameter
        case .unfinishedJob:
            self = .invalidState
        }
    }

    /// The code of a database that SQLite cannot use for this reason.
    public init(_ error: SQLiteError) {
        switch error {
        case .busy:
            self = .systemInUse
        case .readOnly, .accessDenied:
            self = .accessDenied
        case .cannotOpen(let answer), .io(let answer):
            // A file that is missing is one that SQLite makes itself.
            let code = ReturnCode(errno: answer.systemError)
            self = code == .fileNotFound ? .failed : code
        case .outOfMemory:
            self = .outOfMemory
        case .damaged, .full, .constraint, .other, .unexpectedValue:
            self = .failed
        }
    }

    /// The code of a file that cannot be used for this reason.
    public init(_ error: FileError) {
        switch error {
        case .system(_, _, _, let errno):
            self.init(errno: errno)
        case .unexpectedEnd:
            self = .failed
        case .locked:
            self = .systemInUse
        case .notARegularFile:
            self = .incorrectDataType
        case .alreadyExists:
            self = .invalidState
        }
    }

    private init(errno: Int32) {
        switch errno {
        case EACCES, EPERM, EROFS: self = .accessDenied
        case ENOENT, ENOTDIR: self = .fileNotFound
        case ENOMEM: self = .outOfMemory
        default: self = .failed
        }
    }
}
