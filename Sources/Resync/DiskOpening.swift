internal import BlockIO
internal import Storage
internal import VHDX

extension DiskFormat {
    /// Whether a file of this format is a raw disk.
    func isRaw(_ path: String) -> Bool {
        switch self {
        case .automatic: DiskFile.isDevice(path)
        case .vhdx: false
        case .raw: true
        }
    }
}

extension SourceDisk {
    init(
        openingDiskAt path: String, _ format: DiskFormat, parents: ParentSearch,
        acceptsMark: Bool = false, cacheUse: CacheUse = .keep
    ) throws(VHDXError) {
        if format.isRaw(path) {
            self = .raw(try RawDisk(openingDiskAt: path, for: .reading, cacheUse: cacheUse))
        } else {
            self = .image(
                try ImageReader(
                    openingImageAt: path, parents: parents, acceptsMark: acceptsMark,
                    cacheUse: cacheUse))
        }
    }
}

extension ReplicaDisk {
    /// Opens the disk, half-written or not, so that nobody else can.
    init(openingDiskAt path: String, _ options: ResyncOptions) throws(ResyncError) {
        self = try onDisk(.replica) { () throws(VHDXError) in
            if options.replicaFormat.isRaw(path) {
                return .raw(
                    try RawDisk(
                        openingDiskAt: path, for: .writing, cacheUse: options.cacheUse))
            }
            return .image(
                try ImageWriter(
                    openingImageAt: path, parents: options.parentsOfReplica, acceptsMark: true,
                    cacheUse: options.cacheUse))
        }
    }

    /// The state in which it was found. A device does not tell that it was written to.
    func state(at path: String) throws(ResyncError) -> DiskState {
        let fingerprint =
            DiskFile.isDevice(path) ? nil : DiskFile.fingerprint(ofFileAt: path)
        let fileState = try fingerprint.map { (print) throws(ResyncError) in
            try BlockDigest(of: [print])
        }
        // One switch for both: the compiler fails to optimize two in a row.
        let (diskID, contentID) =
            switch self {
            case .image(let disk): (disk.virtualDiskID, disk.dataWriteGUID)
            case .raw(let disk): (disk.virtualDiskID, disk.dataWriteGUID)
            }
        return DiskState(
            virtualDiskID: diskID, dataWriteGUID: contentID, fileState: fileState ?? .zero)
    }
}

extension ReplicaDisk {
    /// Makes everything durable and ends, with an error as this module's.
    consuming func closeReplica() throws(ResyncError) {
        do throws(VHDXError) {
            try close()
        } catch {
            throw .disk(.replica, error)
        }
    }
}

extension ResyncOptions {
    /// Checks what cannot be said of the options alone: that the replica can be written as they say.
    ///
    /// - Throws: ``ResyncError/invalidOption(_:)`` or ``ResyncError/cannotClone(path:)``.
    package func check(replica: String) throws(ResyncError) {
        let isRaw = replicaFormat.isRaw(replica)
        guard !isRaw || parentOfNewReplica == nil else {
            throw .invalidOption("a raw disk builds on no image: '--parent' means nothing to it")
        }
        guard isRaw, !isDryRun, writeMethod != .inPlace else { return }
        guard comparison == .hash else {
            throw .invalidOption(
                "the journal of a raw disk needs digests, since the disk cannot say in what state "
                    + "it is: use '--compare hash', or write without a journal with '--in-place'")
        }
        guard DiskFile.isDevice(replica) else { return }
        guard writeMethod != .clone else { throw .cannotClone(path: replica) }
        guard journalFolder != nil else {
            throw .invalidOption(
                "the journal of \(replica) cannot stand beside a device: name a folder for it with "
                    + "'--journal-dir'")
        }
    }

    /// The size and the mark of a replica that may be written to, half-written or not. One that may not
    /// is left as it is, its log included.
    func inspectReplica(
        at path: String, checkSize: (UInt64) throws(ResyncError) -> Void
    ) throws(ResyncError) -> (virtualSize: UInt64, mark: ApplyMark?) {
        let disk = try onDisk(.replica) { () throws(VHDXError) in
            try SourceDisk(
                openingDiskAt: path, replicaFormat, parents: parentsOfReplica, acceptsMark: true,
                cacheUse: cacheUse)
        }
        try checkSize(disk.virtualSize)
        switch disk {
        case .image(let reader):
            if !breaksChildren, let child = reader.visibleChild() {
                throw .disk(.replica, .hasChild(path: path, child: child))
            }
            return (reader.virtualSize, reader.mark)
        case .raw(let disk): return (disk.virtualSize, nil)
        }
    }
}
