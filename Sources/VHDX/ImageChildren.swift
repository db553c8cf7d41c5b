public import Storage

extension ImageReader where File == DiskFile {
    /// A differencing image in the same folder that builds on this one in its present state; nil
    /// where none can be seen. A change to this image would make it useless: its locator names the
    /// DataWriteGuid, which a writer renews.
    ///
    /// Files that cannot be read, or that no longer match, are no children.
    public func visibleChild() throws(VHDXError) -> String? {
        let (folder, ownName, names) = try onFile { () throws(FileError) in
            let path = try Folder.realPath(of: file.name)
            let folder = try Folder.realPath(ofFolderOf: path)
            let ownName = path.split(separator: "/").last.map(String.init) ?? path
            return (folder, ownName, try Folder(opening: folder).names().sorted())
        }
        for name in names where name.lowercased().hasSuffix("vhdx") && name != ownName {
            let path = "\(folder)/\(name)"
            do throws(VHDXError) {
                let locator = try ImageLayout.parentLocator(ofImageAt: path)
                guard let locator, locator.names(dataWriteGUID), locator.leads(to: ownName)
                else { continue }
                return path
            } catch {
                continue
            }
        }
        return nil
    }
}

extension ParentLocator {
    /// Whether one of the paths ends in this name; Windows does not tell case apart.
    fileprivate func leads(to name: String) -> Bool {
        [Key.relativePath, .volumePath, .absolutePath].contains { key in
            let last = self[key]?.split { $0 == "\\" || $0 == "/" }.last
            return last?.lowercased() == name.lowercased()
        }
    }
}

extension ImageLayout {
    /// The locator of an image, with nothing else of it looked at than what leads there.
    fileprivate static func parentLocator(
        ofImageAt path: String
    ) throws(VHDXError) -> ParentLocator? {
        let file = try onFile { () throws(FileError) in
            try DiskFile(opening: path, for: .reading)
        }
        let header = try readHeader(from: file)
        let sequence = try LogSequence.active(in: file, header: header)
        let overlay =
            if let sequence { try LogOverlay(replaying: sequence, in: file) } else { LogOverlay() }
        let imageFile = try ImageFile(file, overlay: overlay)
        let regions = try RegionTable.read(from: imageFile)
        return try readItems(from: imageFile, regions.table).parentLocator
    }
}
