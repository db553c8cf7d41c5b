internal import Storage

/// What the replication service remembers, in a folder of its own: relationships, jobs, what became of
/// their disks, decisions and statistics. `docs/state.md` describes the files.
///
/// A change is there when the call that makes it returns, also after a kill or a power cut, and
/// otherwise not at all. One service at a time has the folder. Calls may come from any thread.
public final class StateStore: Sendable {
    /// What a change survives, once the call that makes it has returned.
    public enum Durability: String, Sendable {
        /// The end of the process, and a power cut.
        case full = "FULL"
        /// The end of the process. What is not worth a flush of the disk: progress.
        case process = "NORMAL"
    }

    /// Absolute, without symbolic links.
    public let folder: String
    private let files: Lock<OpenStore?>

    /// Opens the store in a folder. Where there is no such folder it is made, and where there is no
    /// store in it a new one.
    ///
    /// - Throws: ``StoreError/inUse(folder:)``; ``StoreError/damaged(path:reason:)``, where nothing
    ///   was changed.
    public convenience init(opening folder: String) throws(StoreError) {
        try self.init(opening: folder, schema: .current)
    }

    /// Opens a store as a release with other tables would.
    init(opening folder: String, schema: StoreSchema) throws(StoreError) {
        let found: StoreFiles
        do throws(FileError) {
            try Folder.makeIfMissing(folder)
            found = StoreFiles(folder: try Folder.realPath(of: folder))
        } catch {
            throw .file(error)
        }
        let lockFile = try found.takeLock()
        files = Lock(OpenStore(content: try found.open(schema), lockFile: lockFile))
        self.folder = found.folder
    }

    /// Closes the store, whoever still knows it: another service may have the folder, and every later
    /// call is refused.
    public func close() {
        files.withLock { $0 = nil }
    }

    /// Reads, from one state of the store.
    public func read<Value>(
        _ body: (borrowing StoreContent) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        try withContent { (content) throws(StoreError) in try body(content) }
    }

    /// Makes changes, all of them or, where the body or the call throws, none. Not to be called in
    /// another one, nor in ``read(_:)``.
    ///
    /// - Throws: after an I/O error of the flush itself the changes are not there now, and may be
    ///   there when the store is opened again.
    public func write<Value>(
        _ durability: Durability = .full,
        _ body: (inout StoreContent) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        try withContent { (content) throws(StoreError) in
            try content.setDurability(durability)
            try content.begin()
            do throws(StoreError) {
                let value = try body(&content)
                try content.commit()
                return value
            } catch {
                content.rollBack()
                throw error
            }
        }
    }

    private func withContent<Value>(
        _ body: (inout StoreContent) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        try files.withLock { (files) throws(StoreError) in
            guard var open = files.take() else { throw .closed(folder: folder) }
            do throws(StoreError) {
                let value = try body(&open.content)
                files = consume open
                return value
            } catch {
                files = consume open
                throw error
            }
        }
    }
}

/// What a store has open.
private struct OpenStore: ~Copyable {
    var content: StoreContent
    /// Held as long as the store is open.
    let lockFile: DiskFile
}
