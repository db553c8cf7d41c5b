internal import CSystem
internal import Glibc

/// Something beneath a folder, found by a name that somebody else gave.
public struct FoundFile: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case regularFile, folder, device, symbolicLink
        /// A socket or a pipe.
        case other
    }

    /// Absolute, without symbolic links.
    public var path: String
    public var kind: Kind
}

extension Folder {
    /// Finds what a name leads to, through symbolic links too, which must be relative and stay in
    /// the folder or in one within it. It is neither opened nor changed.
    ///
    /// The path is that of the moment: who may rename and link in the folder can make it lead
    /// elsewhere before it is opened.
    ///
    /// - Parameters:
    ///   - name: A path from the folder on.
    ///   - followsLast: Whether the last name is followed where it is a symbolic link.
    /// - Returns: what is there, and where it really is.
    /// - Throws: `FileError.system`: with EXDEV where the name leads out, ELOOP where its links lead
    ///   round or into the system's own, ENOENT where there is nothing.
    public func find(_ name: String, followsLast: Bool = true) throws(FileError) -> FoundFile {
        // A name ends at its first zero for the system: what is looked at must be all of it.
        guard !name.utf8.contains(0) else {
            throw .system(.open, path: name, at: nil, errno: EINVAL)
        }
        // Safe: the name is a string that ends with a zero.
        let rawValue = unsafe csystem_find_beneath(
            descriptor.rawValue, name, followsLast ? 1 : 0)
        guard rawValue >= 0 else {
            throw .system(.open, path: name, at: nil, errno: -rawValue)
        }
        let found = Descriptor(rawValue: rawValue)
        var status = stat()
        // Safe: fstat fills the structure.
        guard unsafe fstat(found.rawValue, &status) == 0 else {
            throw .system(.inspect, path: name, at: nil, errno: errno)
        }
        let realPath = try Self.path(of: found, name)
        var named = stat()
        // Safe: the path ends with a zero, and lstat fills the structure.
        let isThere = unsafe lstat(realPath, &named) == 0
        // The name of what was removed or moved meanwhile leads to something else, or to nothing.
        guard isThere, named.st_dev == status.st_dev, named.st_ino == status.st_ino else {
            throw .system(.open, path: name, at: nil, errno: ENOENT)
        }
        guard realPath == path || realPath.hasPrefix(path == "/" ? "/" : path + "/") else {
            throw .system(.open, path: name, at: nil, errno: EXDEV)
        }
        return FoundFile(path: realPath, kind: FoundFile.Kind(mode: status.st_mode))
    }

    private static func path(
        of file: borrowing Descriptor, _ name: String
    ) throws(FileError) -> String {
        var characters = [CChar](repeating: 0, count: Int(PATH_MAX))
        let link = "/proc/self/fd/\(file.rawValue)"
        // Safe: the link's name ends with a zero, and the call writes at most the size of the array.
        let count = unsafe readlink(link, &characters, characters.count)
        guard count >= 0 else { throw .system(.inspect, path: name, at: nil, errno: errno) }
        // A name that is no UTF-8 cannot be said again.
        let bytes = characters.prefix(max(0, count)).map(UInt8.init(bitPattern:))
        guard count < characters.count, let path = String(validating: bytes, as: UTF8.self)
        else { throw .system(.inspect, path: name, at: nil, errno: ENAMETOOLONG) }
        return path
    }
}

extension FoundFile.Kind {
    init(mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .regularFile
        case S_IFDIR: self = .folder
        case S_IFBLK, S_IFCHR: self = .device
        case S_IFLNK: self = .symbolicLink
        default: self = .other
        }
    }
}
