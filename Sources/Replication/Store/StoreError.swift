public import Storage

/// Why the state of a service cannot be read or changed.
public enum StoreError: Error, Equatable {
    /// The folder, or a file in it that is no database.
    case file(FileError)
    /// Another service has the folder.
    case inUse(folder: String)
    /// The service that had it has ended.
    case closed(folder: String)
    /// The database is not what a service has written. Nothing was changed.
    case damaged(path: String, reason: String)
    /// The database is of another program.
    case foreign(path: String)
    /// The database is of a later version of this program. Nothing was changed.
    case laterVersion(path: String, version: Int, known: Int)
    case database(path: String, SQLiteError)
    case unknownRelationship(ReplicationRelationshipID)
    case unknownJob(String)
    /// The relationship has a job that resynchronizes it, and that has not ended.
    case resynchronizing(ReplicationRelationshipID, job: String)
    /// The job has not ended, or what was decided of it is not carried out.
    case unfinishedJob(String)
}

extension StoreError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop.
    public var description: String {
        switch self {
        case .file(let error):
            "\(error)"
        case .inUse(let folder):
            "another service uses the folder \(folder)"
        case .closed(let folder):
            "the service of the folder \(folder) has ended"
        case .damaged(let path, let reason):
            "\(path) is damaged: \(reason); move it away with every file whose name starts with its own, "
                + "and put a copy of all of them in their place, or start without the jobs in it"
        case .foreign(let path):
            "\(path) is the database of another program: name another folder, or move it away"
        case .laterVersion(let path, let version, let known):
            "\(path) has version \(version), of a later release: this one knows version \(known)"
        case .database(let path, .full(let answer)):
            "cannot write to \(path), its file system is full: "
                + SQLiteError.full(answer).description
        case .database(let path, let error):
            "cannot use \(path): \(error)"
        case .unknownRelationship(let id):
            "there is no relationship \(id)"
        case .unknownJob(let id):
            "there is no job \(id)"
        case .resynchronizing(let id, let job):
            "\(id) is resynchronized already, by job \(job)"
        case .unfinishedJob(let id):
            "the job \(id) is not finished"
        }
    }
}
