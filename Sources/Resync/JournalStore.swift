internal import Storage

/// The one place where the journal of a replica stands. Tests put another in place of the file system.
struct JournalStore<File: RandomAccessFile & ~Copyable>: Sendable {
    /// What to call it in a message, and where a mark says that it is.
    var path: String

    /// The file for a new journal, made where there is none; nobody else can write to it while it is
    /// open. What it holds goes when the journal is begun, which sees that it does so durably.
    var create: @Sendable () throws(FileError) -> File

    /// What is there, for writing, locked as a new one is; nil where there is none.
    var open: @Sendable () throws(FileError) -> File?

    /// What is there, once more, to be read beside what is written.
    var openForReading: @Sendable () throws(FileError) -> File

    /// Makes sure that the name is there after a crash.
    var flushName: @Sendable () throws(FileError) -> Void

    /// Removes the journal durably. There may be none.
    var remove: @Sendable () throws(FileError) -> Void
}

extension JournalStore where File == DiskFile {
    /// The journal of a replica: beside it, or under its name in another folder.
    init(ofReplicaAt replica: String, _ options: ResyncOptions) throws(ResyncError) {
        let isDevice = DiskFile.isDevice(replica)
        guard let folder = options.journalFolder else {
            self.init(
                at: try onJournal { () throws(FileError) in try Folder.realPath(of: replica) }
                    + Self.suffix, options.cacheUse)
            return
        }
        let folderPath = try onJournal { () throws(FileError) in try Folder.realPath(of: folder) }
        // What a name leads to among devices may be another after the next start of the system.
        let realPath =
            isDevice
            ? replica : try onJournal { () throws(FileError) in try Folder.realPath(of: replica) }
        self.init(
            at: folderPath + "/" + PathText.name(of: realPath) + Self.suffix, options.cacheUse)
    }

    private static var suffix: String { ".resync" }

    /// A journal at a path.
    init(at path: String, _ cacheUse: CacheUse = .keep) {
        self.path = path
        create = { () throws(FileError) in
            var file = try DiskFile(creatingOrOpening: path)
            file.cacheUse = cacheUse
            try file.lock(for: .writing)
            return file
        }
        open = { () throws(FileError) in
            guard DiskFile.fingerprint(ofFileAt: path) != nil else { return nil }
            var file = try DiskFile(opening: path, for: .writing)
            file.cacheUse = cacheUse
            try file.lock(for: .writing)
            return file
        }
        openForReading = { () throws(FileError) in
            var file = try DiskFile(opening: path, for: .reading)
            file.cacheUse = cacheUse
            return file
        }
        flushName = { () throws(FileError) in try Folder.flush(PathText.folder(of: path)) }
        remove = { () throws(FileError) in
            if try DiskFile.remove(path) { try Folder.flush(PathText.folder(of: path)) }
        }
    }

    /// Whether a journal is there.
    var exists: Bool { DiskFile.fingerprint(ofFileAt: path) != nil }
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
