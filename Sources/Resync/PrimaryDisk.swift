internal import BlockIO
internal import Storage
internal import VHDX

/// A disk that is read and must not change meanwhile: open, locked, and remembered as it was.
struct PrimaryDisk: ~Copyable {
    let reader: ImageReader<DiskFile>
    private let fingerprint: FileFingerprint
    private let path: String

    init(openingImageAt path: String, _ role: Role = .primary) throws(ResyncError) {
        // From before the headers are read. Where there was none, opening it fails.
        let before = DiskFile.fingerprint(ofFileAt: path)
        let reader = try onDisk(role) { () throws(VHDXError) in
            try ImageReader(openingImageAt: path)
        }
        let found = try onDisk(role) { () throws(VHDXError) in try reader.fingerprint() }
        fingerprint = before ?? found
        self.reader = reader
        self.path = path
    }

    /// The disk alone, for whoever owns it from here on.
    consuming func intoReader() -> ImageReader<DiskFile> { reader }

    /// Checks that header, size and modification time are those from before the first read.
    ///
    /// The lock keeps away whoever honours it; this finds whoever does not.
    func checkUnchanged() throws(ResyncError) {
        let isUnchanged = try onDisk(.primary) { () throws(VHDXError) in
            guard try reader.fingerprint() == fingerprint else { return false }
            return try reader.headerIsUnchanged()
        }
        guard isUnchanged else { throw .primaryChanged(path: path) }
    }

    /// Checks that a path leads to another file than this one. A missing file is another.
    func checkIsNot(fileAt other: String) throws(ResyncError) {
        guard let found = DiskFile.fingerprint(ofFileAt: other) else { return }
        guard !found.isSameFile(as: fingerprint) else {
            throw .sameFile(primary: path, replica: other)
        }
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
