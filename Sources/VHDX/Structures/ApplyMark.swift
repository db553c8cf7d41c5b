public import Storage

/// What an image bears while it is half-written: a metadata item of this package that is marked as
/// required, so that nobody opens the image who keeps to [MS-VHDX] 2.6.1.2 and does not know it.
///
///     offset  size  field
///          0     4  version          1
///          4     4  path byte count  at most 4096
///          8    16  stream ID        zero where no journal is
///         24     n  journal path     UTF-8 without NUL
///
/// Its table entry has the item ID `3a6be8b1-7002-487b-97c8-a92f205c5d24` and no flag but "required".
public struct ApplyMark: Equatable, Sendable {
    /// The delta stream that it is being written from; `GUID.zero` where it is written in place without a
    /// journal.
    public var streamID: GUID
    /// Where that stream stands (UTF-8, at most 4096 bytes), to be shown and to be found; empty for
    /// none.
    public var journalPath: String

    public init(streamID: GUID, journalPath: String) {
        self.streamID = streamID
        self.journalPath = journalPath
    }
}

extension ApplyMark: CustomStringConvertible {
    /// What came to no end: one clause, without a capital or a full stop.
    public var description: String {
        if streamID == .zero { return "a resynchronization in place was interrupted" }
        let source = journalPath.isEmpty ? "delta stream \(streamID)" : journalPath
        return "an apply from \(source) was interrupted"
    }
}

extension ApplyMark {
    static let itemID = GUID("3a6be8b1-7002-487b-97c8-a92f205c5d24") ?? .zero
    static let flags = MetadataTableEntry.requiredFlag
    static let version: UInt32 = 1
    static let headerByteCount = 24
    /// As long as a path of Linux.
    static let maximumPathByteCount = 4096

    /// Decodes and checks the item that was read from `position` in the file.
    init(decoding bytes: RawSpan, of path: String, at position: UInt64) throws(VHDXError) {
        func invalid(_ field: String, _ value: UInt64, at offset: Int = 0) -> VHDXError {
            .invalidField(
                .applyMark, field: field, value: value, path: path, at: position + UInt64(offset))
        }
        guard bytes.byteCount >= Self.headerByteCount else {
            throw invalid("length", UInt64(bytes.byteCount))
        }
        let version = bytes.load(UInt32.self, at: 0)
        guard version == Self.version else { throw invalid("version", UInt64(version)) }
        let count = bytes.load(UInt32.self, at: 4)
        guard count <= Self.maximumPathByteCount,
            Int(count) == bytes.byteCount - Self.headerByteCount
        else { throw invalid("path byte count", UInt64(count), at: 4) }
        let text = bytes.extracting(Self.headerByteCount..<bytes.byteCount)
        let units = (0..<text.byteCount).map { text.load(UInt8.self, at: $0) }
        guard !units.contains(0), let journalPath = String(validating: units, as: UTF8.self) else {
            throw invalid(
                "journal path that is no text, bytes", UInt64(count), at: Self.headerByteCount)
        }
        self.init(
            streamID: GUID(decoding: bytes, at: 8), journalPath: journalPath)
    }

    /// The item as it is to stand on disk; `path` is that of the image.
    ///
    /// - Throws: ``VHDXError/unsupported(_:path:)`` for a journal path that cannot be told.
    func encoded(for path: String) throws(VHDXError) -> [UInt8] {
        let text = Array(journalPath.utf8)
        guard text.count <= Self.maximumPathByteCount, !text.contains(0) else {
            throw .unsupported(
                "a mark with a journal path of \(text.count) bytes, which is no path", path: path)
        }
        var header = [UInt8](repeating: 0, count: Self.headerByteCount)
        header.withMutableRawSpan { span in
            span.store(Self.version, at: 0)
            span.store(UInt32(text.count), at: 4)
            streamID.encode(into: &span, at: 8)
        }
        return header + text
    }
}

extension MetadataTableEntry {
    /// Whether it is that of a mark, though perhaps a damaged one.
    var isApplyMark: Bool { itemID == ApplyMark.itemID && !isUser }
}
