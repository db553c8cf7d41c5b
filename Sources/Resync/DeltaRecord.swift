internal import Storage

/// A record of a delta stream: what some neighbouring blocks hold.
///
/// Its form, its checksum, its place in the order and its blocks were found right. Its content is
/// the stream's own word until ``decode(into:context:)`` has checked it.
///
///     offset  size  field
///          0     4  kind            1 zeros, 2 data
///          4     4  checksum        CRC-32C of the record with this field as 0
///          8     8  first block
///
/// and of zeros
///
///         16     8  block count
///
/// or of data
///
///         16     4  block count
///         20     4  payload length  bytes
///         24  32·n  digests         SHA-256 of each block
///                   payload         an LZ4 block of the content, or as long as that: the content
package struct DeltaRecord: Sendable {
    package enum Kind: UInt32, Sendable {
        case zeros = 1
        case data = 2
    }

    package let kind: Kind
    /// The blocks that the record is about, at least one.
    package let blocks: Range<UInt64>
    /// How many bytes these blocks hold.
    package let contentByteCount: UInt64
    /// Bytes in a block of the disk.
    package let blockSize: Int
    /// The record as it stands in the stream.
    package let bytes: [UInt8]
    /// Where it stands there.
    package let offset: UInt64
    /// What to call the stream in a message.
    package let path: String

    package static let headerByteCount = 24
    static let checksumOffset = 4
    static let firstBlockOffset = 8
    static let blockCountOffset = 16
    static let payloadLengthOffset = 20

    /// How long a record of data may be.
    package static func maximumByteCount(blockSize: Int) -> Int {
        headerByteCount
            + DeltaStream.maximumBlockCount(blockSize: blockSize) * BlockDigest.byteCount
            + DeltaStream.maximumContentByteCount(blockSize: blockSize)
    }
}

// MARK: Content

extension DeltaRecord {
    /// The SHA-256 of a block of a record of data, by its number in the record.
    package func digest(at index: Int) -> BlockDigest {
        precondition(kind == .data && index >= 0 && index < Int(blocks.byteCount))
        return BlockDigest(
            decoding: bytes.rawSpan, at: Self.headerByteCount + index * BlockDigest.byteCount)
    }

    /// Fills the buffer with the content of a record of data, and checks it by its digests.
    ///
    /// Where it throws, the buffer's bytes are undefined.
    ///
    /// - Precondition: the buffer is as long as the content.
    /// - Throws: ``ResyncError/damagedDelta(path:what:at:)``.
    package func decode(
        into buffer: inout MutableRawSpan, context: inout SHA256Context
    ) throws(ResyncError) {
        precondition(kind == .data && UInt64(buffer.byteCount) == contentByteCount)
        let blockCount = Int(blocks.byteCount)
        let payloadOffset = Self.headerByteCount + blockCount * BlockDigest.byteCount
        let payload = bytes.rawSpan.extracting(payloadOffset..<bytes.count)
        if payload.byteCount == buffer.byteCount {
            buffer.copy(payload)
        } else {
            guard Compression.decompress(payload, into: &buffer) else {
                throw damage(
                    "a payload of \(payload.byteCount) bytes that is no LZ4 block of "
                        + "\(buffer.byteCount) bytes", at: payloadOffset)
            }
        }
        let places = DigestTree.places(ofBlocks: blockSize, in: buffer.byteCount)
        for (index, computed) in context.digests(of: places[...], in: buffer.bytes).enumerated() {
            let stored = digest(at: index)
            guard computed == stored else {
                throw damage(
                    "digest \(stored) of block \(blocks.lowerBound + UInt64(index)), "
                        + "computed \(computed)",
                    at: Self.headerByteCount + index * BlockDigest.byteCount)
            }
        }
    }

    private func damage(_ what: String, at offset: Int) -> ResyncError {
        .damagedDelta(path: path, what: what, at: self.offset + UInt64(offset))
    }
}

// MARK: Form

