internal import CSystem
internal import Glibc

/// An open folder with one owner, closed once.
public struct Folder: ~Copyable, Sendable {
    /// Absolute, without symbolic links.
    public let path: String
    let descriptor: Descriptor

    /// Opens a folder, following symbolic links.
    public init(opening path: String) throws(FileError) {
        let realPath = try Self.realPath(of: path)
        // Safe: the path is a string that ends with a zero.
        let rawValue = retrying { unsafe open(realPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard rawValue >= 0 else {
            throw .system(.open, path: path, at: nil, errno: errno)
        }
        self.path = realPath
        descriptor = Descriptor(rawValue: rawValue)
    }

    /// The names of everything in the folder, in no order. Names that are not UTF-8 are left out.
    public func names() throws(FileError) -> [String] {
        // Safe: the path is a string that ends with a zero.
        guard let stream = unsafe opendir(path) else {
            throw .system(.read, path: path, at: nil, errno: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            // Safe: the name ends with a zero, and stays until the next call.
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { characters in
                    unsafe String(validatingCString: characters)
                }
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Makes a folder that only its owner may use, where nothing has the name. The folder in which it
    /// stands must be there.
    public static func makeIfMissing(_ path: String) throws(FileError) {
        // Safe: the path is a string that ends with a zero.
        guard unsafe mkdir(path, 0o700) == 0 else {
            if errno == EEXIST { return }
            throw .system(.create, path: path, at: nil, errno: errno)
        }
        try flush(PathText.folder(of: path))
    }

    /// Makes the names in a folder durable: what was made, renamed and removed in it.
    public static func flush(_ path: String) throws(FileError) {
        // Safe: the path is a string that ends with a zero.
        let rawValue = retrying { unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard rawValue >= 0 else { throw .system(.flush, path: path, at: nil, errno: errno) }
        let descriptor = Descriptor(rawValue: rawValue)
        guard retrying({ fsync(descriptor.rawValue) }) == 0 else {
            throw .system(.flush, path: path, at: nil, errno: errno)
        }
    }

    /// A path as the system resolves it: absolute, without symbolic links.
    public static func realPath(of path: String) throws(FileError) -> String {
        // Safe: the path ends with a zero, and so does the answer, which is freed once.
        guard let resolved = unsafe realpath(path, nil) else {
            throw .system(.open, path: path, at: nil, errno: errno)
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// The folder in which the file stands that a path leads to.
    public static func realPath(ofFolderOf path: String) throws(FileError) -> String {
        PathText.folder(of: try realPath(of: path))
    }

    /// The way from a folder to a file, both as ``realPath(of:)`` gives them: `./name`, or with as
    /// many `..` as it takes.
    public static func relativePath(from folder: String, to path: String) -> String {
        let start = PathText.components(of: folder)
        let end = PathText.components(of: path)
        let common = zip(start, end).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
        let up = start.count - common
        let steps = up == 0 ? ["."] : Array(repeating: "..", count: up)
        return (steps + end.dropFirst(common)).joined(separator: "/")
    }
}

extension Folder {
    /// Opens a regular file beneath the folder for reading. Where there is none of that name, the
    /// only one whose last component differs in case alone is it.
    ///
    /// - Returns: nil where there is no such file.
    public func file(ignoringCaseOf name: String) throws(FileError) -> DiskFile? {
        if let file = try fileIfThere(name) { return file }
        let container = PathText.folder(of: name)
        let last = PathText.name(of: name)
        let names: [String]
        do throws(FileError) {
            names = try Folder(opening: "\(path)/\(container)").names()
        } catch {
            guard error.isMissing else { throw error }
            return nil
        }
        let matches = names.filter { $0.lowercased() == last.lowercased() }
        guard matches.count == 1 else { return nil }
        return try fileIfThere("\(container)/\(matches[0])")
    }

    private func fileIfThere(_ name: String) throws(FileError) -> DiskFile? {
        do throws(FileError) {
            return try DiskFile(opening: name, beneath: self)
        } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }
}

extension FileError {
    /// Whether there is no file of that name, or can be none: what is one name on Windows may have
    /// more bytes than one has here.
    public var isMissing: Bool {
        guard case .system(_, _, _, let errno) = self else { return false }
        return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
    }

    /// Whether a name led out of the folder that it had to stay in.
    public var isOutside: Bool {
        guard case .system(_, _, _, let errno) = self else { return false }
        return errno == EXDEV
    }
}
