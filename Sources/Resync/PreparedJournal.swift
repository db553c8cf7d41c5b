internal import Storage

/// A journal that lacks nothing but its end: all records are in it, durable and proven, and the
/// trailer, which would make it the one that finishes its replica, is here.
///
/// So several replicas can become new together: each is prepared, one decision is made durable, and
/// each is finished with its trailer (``PreparedReplica``). Until then the journal is an unfinished one.
///
///     offset  size  field
///          0   200  header   of the journal
///        200     8  length   of the journal without its trailer, bytes
///        208   144  trailer
public struct PreparedJournal: Equatable, Sendable {
    package let header: DeltaHeader
    /// Where the trailer belongs.
    package let byteCount: UInt64
    /// As it is to stand there.
    package let trailer: [UInt8]

    /// Of the encoded value.
    public static let encodedByteCount = trailerOffset + DeltaTrailer.byteCount
    private static let trailerOffset = DeltaHeader.byteCount + 8

    package init(header: DeltaHeader, byteCount: UInt64, trailer: [UInt8]) {
        self.header = header
        self.byteCount = byteCount
        self.trailer = trailer
    }

    /// Decodes and checks what ``encoded()`` has made; nil where it is not that.
    public init?(decoding bytes: [UInt8]) {
        guard bytes.count == Self.encodedByteCount else { return nil }
        let span = bytes.rawSpan
        guard let header = try? DeltaHeader(decoding: span, path: ""), header.streamID != .zero,
            header.resultDataWriteGUID != .zero
        else { return nil }
        byteCount = span.load(UInt64.self, at: DeltaHeader.byteCount)
        let end = byteCount.addingReportingOverflow(UInt64(DeltaTrailer.byteCount))
        guard byteCount >= UInt64(DeltaHeader.byteCount), !end.overflow,
            end.partialValue <= UInt64(Int64.max)
        else { return nil }
        self.header = header
        trailer = Array(bytes[Self.trailerOffset...])
        guard let trailer = decodedTrailer else { return nil }
        let hasRoots = trailer.baseRoot != .zero || trailer.resultRoot != .zero
        guard header.hasRootDigests || !hasRoots else { return nil }
    }

    /// The value as bytes, which stay the same from release to release.
    public func encoded() -> [UInt8] {
        var bytes = header.encoded()
        let offset = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 8))
        bytes.withMutableRawSpan { $0.store(byteCount, at: offset) }
        return bytes + trailer
    }

    /// What the trailer says.
    var decodedTrailer: DeltaTrailer? {
        DeltaTrailer(decoding: trailer.rawSpan, streamID: header.streamID)
    }

    /// What the replica will read as; nil where nobody has found that out.
    var resultRoot: BlockDigest? {
        header.hasRootDigests ? decodedTrailer?.resultRoot : nil
    }
}

/// What came of a run that prepares a replica and does not change it.
public struct PreparedDisk: Sendable {
    public var report: DiskReport
    /// What finishes the replica; nil where it reads as the primary already, and nothing is to be done.
    public var journal: PreparedJournal?
    /// In which state the primary was compared.
    package var sourceState: DiskState

    /// Checks that the primary is still what was compared.
    ///
    /// - Throws: ``ResyncError/primaryChanged(path:)``; what it says is that of a disk in use, where
    ///   somebody writes to it.
    public func checkPrimary(
        at path: String, _ options: ResyncOptions
    ) throws(ResyncError) {
        let source = try PrimaryDisk(openingDiskAt: path, .primary, options)
        guard try source.state() == sourceState else { throw .primaryChanged(path: path) }
    }
}