extension DeltaRecord {
    /// The length of a record, from its first bytes: by its own word, and within the limits.
    ///
    /// - Parameters:
    ///   - start: The first 24 bytes of the record.
    ///   - stream: The header of the stream.
    ///   - offset: Where the record stands in the stream.
    ///   - path: What to call the stream in a message.
    /// - Returns: at most ``maximumByteCount(blockSize:)``, of which these bytes are the first 24.
    /// - Throws: ``ResyncError/damagedDelta(path:what:at:)``.
    package static func byteCount(
        startingWith start: RawSpan, in stream: DeltaHeader, at offset: UInt64, path: String
    ) throws(ResyncError) -> Int {
        precondition(start.byteCount == headerByteCount)
        func damage(_ what: String, at field: Int) -> ResyncError {
            .damagedDelta(path: path, what: what, at: offset + UInt64(field))
        }
        let number = start.load(UInt32.self, at: 0)
        guard let kind = Kind(rawValue: number) else {
            throw damage("a record of kind \(number)", at: 0)
        }
        guard kind == .data else { return headerByteCount }
        let blockCount = Int(start.load(UInt32.self, at: blockCountOffset))
        let limit = DeltaStream.maximumBlockCount(blockSize: stream.blockSize)
        guard (1...limit).contains(blockCount) else {
            throw damage(
                "a record of \(blockCount) blocks, expected 1 to \(limit)", at: blockCountOffset)
        }
        let payloadLength = Int(start.load(UInt32.self, at: payloadLengthOffset))
        let content = blockCount * stream.blockSize
        guard (1...content).contains(payloadLength) else {
            throw damage(
                "a payload of \(payloadLength) bytes, expected 1 to \(content)",
                at: payloadLengthOffset)
        }
        return headerByteCount + blockCount * BlockDigest.byteCount + payloadLength
    }

    /// Checks a record that is as long as its first bytes say.
    ///
    /// - Parameters:
    ///   - bytes: All of the record.
    ///   - stream: The header of the stream.
    ///   - endBlock: Behind the last block of the record before: this one's blocks follow.
    ///   - offset: Where the record stands in the stream.
    ///   - path: What to call the stream in a message.
    /// - Throws: ``ResyncError/damagedDelta(path:what:at:)``.
    package init(
        decoding bytes: [UInt8], in stream: DeltaHeader, after endBlock: UInt64,
        at offset: UInt64, path: String
    ) throws(ResyncError) {
        func damage(_ what: String, at field: Int) -> ResyncError {
            .damagedDelta(path: path, what: what, at: offset + UInt64(field))
        }
        let span = bytes.rawSpan
        guard let kind = Kind(rawValue: span.load(UInt32.self, at: 0)) else {
            preconditionFailure("a record has a kind, or it has no length")
        }
        let stored = span.load(UInt32.self, at: Self.checksumOffset)
        let computed = CRC32C.checksum(of: span, withoutFieldAt: Self.checksumOffset)
        guard stored == computed else {
            throw damage(
                "checksum \(stored) of a record, computed \(computed)", at: Self.checksumOffset)
        }
        let first = span.load(UInt64.self, at: Self.firstBlockOffset)
        let count =
            kind == .zeros
            ? span.load(UInt64.self, at: Self.blockCountOffset)
            : UInt64(span.load(UInt32.self, at: Self.blockCountOffset))
        guard count > 0 else { throw damage("a record of 0 blocks", at: Self.blockCountOffset) }
        guard first >= endBlock else {
            throw damage(
                "block \(first), expected at least \(endBlock)", at: Self.firstBlockOffset)
        }
        let (end, overflows) = first.addingReportingOverflow(count)
        guard !overflows, end <= stream.blockCount else {
            throw damage(
                "\(count) blocks from block \(first) on, where the disk has \(stream.blockCount)",
                at: Self.firstBlockOffset)
        }
        let content = stream.contentByteCount(of: first..<end)
        if kind == .data {
            let payloadLength = span.load(UInt32.self, at: Self.payloadLengthOffset)
            guard UInt64(payloadLength) <= content else {
                throw damage(
                    "a payload of \(payloadLength) bytes, expected 1 to \(content)",
                    at: Self.payloadLengthOffset)
            }
        }
        self.kind = kind
        blocks = first..<end
        contentByteCount = content
        blockSize = stream.blockSize
        self.bytes = bytes
        self.offset = offset
        self.path = path
    }

    /// The bytes of a record of zeros.
    static func encodedZeros(_ blocks: Range<UInt64>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerByteCount)
        bytes.withMutableRawSpan { span in
            span.store(Kind.zeros.rawValue, at: 0)
            span.store(blocks.lowerBound, at: firstBlockOffset)
            span.store(blocks.byteCount, at: blockCountOffset)
        }
        let checksum = CRC32C.checksum(of: bytes.rawSpan)
        bytes.withMutableRawSpan { $0.store(checksum, at: checksumOffset) }
        return bytes
    }
}
