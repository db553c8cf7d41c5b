public import Storage

/// Where the parents of differencing images may be looked for, besides the folder of the image.
///
/// A parent's path is data that came with the file: it leads to regular files in these folders, and
/// in folders within them, and to nothing else.
public struct ParentSearch: Equatable, Sendable {
    /// Folders that the user named.
    public var folders: [String]

    public init(folders: [String] = []) {
        self.folders = folders
    }
}

/// Opens images by path, and all that they build on, [MS-VHDX] 2.6.2.6.3.
struct ImageChain {
    /// Images in a chain at most. Hyper-V's checkpoints reach some 50.
    static let maximumDepth = 256

    private let search: ParentSearch
    /// That of the first image, and of all others.
    private let cacheUse: CacheUse
    /// The files that are open already, from the first image on.
    private var opened: [FileFingerprint]
    /// The folder of the first image, then those of the search, all as the system resolves them.
    private var allowed: [String] = []

    /// A chain that starts with an open image.
    init(startingWith image: borrowing DiskFile, _ search: ParentSearch) {
        self.search = search
        cacheUse = image.cacheUse
        opened = [image.openingFingerprint]
    }

    /// Finds the parent that a locator names, and opens it with all that it builds on.
    mutating func parent(
        of path: String, _ locator: ParentLocator
    ) throws(VHDXError) -> ImageParent<DiskFile> {
        let file = try parentFile(of: path, locator)
        let name = file.name
        return ImageParent(
            try ImageReader(file, acceptsMark: false) { (locator) throws(VHDXError) in
                try parent(of: name, locator)
            })
    }

    /// Finds the file of the parent that a locator names, and locks it.
    ///
    /// A file that is not the parent, found under one of its names, does not end the search.
    mutating func parentFile(
        of path: String, _ locator: ParentLocator
    ) throws(VHDXError) -> DiskFile {
        if allowed.isEmpty { allowed = try folders(from: path) }
        var firstError: VHDXError?
        let places = try places(of: path, locator)
        for place in places {
            let file: DiskFile
            do throws(VHDXError) {
                guard let found = try candidate(at: place, of: path, locator) else { continue }
                file = found
            } catch {
                firstError = firstError ?? error
                continue
            }
            try take(file, of: path)
            return file
        }
        throw firstError ?? .parentNotFound(path: path, names: places.map(\.description))
    }

    /// The file at a place, if it is in a state that the locator names; nil where there is none.
    private func candidate(
        at place: Place, of path: String, _ locator: ParentLocator
    ) throws(VHDXError) -> DiskFile? {
        guard var file = try open(place, of: path) else { return nil }
        file.cacheUse = cacheUse
        // Before anything else of it is believed: is it the one that is looked for?
        let found = try ImageLayout.readHeader(from: file).header.dataWriteGUID
        guard locator.names(found) else {
            throw .parentMismatch(
                path: path, parent: file.name, expected: locator.linkage, found: found)
        }
        return file
    }

    /// Locks the parent, and makes it part of the chain.
    private mutating func take(
        _ file: borrowing DiskFile, of path: String
    ) throws(VHDXError) {
        let fingerprint = file.openingFingerprint
        guard !opened.contains(where: { $0.isSameFile(as: fingerprint) }) else {
            throw .parentLoop(path: path, parent: file.name)
        }
        guard opened.count < Self.maximumDepth else {
            throw .limitExceeded("more than \(Self.maximumDepth) images in a chain", path: path)
        }
        opened.append(fingerprint)
        try onFile { () throws(FileError) in try file.lock(for: .reading) }
    }

    // MARK: Places

    /// A place where the parent may be: a name beneath an allowed folder, or one that lies in none.
    private struct Place: Equatable, CustomStringConvertible {
        var folder: String?
        var name: String

        var description: String { folder.map { "\($0)/\(name)" } ?? name }
    }

    /// The folder of the first image, and those of the search.
    private func folders(from path: String) throws(VHDXError) -> [String] {
        try onFile { () throws(FileError) in
            var folders = [try Folder.realPath(ofFolderOf: path)]
            for folder in search.folders { folders.append(try Folder.realPath(of: folder)) }
            return folders
        }
    }

    /// The relative path first; then, in each folder that the user named, the last component of
    /// each path: what the others lead to on Windows is not known here.
    private func places(
        of path: String, _ locator: ParentLocator
    ) throws(VHDXError) -> [Place] {
        var places: [Place] = []
        if let relative = locator[.relativePath] {
            let folder = try onFile { () throws(FileError) in
                try Folder.realPath(ofFolderOf: path)
            }
            places.append(place(of: relative, from: folder))
        }
        let names = ParentLocator.Key.paths
            .compactMap { locator.components(of: $0).last }.filter { $0 != ".." }
        for folder in allowed.dropFirst() {
            for name in names where !places.contains(Place(folder: folder, name: name)) {
                places.append(Place(folder: folder, name: name))
            }
        }
        return places
    }

    /// Where a relative path of Windows leads from a folder.
    private func place(of text: String, from folder: String) -> Place {
        var components = PathText.components(of: folder)
        // A drive, a server or the root: not a relative path, whatever its key says.
        let first = text.utf8.first
        guard !text.utf8.contains(UInt8(ascii: ":")), first != UInt8(ascii: "\\"),
            first != UInt8(ascii: "/")
        else {
            return Place(folder: nil, name: text)
        }
        for component in ParentLocator.components(of: text) {
            if component != ".." {
                components.append(component)
            } else if components.popLast() == nil {
                return Place(folder: nil, name: text)
            }
        }
        for folder in allowed {
            let own = PathText.components(of: folder)
            guard components.starts(with: own), components.count > own.count else { continue }
            let name = components.dropFirst(own.count).joined(separator: "/")
            return Place(folder: folder, name: name)
        }
        return Place(folder: nil, name: text)
    }

    /// Opens the file at a place; nil where there is none.
    private func open(_ place: Place, of path: String) throws(VHDXError) -> DiskFile? {
        guard let folder = place.folder else {
            throw .parentOutsideFolders(path: path, name: place.name)
        }
        do throws(FileError) {
            return try Folder(opening: folder).file(ignoringCaseOf: place.name)
        } catch {
            guard error.isOutside else { throw .file(error) }
            throw .parentOutsideFolders(path: path, name: place.description)
        }
    }
}

extension ImageReader where File == DiskFile {
    /// Opens an image by path with all that it builds on, with locks that keep writers away.
    public init(
        openingImageAt path: String, parents: ParentSearch = ParentSearch(),
        acceptsMark: Bool = false, cacheUse: CacheUse = .keep
    ) throws(VHDXError) {
        let file = try DiskFile.openImage(at: path, for: .reading, cacheUse)
        var chain = ImageChain(startingWith: file, parents)
        try self.init(file, acceptsMark: acceptsMark) { (locator) throws(VHDXError) in
            try chain.parent(of: path, locator)
        }
    }
}
