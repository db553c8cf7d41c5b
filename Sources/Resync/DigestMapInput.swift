internal import Storage

/// The file of a digest map, read in order by structures whose form and checksum are right.
struct DigestMapInput<File: RandomAccessFile & ~Copyable>: ~Copyable {
    /// Where the trailer starts, and the records must end.
    private(set) var end: UInt64 = 0
    /// Where the next structure starts.
    private(set) var position: UInt64 = 0

    private var input: SequentialInput<File>

    var path: String { input.path }

    init(_ file: consuming File) throws(ResyncError) {
        input = try SequentialInput(file)
    }

    func damage(_ what: String, at offset: UInt64) -> ResyncError {
        .damagedDigestMap(path: path, what: what, at: offset)
    }

    /// The bytes of the header, of which the magic and the version are right.
    mutating func head() throws(ResyncError) -> [UInt8] {
        let magic = DigestMap.magic
        guard input.byteCount >= UInt64(magic.count),
            try input.bytes(at: 0, count: magic.count) == magic
        else {
            throw .notADigestMap(path: path)
        }
        let versionOffset = DigestMap.versionOffset
        guard input.byteCount >= UInt64(versionOffset + 4) else { throw truncation() }
        let versionBytes = try input.bytes(at: UInt64(versionOffset), count: 4)
        let version = versionBytes.rawSpan.load(UInt32.self, at: 0)
        guard DigestMap.versions.contains(version) else {
            throw .unsupportedDigestMap(path: path, version: UInt64(version))
        }
        let headByteCount = DigestMapHeader.byteCount(ofVersion: version)
        let shortest = headByteCount + DigestMapRecord.trailerByteCount
        guard input.byteCount >= UInt64(shortest) else { throw truncation() }
        end = input.byteCount - UInt64(DigestMapRecord.trailerByteCount)
        position = UInt64(headByteCount)
        return try input.bytes(at: 0, count: headByteCount)
    }

    /// The bytes of the trailer. The next structure stays the next.
    mutating func trailer() throws(ResyncError) -> [UInt8] {
        let bytes = try input.bytes(at: end, count: DigestMapRecord.trailerByteCount)
        let kind = bytes.rawSpan.load(UInt32.self, at: DigestMapRecord.kindOffset)
        guard kind == DigestMapRecord.Kind.trailer.rawValue else {
            throw damage("no trailer", at: end)
        }
        let checked = bytes.rawSpan.extracting(0..<DigestMapRecord.checkedTrailerByteCount)
        guard DigestMapRecord.hasValidChecksum(checked) else {
            throw damage("wrong checksum of the trailer", at: end)
        }
        return bytes
    }

    /// The bytes of the next record, which is one of zeros or of digests. Its count is its own word,
    /// but for that a record of digests has as many as it counts.
    mutating func record() throws(ResyncError) -> [UInt8] {
        let headerByteCount = DigestMapRecord.headerByteCount
        guard end - position >= UInt64(headerByteCount) else {
            throw damage("no record where one must be", at: position)
        }
        let header = try input.bytes(at: position, count: headerByteCount)
        let count = header.rawSpan.load(UInt64.self, at: DigestMapRecord.countOffset)
        var byteCount = headerByteCount
        switch DigestMapRecord.Kind(
            rawValue: header.rawSpan.load(UInt32.self, at: DigestMapRecord.kindOffset))
        {
        case .zeros:
            break
        case .digests:
            guard (1...UInt64(DigestMapRecord.maximumDigestCount)).contains(count) else {
                throw damage("a record of \(count) digests", at: position)
            }
            byteCount += Int(count) * BlockDigest.byteCount
        case .trailer, nil:
            throw damage("a record of unknown kind", at: position)
        }
        guard end - position >= UInt64(byteCount) else {
            throw damage("a record that reaches past the end of the file", at: position)
        }
        let record = try input.bytes(at: position, count: byteCount)
        guard DigestMapRecord.hasValidChecksum(record.rawSpan) else {
            throw damage("wrong checksum of a record", at: position)
        }
        position += UInt64(byteCount)
        return record
    }

    private func truncation() -> ResyncError {
        damage("the file is truncated", at: input.byteCount)
    }
}
