public import Storage

/// All that can be said of a delta, or of the journal of a replica, which is one.
public struct DeltaDescription: Equatable, Sendable {
    /// A state of a disk. What is unknown is nil.
    public struct State: Equatable, Sendable {
        public var virtualDiskID: GUID?
        public var dataWriteGUID: GUID?
        public var rootDigest: BlockDigest?
    }

    public var path: String
    public var byteCount: UInt64
    /// Whether it was made to be written to one replica on the machine where it stands.
    public var isJournal: Bool
    /// Whether it has its trailer. Of an unfinished one the other values are true so far.
    public var isComplete: Bool
    public var version: UInt32
    public var streamID: GUID
    public var virtualSize: UInt64
    public var blockSize: Int
    public var recordCount: UInt64
    public var dataBlockCount: UInt64
    public var zeroBlockCount: UInt64
    /// Up to the end of the last whole record.
    public var usableByteCount: UInt64
    /// What it applies to, what it was made from, and what it makes.
    public var base: State
    public var source: State
    public var result: State

    /// Reads the whole file. What is wrong with it is thrown.
    public init(ofDeltaAt path: String) throws(ResyncError) {
        var reader = try DeltaReader(
            reading: try onJournal { () throws(FileError) in
                try DiskFile(opening: path, for: .reading)
            })
        while try reader.next() != nil {}
        let header = reader.header
        let trailer = header.hasRootDigests ? reader.trailer : nil
        self.path = path
        byteCount = reader.byteCount
        isJournal = header.resultDataWriteGUID != .zero
        isComplete = reader.trailer != nil
        version = DeltaStream.version
        streamID = header.streamID
        virtualSize = header.virtualSize
        blockSize = header.blockSize
        recordCount = reader.counts.records
        dataBlockCount = reader.counts.dataBlocks
        zeroBlockCount = reader.counts.zeroBlocks
        usableByteCount = reader.position
        base = State(header.base, trailer?.baseRoot)
        source = State(header.source, nil)
        result = State(
            virtualDiskID: nil,
            dataWriteGUID: header.resultDataWriteGUID == .zero ? nil : header.resultDataWriteGUID,
            rootDigest: trailer?.resultRoot)
    }
}

extension DeltaDescription.State {
    init(_ state: DiskState, _ root: BlockDigest?) {
        virtualDiskID = state.virtualDiskID == .zero ? nil : state.virtualDiskID
        dataWriteGUID = state.dataWriteGUID == .zero ? nil : state.dataWriteGUID
        // Of a base that was held in part nothing is known.
        rootDigest = root == .zero ? nil : root
    }
}
