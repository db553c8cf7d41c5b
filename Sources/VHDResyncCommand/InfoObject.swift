internal import Replication
internal import VHDX

/// What `info --json` prints of an image that it could open. The keys of `image` are documented in
/// README.md; they keep their names.
struct InfoObject: Encodable, Equatable {
    struct Image: Encodable, Equatable {
        var path: String
        var kind: String
        var virtualSize: UInt64
        var fileSize: UInt64
        var payloadBlockSize: UInt64
        var logicalSectorSize: UInt64
        var physicalSectorSize: UInt64
        var creator: String
        var virtualDiskID: String
        var fileWriteGUID: String
        var dataWriteGUID: String
        var headerSequenceNumber: UInt64
        var logIsDirty: Bool
        var blockStates: BlockStates
    }

    struct BlockStates: Encodable, Equatable {
        var notPresent: UInt64
        var undefined: UInt64
        var zero: UInt64
        var unmapped: UInt64
        var fullyPresent: UInt64
        var partiallyPresent: UInt64
    }

    var returnValue = ReturnCode.completed.rawValue
    var returnName = ReturnCode.completed.name
    var image: Image

    init(_ info: ImageInfo) {
        let states = info.blockStates
        image = Image(
            path: info.path, kind: info.kind.rawValue, virtualSize: info.virtualSize,
            fileSize: info.fileSize, payloadBlockSize: info.payloadBlockSize,
            logicalSectorSize: info.logicalSectorSize,
            physicalSectorSize: info.physicalSectorSize, creator: info.creator,
            virtualDiskID: "\(info.virtualDiskID)", fileWriteGUID: "\(info.fileWriteGUID)",
            dataWriteGUID: "\(info.dataWriteGUID)",
            headerSequenceNumber: info.headerSequenceNumber, logIsDirty: info.logIsDirty,
            blockStates: BlockStates(
                notPresent: states.notPresent, undefined: states.undefined, zero: states.zero,
                unmapped: states.unmapped, fullyPresent: states.fullyPresent,
                partiallyPresent: states.partiallyPresent))
    }
}
