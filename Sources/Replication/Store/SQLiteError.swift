internal import CSQLite
internal import Glibc
internal import Storage

/// Why SQLite did not do what it was asked to.
public enum SQLiteError: Error, Equatable {
    /// What SQLite says of it.
    public struct Answer: Equatable, Sendable {
        /// Its extended result code.
        public var code: Int32
        public var text: String
        /// The error number of the system call behind it; 0 where there was none.
        public var systemError: Int32

        public init(code: Int32, text: String, systemError: Int32 = 0) {
            self.code = code
            self.text = text
            self.systemError = systemError
        }
    }

    /// Another program holds the database.
    case busy(Answer)
    /// The file is no database, or a broken one.
    case damaged(Answer)
    /// The file system is full.
    case full(Answer)
    case readOnly(Answer)
    case accessDenied(Answer)
    case cannotOpen(Answer)
    case io(Answer)
    case outOfMemory
    /// What was to be written breaks a rule of the tables.
    case constraint(Answer)
    /// Anything else: mostly a mistake in this program.
    case other(Answer)
    /// A value is not what its column should hold, or does not fit into it.
    case unexpectedValue(column: String, value: String)
}

extension SQLiteError {
    /// The error for an answer. Of SQLite's codes there is no closed list, so this switch has a
    /// default.
    init(_ answer: Answer) {
        let isOutOfSpace = answer.systemError == ENOSPC || answer.systemError == EDQUOT
        // The low byte tells the kind, the rest where it happened.
        switch answer.code & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED: self = .busy(answer)
        case SQLITE_CORRUPT, SQLITE_NOTADB: self = .damaged(answer)
        case SQLITE_FULL: self = .full(answer)
        case SQLITE_READONLY: self = .readOnly(answer)
        case SQLITE_PERM, SQLITE_AUTH: self = .accessDenied(answer)
        case SQLITE_CANTOPEN where !isOutOfSpace: self = .cannotOpen(answer)
        case SQLITE_IOERR where !isOutOfSpace: self = .io(answer)
        case SQLITE_CANTOPEN, SQLITE_IOERR: self = .full(answer)
        case SQLITE_NOMEM: self = .outOfMemory
        case SQLITE_CONSTRAINT: self = .constraint(answer)
        default: self = .other(answer)
        }
    }
}

extension SQLiteError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop.
    public var description: String {
        switch self {
        case .busy(let answer), .damaged(let answer), .full(let answer), .readOnly(let answer),
            .accessDenied(let answer), .cannotOpen(let answer), .io(let answer),
            .constraint(let answer), .other(let answer):
            let system = answer.systemError
            let cause = system == 0 ? "" : ": " + String(describingErrno: system)
            return "\(answer.text) (SQLite \(answer.code))\(cause)"
        case .outOfMemory:
            return "out of memory"
        case .unexpectedValue(let column, let value):
            return "\(value) in \(column)"
        }
    }
}
