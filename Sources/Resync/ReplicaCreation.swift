internal import Storage
internal import VHDX

/// Makes a replica that does not exist yet.
struct ReplicaCreation {
    var path: String
    var options: ResyncOptions

    /// Makes it with the primary's geometry, empty: or, on a parent, as the parent reads.
    ///
    /// It appears under its name complete, or not at all.
    func run(like primary: SourceOffer) throws(ResyncError) {
        if options.replicaFormat == .raw { return try makeRaw(primary.virtualSize) }
        var specification = ImageSpecification(virtualSize: primary.virtualSize)
        if let shape = primary.shape {
            specification.blockSize = shape.blockSize
            specification.logicalSectorSize = UInt64(shape.logicalSectorSize)
            specification.physicalSectorSize = UInt64(shape.physicalSectorSize)
            specification.isFixed = shape.isFixed
            specification.virtualDiskID = primary.state.virtualDiskID
        }
        try onDisk(.replica) { () throws(VHDXError) in
            if let parent = options.parentOfNewReplica {
                let reader = try ImageReader(openingImageAt: parent, parents: options.parents)
                try specification.build(on: reader, at: path)
            }
            try ImageCreation.create(specification, at: path)
        }
    }

    private func makeRaw(_ byteCount: UInt64) throws(ResyncError) {
        do throws(FileError) {
            let replacement = try DurableReplacement(of: path)
            try replacement.file.setByteCount(byteCount)
            try replacement.commit(.refuse)
        } catch {
            throw .disk(.replica, .file(error))
        }
    }
}

extension ResyncOptions {
    /// Where the parents of the replica may be: the one that it is made on lies where it was named.
    var parentsOfReplica: ParentSearch {
        guard let parentOfNewReplica else { return parents }
        var search = parents
        // The locator leads to the file itself, where this is a link.
        let folder = try? Folder.realPath(ofFolderOf: parentOfNewReplica)
        search.folders.append(folder ?? PathText.folder(of: parentOfNewReplica))
        return search
    }
}
