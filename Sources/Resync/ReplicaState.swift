/// What was done to the replica as a file before its content was compared.
public enum ReplicaPreparation: Int, Sendable {
    case none
    /// It was made, empty.
    case made
    /// It was made as large as the primary.
    case grown
}

/// What a run has made of the content of the replica.
public enum ReplicaCondition: Int, Sendable {
    case untouched
    /// As it was found: half-written by an earlier run, with nothing there that would finish it.
    case foundHalfWritten
    /// It is being written, and refuses to open, if it is an image.
    case halfWritten
    /// It reads as it is to read.
    case written
}

/// What stands at the journal's place.
public enum JournalCondition: Equatable, Sendable {
    case none
    /// Some of what differs. The next run goes on with it if it is continuable, and else begins anew.
    case unfinished(path: String, isContinuable: Bool)
    /// All that the replica is to become.
    case committed(path: String)

    /// Where it stands.
    public var path: String? {
        switch self {
        case .none: nil
        case .unfinished(let path, _), .committed(let path): path
        }
    }
}

/// What a run leaves behind, if it ends here.
public struct ReplicaState: Equatable, Sendable {
    public var preparation = ReplicaPreparation.none
    public var condition = ReplicaCondition.untouched
    public var journal = JournalCondition.none
    /// Where the journal stands, or stood before it was removed.
    public var journalPath: String?
    /// Whether the replica can say of itself that it is half-written. A raw disk cannot.
    public var isMarkable = true
    /// Whether it is written without a journal: only a run with the primary can make it whole then.
    public var isWrittenInPlace = false
    /// Whether the journal of an earlier run was written to the replica first.
    public var finishedEarlierRun = false

    public init() {}
}
