package import VHDX

/// What `info --json` prints of an image that it could open. The keys of `image` are documented in
/// README.md; they keep their names.
package struct InfoObject: Encodable, Equatable {
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
        var parents: [Parent]
        var geometry: GeometryObject
        var log: Log
        var regions: [Region]
        var allocation: AllocationObject
        /// Only where the image is half-written.
        var unfinishedApply: UnfinishedApply?
    }

    /// The mark of a half-written image.
    struct UnfinishedApply: Encodable, Equatable {
        var streamID: String
        var journal: Nullable<String>

        init(_ mark: ApplyMark) {
            streamID = "\(mark.streamID)"
            journal = Nullable(mark.journalPath.isEmpty ? nil : mark.journalPath)
        }
    }

    /// One of the images that the image builds on: the error says why it cannot be used.
    struct Parent: Encodable, Equatable {
        var path: Nullable<String>
        var dataWriteGUID: Nullable<String>
        var error: Nullable<String>
    }

    struct GeometryObject: Encodable, Equatable {
        var payloadBlocks: UInt64
        /// Payload blocks in a chunk.
        var chunkRatio: UInt64
        var batEntries: UInt64
    }

    struct Log: Encodable, Equatable {
        var offset: UInt64
        var length: UInt64
        var entriesToReplay: Int
    }

    struct Region: Encodable, Equatable {
        var identifier: String
        var name: Nullable<String>
        var offset: UInt64
        var length: UInt64
        var isRequired: Bool
    }

    struct AllocationObject: Encodable, Equatable {
        var payloadBytes: UInt64
        var sectorBitmaps: UInt64
        var usedBytes: UInt64
        var unusedBytes: UInt64
        var contiguousRuns: UInt64
        /// Of each of 64 equal parts of the disk.
        var percentOfParts: [Int]
        var map: String
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

    package init(_ description: ImageDescription) {
        let info = description.info
        let geometry = description.geometry
        let log = description.log
        let allocation = description.allocation
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
                partiallyPresent: states.partiallyPresent),
            parents: description.parents.map(Parent.init),
            geometry: GeometryObject(
                payloadBlocks: geometry.payloadBlockCount, chunkRatio: geometry.chunkRatio,
                batEntries: geometry.entryCount),
            log: Log(
                offset: log.fileOffset, length: log.length,
                entriesToReplay: log.entryCountToReplay),
            regions: description.regions.map(Region.init),
            allocation: AllocationObject(
                payloadBytes: allocation.payloadByteCount, sectorBitmaps: description.bitmapCount,
                usedBytes: description.usedByteCount,
                unusedBytes: description.unusedByteCount, contiguousRuns: allocation.runCount,
                percentOfParts: allocation.parts.map(\.allocatedPercent),
                map: allocation.map),
            unfinishedApply: info.mark.map(UnfinishedApply.init))
    }
}

extension InfoObject.Parent {
    init(_ parent: ImageDescription.Parent) {
        switch parent {
        case .found(let path, let dataWriteGUID):
            self.init(
                path: Nullable(path), dataWriteGUID: Nullable("\(dataWriteGUID)"),
                error: Nullable(nil))
        case .missing(let reason):
            self.init(path: Nullable(nil), dataWriteGUID: Nullable(nil), error: Nullable(reason))
        }
    }
}

extension InfoObject.Region {
    init(_ region: ImageDescription.Region) {
        identifier = "\(region.identifier)"
        name = Nullable(region.name)
        offset = region.fileOffset
        length = region.length
        isRequired = region.isRequired
    }
}

extension Allocation {
    /// A character for each part of the disk, darker with the share that is allocated.
    package var map: String {
        String(
            parts.map { part -> Character in
                switch part.allocatedPercent {
                case 0: " "
                case ...25: "."
                case ...50: ":"
                case ...75: "+"
                case ..<100: "*"
                default: "#"
                }
            })
    }
}
