internal import BlockIO
internal import Storage

/// What became of the wish that an earlier map be trusted, so that its disk is not read again.
public enum MapReuse: Equatable, Sendable {
    /// Nothing has changed since: the digests are the earlier map's.
    case reused
    /// The disk was read.
    case notReused(Reason)

    /// Why the disk was read. The raw values stand in the JSON result.
    public enum Reason: String, Sendable, CaseIterable {
        /// There was no map yet.
        case noMap
        /// A block device does not show that it was written to.
        case device
        /// A log has to be replayed, of the image or of one that it builds on.
        case dirtyLog
        /// The map does not tell in what state the files were.
        case unknownState
        /// The map has blocks of another size.
        case blockSize
        /// The disk or its files are not as they were.
        case changed
    }
}

extension DigestMapHeader {
    /// The header of a disk's map.
    init(of source: borrowing PrimaryDisk, blockSize: Int, fileState: BlockDigest?) {
        self.init(
            virtualSize: source.disk.virtualSize, blockSize: blockSize,
            virtualDiskID: source.disk.virtualDiskID, dataWriteGUID: source.disk.dataWriteGUID,
            fileState: fileState)
    }

    /// Why a map with this header is not to be trusted for a disk; nil where it is.
    func refusal(
        for source: borrowing PrimaryDisk, blockSize: Int
    ) throws(ResyncError) -> MapReuse.Reason? {
        guard source.disk.stamps != nil else { return .device }
        guard !source.disk.hasDirtyLog else { return .dirtyLog }
        guard fileState != nil else { return .unknownState }
        guard self.blockSize == blockSize else { return .blockSize }
        let current = DigestMapHeader(
            of: source, blockSize: blockSize, fileState: try source.fileState())
        return self == current ? nil : .changed
    }
}

extension PrimaryDisk {
    /// How much older than the start of a run the last change of a file has to be, so that a change
    /// during the run has another time. Two seconds is the coarsest that file systems keep; the
    /// rest is for a server of files whose clock is behind.
    static let marginSeconds: Int64 = 10

    /// What tells a later run that a file of the disk was changed since `start`, a moment before it
    /// was opened (docs/digest-map.md); nil where a change could go unseen.
    func lastingFileState(asOf start: FileTime) throws(ResyncError) -> BlockDigest? {
        let limit = FileTime(
            seconds: start.seconds - Self.marginSeconds, nanoseconds: start.nanoseconds)
        guard let stamps = disk.stamps, stamps.allSatisfy({ $0.isOlder(than: limit) }),
            !disk.hasDirtyLog
        else { return nil }
        return try fileState()
    }

    /// The digest of the state of all files of the disk; nil for a device.
    func fileState() throws(ResyncError) -> BlockDigest? {
        guard let stamps = disk.stamps else { return nil }
        return try BlockDigest(ofFiles: stamps, isImage: disk.isImage)
    }
}

extension BlockDigest {
    /// The digest of the states of an image's file and those that it builds on, or of a raw disk's.
    init(ofFiles stamps: [FileStamp], isImage: Bool) throws(ResyncError) {
        let kind: [UInt8] = [isImage ? 1 : 0, 0, 0, 0, 0, 0, 0, 0]
        try self.init(
            ofBytes: Array("vhdresync file 1".utf8) + kind + stamps.flatMap(\.encoded))
    }
}
