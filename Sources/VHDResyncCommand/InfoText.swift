internal import VHDX

/// An image in words, one property to a line.
enum InfoText {
    static func text(_ info: ImageInfo) -> String {
        let lines = [
            ("file", info.path.printable),
            ("kind", info.kind.rawValue),
            ("virtual size", size(info.virtualSize)),
            ("file size", size(info.fileSize)),
            ("payload block size", size(info.payloadBlockSize)),
            ("logical sector size", "\(info.logicalSectorSize) bytes"),
            ("physical sector size", "\(info.physicalSectorSize) bytes"),
            ("creator", info.creator.printable),
            ("disk ID", "\(info.virtualDiskID)"),
            ("file write GUID", "\(info.fileWriteGUID)"),
            ("data write GUID", "\(info.dataWriteGUID)"),
            ("header sequence number", "\(info.headerSequenceNumber)"),
            ("log", info.logIsDirty ? "to be replayed by the next writer" : "empty"),
            ("payload blocks", blocks(info.blockStates)),
        ]
        return AlignedLines.text(lines)
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
