internal import BlockIO
internal import Storage
internal import VHDX

/// A disk that is read and must not change meanwhile: open, locked, and remembered as it was, with
/// all that it builds on.
struct PrimaryDisk: ~Copyable {
    let disk: SourceDisk
    private let path: String

    /// Opens the disk that is compared with, or, of a comparison, the one in the replica's place.
    init(
        openingDiskAt path: String, _ role: Role, _ options: ResyncOptions
    ) throws(ResyncError) {
        let format = role == .primary ? options.primaryFormat : options.replicaFormat
        let parents = role == .primary ? options.parents : options.parentsOfReplica
        disk = try onDisk(role) { () throws(VHDXError) in
            try SourceDisk(
                openingDiskAt: path, format, parents: parents, cacheUse: options.cacheUse)
        }
        self.path = path
    }

    /// The disk alone, for whoever owns it from here on.
    consuming func intoDisk() -> SourceDisk { disk }

    /// The state in which the disk was found. A device does not tell that it was written to.
    func state() throws(ResyncError) -> DiskState {
        DiskState(
            virtualDiskID: disk.virtualDiskID, dataWriteGUID: disk.dataWriteGUID,
            fileState: DiskFile.isDevice(path) ? .zero : try BlockDigest(of: disk.fingerprints))
    }

    /// What the disk is, for whoever has the replica.
    func offer() throws(ResyncError) -> SourceOffer {
        SourceOffer(virtualSize: disk.virtualSize, state: try state(), shape: shape)
    }

    private var shape: ImageShape? {
        switch disk {
        case .image(let image):
            ImageShape(
                blockSize: image.geometry.blockSize,
                logicalSectorSize: UInt32(image.geometry.logicalSectorSize),
                physicalSectorSize: UInt32(image.geometry.physicalSectorSize),
                isFixed: image.isFixed)
        case .raw: nil
        }
    }

    /// Checks that header, size and modification time are those from before the first read.
    ///
    /// The lock keeps away whoever honours it; this finds whoever does not.
    func checkUnchanged() throws(ResyncError) {
        let isUnchanged = try onDisk(.primary) { () throws(VHDXError) in
            try disk.isUnchanged()
        }
        guard isUnchanged else { throw .primaryChanged(path: path) }
    }

    /// Checks that a path leads to another file than this disk's and those that it builds on. A
    /// missing file is another.
    func checkIsNot(fileAt other: String) throws(ResyncError) {
        guard let found = DiskFile.fingerprint(ofFileAt: other),
            let index = disk.fingerprints.firstIndex(where: { $0.isSameFile(as: found) })
        else { return }
        throw index == 0
            ? .sameFile(primary: path, replica: other)
            : .parentOfPrimary(primary: path, replica: other)
    }
}

extension BlockDigest {
    /// The digest of what tells that files have changed.
    init(of fingerprints: [FileFingerprint]) throws(ResyncError) {
        self = try BlockDigest(ofBytes: fingerprints.flatMap(\.encoded))
    }

    init(ofBytes bytes: [UInt8]) throws(ResyncError) {
        let context: Lock<SHA256Context>
        do throws(OutOfMemory) {
            context = Lock(try SHA256Context())
        } catch {
            throw .outOfMemory(error)
        }
        self = context.withLock { $0.digest(of: bytes.rawSpan) }
    }
}

/// Runs calls on a disk, with their errors as this module's.
func onDisk<Result: ~Copyable>(
    _ role: Role, _ body: () throws(VHDXError) -> Result
) throws(ResyncError) -> Result {
    do throws(VHDXError) {
        return try body()
    } catch {
        throw .disk(role, error)
    }
}
