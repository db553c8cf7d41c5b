internal import Replication
internal import Resync
internal import Storage

/// A digest map or a delta in words, one property to a line.
enum DeltaText {
    static func text(_ map: DigestMapDescription) -> String {
        let header = map.header
        return AlignedLines.text([
            ("file", map.path.printable),
            ("kind", "digest map, version \(map.version)"),
            ("file size", size(map.byteCount)),
            ("virtual size", size(header.virtualSize)),
            ("block size", size(UInt64(header.blockSize))),
            ("blocks", "\(map.blockCount), \(map.zeroBlockCount) of them zero"),
            ("disk ID", known(header.virtualDiskID)),
            ("data write GUID", known(header.dataWriteGUID)),
            ("root digest", "\(map.rootDigest)"),
        ])
    }

    static func text(_ delta: DeltaDescription) -> String {
        let kind = delta.isJournal ? "journal of a replica" : "delta"
        let end = delta.byteCount - delta.usableByteCount
        return AlignedLines.text([
            ("file", delta.path.printable),
            ("kind", "\(kind), version \(delta.version)"),
            (
                "state",
                delta.isComplete
                    ? "complete" : "unfinished, with \(end) bytes behind the last whole record"
            ),
            ("file size", size(delta.byteCount)),
            ("virtual size", size(delta.virtualSize)),
            ("block size", size(UInt64(delta.blockSize))),
            ("records", "\(delta.recordCount)"),
            ("blocks with data", "\(delta.dataBlockCount)"),
            ("blocks of zeros", "\(delta.zeroBlockCount)"),
            ("stream ID", "\(delta.streamID)"),
            ("applies to", state(delta.base)),
            ("made from", state(delta.source)),
            ("makes", state(delta.result)),
        ])
    }

    /// What is known of a disk, if anything is.
    private static func state(_ state: DeltaDescription.State) -> String {
        let parts = [
            state.virtualDiskID.map { "disk ID \($0)" },
            state.dataWriteGUID.map { "data write GUID \($0)" },
            state.rootDigest.map { "root digest \($0)" },
        ].compactMap(\.self)
        return parts.isEmpty ? "unknown" : parts.joined(separator: ", ")
    }

    private static func known(_ guid: GUID) -> String {
        guid == .zero ? "unknown" : "\(guid)"
    }

    private static func size(_ byteCount: UInt64) -> String {
        "\(ByteText.size(byteCount)) (\(byteCount) bytes)"
    }
}
