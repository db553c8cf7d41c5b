internal import BlockIO
internal import Storage
internal import VHDX

extension DiskFormat {
    /// Whether a file of this format is a raw disk.
    fileprivate func isRaw(_ path: String) -> Bool {
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
        acceptsMark: Bool = false
    ) throws(VHDXError) {
        if format.isRaw(path) {
            self = .raw(try RawDisk(openingDiskAt: path, for: .reading))
        } else {
            self = .image(
                try ImageReader(openingImageAt: path, parents: parents, acceptsMark: acceptsMark))
        }
    }
}

extension ReplicaDisk {
    /// Opens the disk, half-written or not, so that nobody else can.
    init(openingDiskAt path: String, _ options: ResyncOptions) throws(ResyncError) {
        self = try onDisk(.replica) { () throws(VHDXError) in
            if options.replicaFormat.isRaw(path) {
                return .raw(try RawDisk(openingDiskAt: path, for: .writing))
            }
            return .image(
                try ImageWriter(
                    openingImageAt: path, parents: options.parentsOfReplica, acceptsMark: true))
        }
    }

    /// The state in which it was found.
    func state(at path: String) throws(ResyncError) -> DiskState {
        let fingerprint = DiskFile.fingerprint(ofFileAt: path)
        return DiskState(
            virtualDiskID: virtualDiskID, dataWriteGUID: dataWriteGUID,
            fileState: try fingerprint.map { (print) throws(ResyncError) in
                try BlockDigest(of: [print])
            } ?? .zero)
    }
}

extension ResyncOptions {
    /// The size and the mark of a replica that may be written to, half-written or not. One that may not
    /// is left as it is, its log included.
    func inspectReplica(
        at path: String, checkSize: (UInt64) throws(ResyncError) -> Void
    ) throws(ResyncError) -> (virtualSize: UInt64, mark: ApplyMark?) {
        let disk = try onDisk(.replica) { () throws(VHDXError) in
            try SourceDisk(
                openingDiskAt: path, replicaFormat, parents: parentsOfReplica, acceptsMark: true)
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
