public import Storage

extension ImageReader where File == DiskFile {
    /// A differencing image in the same folder that builds on this one in its present state; nil
    /// where none can be seen. A change to this image would make it useless: its locator names the
    /// DataWriteGuid, which a writer renews.
    ///
    /// Files that cannot be read, or that no longer match, are no children; in a folder that cannot
    /// be listed none can be seen.
    public func visibleChild() -> String? {
        let folder: String
        let ownName: String
        let names: [String]
        do throws(FileError) {
            let path = try Folder.realPath(of: file.name)
            ownName = PathText.name(of: path)
            folder = PathText.folder(of: path)
            names = try Folder(opening: folder).names().sorted()
        } catch {
            return nil
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
        Key.paths.contains { key in
            components(of: key).last?.lowercased() == name.lowercased()
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
        let start = try ImageStart(of: file)
        let imageFile = try ImageFile(file, overlay: start.overlay)
        let regions = try RegionTable.read(from: imageFile)
        return try readItems(from: imageFile, regions.table).parentLocator
    }
}
