package import Resync
internal import Storage

/// What `info --json` prints of a delta or a journal. README.md documents the keys of `delta`; they
/// keep their names, and all are always there.
package struct DeltaObject: Encodable, Equatable {
    struct Delta: Encodable, Equatable {
        var path: String
        /// `delta` or `journal`.
        var kind: String
        var version: UInt32
        var isComplete: Bool
        var fileSize: UInt64
        var usableBytes: UInt64
        var virtualSize: UInt64
        var blockSize: Int
        var blocksTotal: UInt64
        var records: UInt64
        var dataBlocks: UInt64
        var zeroBlocks: UInt64
        var streamID: String
        var base: State
        var source: State
        var result: State
    }

    struct State: Encodable, Equatable {
        var virtualDiskID: Nullable<String>
        var dataWriteGUID: Nullable<String>
        var rootDigest: Nullable<String>

        init(_ state: DeltaDescription.State) {
            virtualDiskID = Nullable(state.virtualDiskID.map { "\($0)" })
            dataWriteGUID = Nullable(state.dataWriteGUID.map { "\($0)" })
            rootDigest = Nullable(state.rootDigest.map { "\($0)" })
        }
    }

    var returnValue = ReturnCode.completed.rawValue
    var returnName = ReturnCode.completed.name
    var delta: Delta

    package init(_ description: DeltaDescription) {
        delta = Delta(
            path: description.path, kind: description.isJournal ? "journal" : "delta",
            version: description.version, isComplete: description.isComplete,
            fileSize: description.byteCount, usableBytes: description.usableByteCount,
            virtualSize: description.virtualSize, blockSize: description.blockSize,
            blocksTotal: DigestTree.blockCount(
                virtualSize: description.virtualSize, blockSize: description.blockSize),
            records: description.recordCount, dataBlocks: description.dataBlockCount,
            zeroBlocks: description.zeroBlockCount, streamID: "\(description.streamID)",
            base: State(description.base), source: State(description.source),
            result: State(description.result))
    }
}

/// What `info --json` prints of a digest map. README.md documents the keys of `map`; they keep their
/// names, and all are always there.
package struct DigestMapObject: Encodable, Equatable {
    struct Map: Encodable, Equatable {
        var path: String
        var kind = "digestMap"
        var version: UInt32
        var fileSize: UInt64
        var virtualSize: UInt64
        var blockSize: Int
        var blocksTotal: UInt64
        var zeroBlocks: UInt64
        var virtualDiskID: Nullable<String>
        var dataWriteGUID: Nullable<String>
        var rootDigest: String
    }

    var returnValue = ReturnCode.completed.rawValue
    var returnName = ReturnCode.completed.name
    var map: Map

    package init(_ description: DigestMapDescription) {
        let header = description.header
        map = Map(
            path: description.path, version: description.version,
            fileSize: description.byteCount, virtualSize: header.virtualSize,
            blockSize: header.blockSize, blocksTotal: description.blockCount,
            zeroBlocks: description.zeroBlockCount,
            virtualDiskID: Nullable(Self.known(header.virtualDiskID)),
            dataWriteGUID: Nullable(Self.known(header.dataWriteGUID)),
            rootDigest: "\(description.rootDigest)")
    }

    private static func known(_ guid: GUID) -> String? {
        guid == .zero ? nil : "\(guid)"
    }
}
