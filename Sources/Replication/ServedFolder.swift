internal import Glibc
public import Resync
internal import Storage
internal import VHDX

/// The only folder of which a service lets its clients have disks.
///
/// A client's path is taken apart, must lead to a regular file beneath the folder, and is resolved
/// by the kernel (`openat2(2)` with `RESOLVE_BENEATH`). A symbolic link counts where it is relative
/// and stays beneath.
public struct ServedFolder: ~Copyable, Sendable {
    private let folder: Folder

    /// Names that the journal uses: who wrote to such a file would choose what is written to the
    /// replica beside it.
    private static let reservedEndings = [".resync", ".resync-clone"]

    /// Whether a name is that of a journal.
    static func isReserved(_ name: String) -> Bool {
        reservedEndings.contains(where: name.hasSuffix)
    }

    /// Opens the folder. It stays the one that it is now, whatever its name leads to later.
    ///
    /// - Throws: ``ResyncError/file(_:)``.
    public init(opening path: String) throws(ResyncError) {
        do throws(FileError) {
            folder = try Folder(opening: path)
        } catch {
            throw .file(error)
        }
    }

    /// Absolute, without symbolic links.
    public var path: String { folder.path }

    /// The real path of the disk that a client names, from the folder on, with a slash in front or
    /// without one. A replica need not exist; its folder must.
    ///
    /// - Throws: ``ResyncError/accessDenied(path:reason:)``; ``ResyncError/disk(_:_:)``, where the
    ///   disk is missing or no regular file. Errors name the client's path, not the real one.
    public func realPath(of path: String, _ role: Role) throws(ResyncError) -> String {
        let names = try components(of: path)
        switch find(names) {
        case .success(let found):
            return try check(found, path, role)
        case .failure(let error):
            guard error.isMissing, role == .replica, let name = names.last else {
                throw denial(of: path, error, role)
            }
            return try newPath(in: names.dropLast(), name, path, role)
        }
    }

    private func find(
        _ names: some Collection<String>, followsLast: Bool = true
    ) -> Result<FoundFile, FileError> {
        Result { () throws(FileError) in
            let name = names.isEmpty ? "." : names.joined(separator: "/")
            return try folder.find(name, followsLast: followsLast)
        }
    }

    /// The names in a path.
    private func components(of path: String) throws(ResyncError) -> [String] {
        let isPrintable = path.unicodeScalars.allSatisfy { scalar in
            scalar.value >= 0x20 && !(0x7F..<0xA0).contains(scalar.value)
        }
        guard isPrintable else {
            throw .accessDenied(path: path, reason: "it has control characters")
        }
        let names = PathText.components(of: path).filter { $0 != "." }
        guard !names.contains("..") else {
            throw .accessDenied(path: path, reason: "it leads upwards")
        }
        if let name = names.last { try checkIsNoJournal(name, path) }
        return names
    }

    private func checkIsNoJournal(_ name: String, _ path: String) throws(ResyncError) {
        guard !Self.isReserved(name) else {
            throw .accessDenied(path: path, reason: "its name is that of a journal")
        }
    }

    private func check(
        _ found: FoundFile, _ path: String, _ role: Role
    ) throws(ResyncError) -> String {
        switch found.kind {
        case .regularFile: break
        case .device: throw .accessDenied(path: path, reason: "it is a device")
        case .symbolicLink: throw .accessDenied(path: path, reason: "it is a symbolic link")
        case .folder, .other: throw .disk(role, .file(.notARegularFile(path: path)))
        }
        // A link may have led there.
        try checkIsNoJournal(PathText.name(of: found.path), path)
        return found.path
    }

    /// The path of a replica that is to be made.
    private func newPath(
        in names: ArraySlice<String>, _ name: String, _ path: String, _ role: Role
    ) throws(ResyncError) -> String {
        switch find(names) {
        case .success(let container) where container.kind == .folder:
            // Where something has the name after all, it is a link that leads nowhere yet.
            if case .success(let found) = find(names + [name], followsLast: false) {
                return try check(found, path, role)
            }
            return (container.path == "/" ? "" : container.path) + "/" + name
        case .success:
            throw .disk(role, .file(.system(.open, path: path, at: nil, errno: ENOTDIR)))
        case .failure(let error):
            throw denial(of: path, error, role)
        }
    }

    private func denial(of path: String, _ error: FileError, _ role: Role) -> ResyncError {
        guard case .system(let operation, _, _, let errno) = error else {
            return .disk(role, .file(error))
        }
        switch errno {
        case EXDEV: return .accessDenied(path: path, reason: "it leads out of the served folder")
        case ELOOP: return .accessDenied(path: path, reason: "its symbolic links lead nowhere")
        default:
            let reason = error.isMissing ? ENOENT : errno
            return .disk(role, .file(.system(operation, path: path, at: nil, errno: reason)))
        }
    }
}
