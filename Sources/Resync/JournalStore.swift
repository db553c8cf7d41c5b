internal import Storage

/// The one place where the journal of a replica stands. Tests put another in place of the file system.
protocol JournalStore: Sendable {
    associatedtype File: RandomAccessFile & ~Copyable

    /// What to call it in a message, and where a mark says that it is.
    var path: String { get }

    /// A new, empty journal in place of what is there; nobody else can write to it while it is open.
    func create() throws(FileError) -> File

    /// What is there, for writing, locked as a new one is; nil where there is none.
    func open() throws(FileError) -> File?

    /// What is there, once more, to be read beside what is written.
    func openForReading() throws(FileError) -> File

    /// Makes sure that the name is there after a crash.
    func flushName() throws(FileError)

    /// Removes the journal durably. There may be none.
    func remove() throws(FileError)
}

/// A journal on a file system.
struct JournalPath: JournalStore {
    let path: String

    /// The journal of a replica: beside it, or under its name in another folder.
    init(ofReplicaAt replica: String, folder: String?) throws(FileError) {
        let realPath = try Folder.realPath(of: replica)
        if let folder {
            path = try Folder.realPath(of: folder) + "/" + PathText.name(of: realPath) + Self.suffix
        } else {
            path = realPath + Self.suffix
        }
    }

    /// A journal at the place that a mark names.
    init(at path: String) {
        self.path = path
    }

    private static let suffix = ".resync"

    func create() throws(FileError) -> DiskFile {
        let file = try DiskFile(creatingOrOpening: path)
        try file.lock(for: .writing)
        try file.setByteCount(0)
        return file
    }

    func open() throws(FileError) -> DiskFile? {
        guard DiskFile.fingerprint(ofFileAt: path) != nil else { return nil }
        let file = try DiskFile(opening: path, for: .writing)
        try file.lock(for: .writing)
        return file
    }

    func openForReading() throws(FileError) -> DiskFile {
        try DiskFile(opening: path, for: .reading)
    }

    func flushName() throws(FileError) {
        try Folder.flush(PathText.folder(of: path))
    }

    func remove() throws(FileError) {
        if try DiskFile.remove(path) { try flushName() }
    }
}

/// Runs calls on the file of a journal, with their errors as this module's.
func onJournal<Result: ~Copyable>(
    _ body: () throws(FileError) -> Result
) throws(ResyncError) -> Result {
    do throws(FileError) {
        return try body()
    } catch {
        throw .file(error)
    }
}
