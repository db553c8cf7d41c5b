internal import Storage

/// The files of a store, and how they come into being.
struct StoreFiles {
    let folder: String

    /// Holds nothing: who has a lock on it has the folder.
    var lock: String { folder + "/lock" }
    var database: String { folder + "/state.sqlite" }
    /// What SQLite has written and not yet moved to the database.
    private var log: String { database + "-wal" }
    /// A database before it is complete.
    var unfinished: String { folder + "/state.sqlite.new" }

    /// Takes the folder, until the file is closed.
    func takeLock() throws(StoreError) -> DiskFile {
        do throws(FileError) {
            return try lockedFile()
        } catch {
            if case .locked = error { throw .inUse(folder: folder) }
            throw .file(error)
        }
    }

    private func lockedFile() throws(FileError) -> DiskFile {
        let file = try DiskFile(creatingOrOpening: lock)
        try file.lock(for: .writing)
        return file
    }

    /// Opens the database, and makes it where there is none. The folder is locked.
    func open(_ schema: StoreSchema) throws(StoreError) -> StoreContent {
        guard DiskFile.fingerprint(ofFileAt: database) != nil else {
            // Without the database SQLite would throw its log away.
            guard byteCount(ofFileAt: log) == 0 else {
                throw .damaged(path: database, reason: "it is missing, and \(log) is not")
            }
            try create(schema)
            return try content(schema)
        }
        try checkHeader()
        return try content(schema)
    }

    /// Looks at the start of the file (`sqlite.org/fileformat2.html`, 1.3), of which SQLite itself
    /// would take a short one for a new database, and throw its log away.
    private func checkHeader() throws(StoreError) {
        let header: [UInt8]
        do throws(FileError) {
            // For writing, so that who may not is told why: SQLite would only read then.
            let file = try DiskFile(opening: database, for: .writing)
            // The smallest page is larger.
            header = try file.bytes(at: 0, count: Int(min(try file.byteCount(), 100)))
        } catch {
            throw .file(error)
        }
        guard header.count == 100 else {
            throw .damaged(path: database, reason: "it has no more than \(header.count) bytes")
        }
        guard header.starts(with: "SQLite format 3\0".utf8) else {
            throw .damaged(path: database, reason: "it is no database")
        }
        // It stands there in big-endian order.
        let owner = header.rawSpan.load(UInt32.self, at: 68).byteSwapped
        guard owner == StoreSchema.applicationID else { throw .foreign(path: database) }
    }

    private func byteCount(ofFileAt path: String) -> UInt64 {
        DiskFile.fingerprint(ofFileAt: path)?.byteCount ?? 0
    }

    /// Makes a database that appears under its name complete, or not at all.
    private func create(_ schema: StoreSchema) throws(StoreError) {
        do throws(FileError) {
            for suffix in ["", "-journal", "-wal", "-shm"] {
                try DiskFile.remove(unfinished + suffix)
            }
            // Nobody else may read it; its log gets the same permissions.
            _ = try DiskFile(creating: unfinished)
        } catch {
            throw .file(error)
        }
        do throws(SQLiteError) {
            let connection = try SQLiteConnection(opening: unfinished)
            try connection.fill(schema)
        } catch {
            throw StoreContent.error(error, unfinished)
        }
        do throws(FileError) {
            // Its content is durable: SQLite has flushed each transaction.
            try DiskFile.rename(unfinished, over: database)
        } catch {
            throw .file(error)
        }
    }

    /// Opens a database that is there, checks it, and brings it to this version.
    private func content(_ schema: StoreSchema) throws(StoreError) -> StoreContent {
        var refusal: StoreError?
        do throws(SQLiteError) {
            let connection = try SQLiteConnection(opening: database)
            refusal = self.refusal(of: try connection.condition(), schema)
            if refusal == nil {
                try connection.migrate(schema)
                try connection.configure()
                return StoreContent(connection: connection, path: database)
            }
        } catch {
            throw StoreContent.error(error, database)
        }
        throw refusal ?? .damaged(path: database, reason: "it cannot be read")
    }

    /// Why a database cannot be used; nil where it can.
    private func refusal(of condition: DatabaseCondition, _ schema: StoreSchema) -> StoreError? {
        guard condition.version <= schema.version else {
            return .laterVersion(
                path: database, version: condition.version, known: schema.version)
        }
        return condition.finding.map { .damaged(path: database, reason: $0) }
    }
}
