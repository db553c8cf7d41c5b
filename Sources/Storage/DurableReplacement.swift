internal import CSystem
internal import Glibc

/// A new file that appears under its name complete and durable, or not at all.
///
/// It is written under a temporary name in the same directory, which is gone when this value is,
/// however its life ends. A crash before ``commit`` leaves at most that temporary file; its name
/// starts with the final one and ends with `.tmp`.
public struct DurableReplacement: ~Copyable, Sendable {
    /// What an existing file of the final name means.
    public enum Existing: Sendable {
        case replace
        case refuse
    }

    /// The file to write to.
    public let file: DiskFile
    private let path: String
    private let temporaryName: TemporaryName

    /// Opens the temporary file.
    public init(of path: String, cacheUse: CacheUse = .keep) throws(FileError) {
        let suffix = String(UInt32.random(in: .min ... .max), radix: 36)
        let temporaryPath = "\(path).\(suffix).tmp"
        self.path = path
        var file = try DiskFile(creating: temporaryPath, as: path)
        file.cacheUse = cacheUse
        self.file = file
        temporaryName = TemporaryName(path: temporaryPath)
    }

    /// Makes the content durable, gives it its name, and makes the name durable.
    ///
    /// - Throws: ``FileError/alreadyExists(path:)``; after any error the temporary file is gone.
    public consuming func commit(_ existing: Existing) throws(FileError) {
        try file.adoptDefaultPermissions()
        try file.flushCompletely()
        try rename(existing)
        try Folder.flush(PathText.folder(of: path))
    }

    /// Removes the temporary file.
    public consuming func discard() {}

    // Safe, here and in every call that takes a path: it is a string that ends with a zero.
    private borrowing func rename(_ existing: Existing) throws(FileError) {
        let temporaryPath = temporaryName.path
        let status: Int32
        switch existing {
        case .replace:
            status = unsafe Glibc.rename(temporaryPath, path) == 0 ? 0 : errno
        case .refuse:
            status = renameExclusively(temporaryPath)
        }
        switch status {
        case 0: return
        case EEXIST: throw .alreadyExists(path: path)
        default: throw .system(.rename, path: path, at: nil, errno: status)
        }
    }

    /// Renames where nothing has the name. NFS and some FUSE file systems cannot, and answer
    /// `EINVAL`; there the file gets a second name, and the temporary one goes with its owner.
    private borrowing func renameExclusively(_ temporaryPath: String) -> Int32 {
        let status = unsafe csystem_rename_exclusively(temporaryPath, path)
        guard status == EINVAL || status == ENOSYS else { return status }
        return unsafe link(temporaryPath, path) == 0 ? 0 : errno
    }
}

/// A name that is removed when its owner ends. It is random, so that nobody else can have taken it
/// after a rename.
struct TemporaryName: ~Copyable, Sendable {
    let path: String

    deinit {
        // Safe: the path is a string that ends with a zero.
        unsafe unlink(path)
    }
}
