internal import CSystem
internal import Glibc

extension DiskFile {
    /// Removes a name.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    public static func remove(_ path: String) throws(FileError) -> Bool {
        // Safe: the path is a string that ends with a zero.
        if unsafe unlink(path) == 0 { return true }
        guard errno == ENOENT else { throw .system(.remove, path: path, at: nil, errno: errno) }
        return false
    }

    /// Gives a file another name, in place of the file that bears it. At every moment, and after a
    /// crash, the name leads to the one or to the other; after this call, to the new one for good.
    ///
    /// The new file's content must be durable before (``flushCompletely()``).
    public static func rename(_ from: String, over path: String) throws(FileError) {
        // Safe: both paths are strings that end with a zero.
        guard unsafe Glibc.rename(from, path) == 0 else {
            throw .system(.rename, path: path, at: nil, errno: errno)
        }
        let folder = PathText.folder(of: path)
        try Folder.flush(folder)
        let oldFolder = PathText.folder(of: from)
        if oldFolder != folder { try Folder.flush(oldFolder) }
    }

    /// Makes a new file that shares all content with this one until either is written to, with this
    /// one's owner, permissions, access list and extended attributes, as far as this process may
    /// set them. Not durable before ``flushCompletely()``.
    ///
    /// - Returns: nil where the file system cannot share content; there is no new file then.
    /// - Throws: ``FileError/alreadyExists(path:)``; after any other error there is no new file.
    public func clone(to path: String) throws(FileError) -> DiskFile? {
        var copy = try DiskFile(creating: path)
        let status = csystem_clone(descriptor.rawValue, copy.descriptor.rawValue)
        do throws(FileError) {
            switch status {
            case 0: break
            case EOPNOTSUPP, EXDEV, EINVAL, ENOTTY, ENOSYS:
                try Self.remove(path)
                return nil
            default: throw .system(.clone, path: path, at: nil, errno: status)
            }
            try copyAttributes(to: copy)
            copy.openingStamp = try copy.stamp()
        } catch {
            _ = try? Self.remove(path)
            throw error
        }
        return copy
    }

    private func copyAttributes(to copy: borrowing DiskFile) throws(FileError) {
        let status = try status()
        let new = copy.descriptor.rawValue
        var mode = status.st_mode & 0o7777
        if fchown(new, status.st_uid, status.st_gid) != 0 {
            // Another owner takes a privilege, another group may not. Who has the file now must not
            // get what it let others do in the name of its owner.
            _ = fchown(new, uid_t.max, status.st_gid)
            mode &= 0o1777
        }
        // The access list comes before the permissions, which would let a group in that it keeps out.
        let failed = csystem_copy_extended_attributes(descriptor.rawValue, new)
        guard failed == 0 else { throw .system(.clone, path: copy.name, at: nil, errno: failed) }
        guard fchmod(new, mode) == 0 else { throw copy.failure(.clone, nil) }
    }
}
