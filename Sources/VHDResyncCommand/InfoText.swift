internal import Replication
internal import Storage
internal import VHDX

/// An image in words, one property to a line.
enum InfoText {
    static func text(_ description: ImageDescription) -> String {
        let info = description.info
        let allocation = description.allocation
        let lines = [
            ("file", info.path.printable),
            ("creator", info.creator.printable),
            ("kind", info.kind.rawValue),
            ("virtual size", size(info.virtualSize)),
            ("file size", size(info.fileSize)),
            ("payload block size", size(info.payloadBlockSize)),
            ("geometry", geometry(description.geometry)),
            ("logical sector size", "\(info.logicalSectorSize) bytes"),
            ("physical sector size", "\(info.physicalSectorSize) bytes"),
            ("disk ID", "\(info.virtualDiskID)"),
            ("file write GUID", "\(info.fileWriteGUID)"),
            ("data write GUID", "\(info.dataWriteGUID)"),
            ("header sequence number", "\(info.headerSequenceNumber)"),
            ("log", log(description.log)),
        ]
        let markLines = info.mark.map { [("half-written", "\($0)".printable)] } ?? []
        let lastLines = [
            ("payload blocks", blocks(info.blockStates)),
            ("sector bitmaps", "\(description.bitmapCount)"),
            ("allocated", "\(size(allocation.payloadByteCount)) in payload blocks"),
            ("used in the file", size(description.usedByteCount)),
            ("unused in the file", size(description.unusedByteCount)),
            ("contiguous runs", "\(allocation.runCount)"),
            ("map", "[\(allocation.map)]"),
        ]
        return AlignedLines.text(
            lines + markLines + description.parents.map(parent) + description.regions.map(region)
                + lastLines)
    }

    private static func parent(_ parent: ImageDescription.Parent) -> (String, String) {
        switch parent {
        case .found(let path, let dataWriteGUID):
            ("parent", "\(path.printable), data write GUID \(dataWriteGUID)")
        case .missing(let reason): ("parent", "missing: \(reason.printable)")
        }
    }

    private static func geometry(_ geometry: Geometry) -> String {
        "\(ByteText.blocks(geometry.payloadBlockCount)), \(geometry.chunkRatio) to a chunk, "
            + "table of \(geometry.entryCount)"
    }

    private static func log(_ log: ImageDescription.Log) -> String {
        guard log.length > 0 else { return "none" }
        let place = "\(ByteText.size(log.length)) at byte \(log.fileOffset)"
        switch log.entryCountToReplay {
        case 0: return "\(place), empty"
        case 1: return "\(place), 1 entry to be replayed by the next writer"
        case let count: return "\(place), \(count) entries to be replayed by the next writer"
        }
    }

    private static func region(_ region: ImageDescription.Region) -> (String, String) {
        let what = region.name ?? "\(region.identifier)"
        let place = "\(ByteText.size(region.length)) at byte \(region.fileOffset)"
        return ("region", "\(what), \(place)\(region.isRequired ? ", required" : "")")
    }

    private static func size(_ byteCount: UInt64) -> String {
        "\(ByteText.size(byteCount)) (\(byteCount) bytes)"
    }

    /// The states that occur.
    private static func blocks(_ states: ImageInfo.BlockStates) -> String {
        let counts: [(UInt64, String)] = [
            (states.fullyPresent, "present"), (states.partiallyPresent, "partially present"),
            (states.notPresent, "not present"), (states.zero, "zero"),
            (states.unmapped, "unmapped"), (states.undefined, "undefined"),
        ]
        let texts = counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return texts.isEmpty ? "none" : texts.joined(separator: ", ")
    }
}

/// Names and values in two columns.
enum AlignedLines {
    /// One line for each pair, each with its end of line.
    static func text(_ lines: [(name: String, value: String)], indent: String = "") -> String {
        let width = lines.map { $0.name.count }.max() ?? 0
        return lines.map { name, value in
            let space = String(repeating: " ", count: width - name.count)
            return "\(indent)\(name): \(space)\(value)\n"
        }.joined()
    }
}
