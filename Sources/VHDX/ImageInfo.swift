public import Storage

/// What an image is, for people and scripts.
public struct ImageInfo: Equatable, Sendable {
    /// How the image keeps its blocks.
    public enum Kind: String, Sendable {
        case fixed, dynamic, differencing
    }

    /// Payload blocks by state, [MS-VHDX] 2.5.1.1.
    public struct BlockStates: Equatable, Sendable {
        public var notPresent: UInt64 = 0
        public var undefined: UInt64 = 0
        public var zero: UInt64 = 0
        public var unmapped: UInt64 = 0
        public var fullyPresent: UInt64 = 0
        public var partiallyPresent: UInt64 = 0
    }

    public var path: String
    public var creator: String
    public var kind: Kind
    public var virtualSize: UInt64
    public var fileSize: UInt64
    /// Bytes in a payload block.
    public var payloadBlockSize: UInt64
    public var logicalSectorSize: UInt64
    public var physicalSectorSize: UInt64
    public var virtualDiskID: GUID
    public var fileWriteGUID: GUID
    public var dataWriteGUID: GUID
    /// The sequence number of the current header.
    public var headerSequenceNumber: UInt64
    /// Whether the log holds entries that a writer will replay; the content here includes them.
    public var logIsDirty: Bool
    public var blockStates: BlockStates
    /// What the image bears where it is half-written.
    public var mark: ApplyMark?
}

extension ImageInfo {
    /// Opens an image for reading, checks it, and describes it.
    public init(ofImageAt path: String) throws(VHDXError) {
        self = try ImageReader(openingImageAt: path).info
    }

    init(_ layout: ImageLayout, of path: String, fileSize: UInt64, logIsDirty: Bool) {
        let header = layout.header.header
        self.path = path
        creator = layout.creator
        kind = layout.items.kind
        virtualSize = layout.geometry.virtualSize
        self.fileSize = fileSize
        payloadBlockSize = layout.geometry.blockSize
        logicalSectorSize = layout.geometry.logicalSectorSize
        physicalSectorSize = layout.geometry.physicalSectorSize
        virtualDiskID = layout.items.virtualDiskID
        fileWriteGUID = header.fileWriteGUID
        dataWriteGUID = header.dataWriteGUID
        headerSequenceNumber = header.sequenceNumber
        self.logIsDirty = logIsDirty
        blockStates = layout.blockStates
        mark = layout.items.mark
    }
}
