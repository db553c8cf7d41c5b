internal import Storage

/// All that can be said of a digest map.
public struct DigestMapDescription: Equatable, Sendable {
    public var path: String
    public var byteCount: UInt64
    public var version: UInt32
    public var header: DigestMapHeader
    public var blockCount: UInt64
    /// Blocks that the map says hold nothing but zeros.
    public var zeroBlockCount: UInt64 = 0
    public var rootDigest: BlockDigest

    /// Reads the whole file. What is wrong with it is thrown.
    public init(ofMapAt path: String) throws(ResyncError) {
        let file = try onJournal { () throws(FileError) in
            try DiskFile(opening: path, for: .reading)
        }
        self.path = path
        byteCount = try onJournal { () throws(FileError) in try file.byteCount() }
        var reader = try DigestMapReader(reading: file)
        header = reader.header
        version = header.version
        blockCount = reader.blockCount
        rootDigest = reader.rootDigest
        while let run = try reader.nextRun(upTo: .max) {
            if case .zeros(let count) = run { zeroBlockCount += count }
        }
    }
}
