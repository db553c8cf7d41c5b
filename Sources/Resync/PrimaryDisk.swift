internal import BlockIO
internal import Storage
internal import VHDX

/// A disk that is read and must not change meanwhile: open, locked, and remembered as it was, with
/// all that it builds on.
struct PrimaryDisk: ~Copyable {
    let reader: ImageReader<DiskFile>
    private let path: String

    init(
        openingImageAt path: String, _ role: Role = .primary, parents: ParentSearch
    ) throws(ResyncError) {
        reader = try onDisk(role) { () throws(VHDXError) in
            try ImageReader(openingImageAt: path, parents: parents)
        }
        self.path = path
    }

    /// The disk alone, for whoever owns it from here on.
    consuming func intoReader() -> ImageReader<DiskFile> { reader }

    /// Checks that header, size and modification time are those from before the first read.
    ///
    /// The lock keeps away whoever honours it; this finds whoever does not.
    func checkUnchanged() throws(ResyncError) {
        let isUnchanged = try onDisk(.primary) { () throws(VHDXError) in
            try reader.isUnchanged()
        }
        guard isUnchanged else { throw .primaryChanged(path: path) }
    }

    /// Checks that a path leads to another file than this disk's and those that it builds on. A
    /// missing file is another.
    func checkIsNot(fileAt other: String) throws(ResyncError) {
        guard let found = DiskFile.fingerprint(ofFileAt: other),
            let index = reader.fingerprints.firstIndex(where: { $0.isSameFile(as: found) })
        else { return }
        throw index == 0
            ? .sameFile(primary: path, replica: other)
            : .parentOfPrimary(primary: path, replica: other)
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
