import Resync
import Storage

/// The bytes of a delta stream as docs/delta-stream.md has them, right or wrong as a test wants,
/// with checksums that hold. Nothing of it is made by the code under test but SHA-256 and CRC-32C.
struct CraftedDelta {
    struct Record {
        var kind: UInt32
        var first: UInt64
        /// Of data the lower half counts the blocks, the upper is the length of the payload.
        var count: UInt64
        var content: [UInt8] = []

        static func zeros(_ blocks: Range<UInt64>) -> Record {
            Record(kind: 1, first: blocks.lowerBound, count: blocks.byteCount)
        }

        static func data(
            _ first: UInt64, digests: [BlockDigest], payload: [UInt8], length: UInt32? = nil
        ) -> Record {
            let length = UInt64(length ?? UInt32(payload.count))
            return Record(
                kind: 2, first: first, count: UInt64(digests.count) | length << 32,
                content: digests.flatMap(\.bytes) + payload)
        }

        /// Whole blocks of 4096 bytes that all hold one value, compressed.
        static func run(_ first: UInt64, blocks: Int, of byte: UInt8) throws -> Record {
            var context = try SHA256Context()
            let block = [UInt8](repeating: byte, count: 4096)
            let digest = context.digest(of: block.rawSpan)
            return data(
                first, digests: [BlockDigest](repeating: digest, count: blocks),
                payload: CraftedDelta.lz4Block(of: byte, count: 4096 * blocks))
        }

        var blockCount: UInt64 {
            get { count & 0xFFFF_FFFF }
            set { count = (count >> 32) << 32 | newValue }
        }
        var payloadLength: UInt64 {
            get { count >> 32 }
            set { count = newValue << 32 | count & 0xFFFF_FFFF }
        }

        var bytes: [UInt8] {
            sealed(kind, littleEndian(first) + littleEndian(count) + content)
        }
    }

    var magic = Array("vhdresyncdlt\r\n".utf8) + [0x1A, 0x0A]
    var version: UInt32 = 1
    var blockSize: UInt32 = 4096
    var virtualSize: UInt64
    var streamID: GUID
    /// States of the base and of the source, and the data write GUID of the result.
    var states = [UInt8](repeating: 0x5A, count: 144)
    var flags: UInt32 = 1
    var records: [Record]

    var trailerKind: UInt32 = 3
    var counts: [UInt64]
    /// The trailer's, where it is another than the header's.
    var trailerID: GUID?
    var roots = [UInt8](repeating: 0xA5, count: 64)
    var hasTrailer = true

    /// A valid stream for a disk in blocks of 4096 bytes.
    init(virtualSize: UInt64, streamID: GUID, records: [Record]) {
        self.virtualSize = virtualSize
        self.streamID = streamID
        self.records = records
        counts = [0, 0, 0]
        count()
    }

    /// Makes the trailer count what there is.
    mutating func count() {
        counts = [UInt64(records.count), 0, 0]
        for record in records {
            if record.kind == 2 {
                counts[1] += record.blockCount
            } else {
                counts[2] += record.count
            }
        }
    }

    var header: [UInt8] {
        var bytes = magic + littleEndian(version) + littleEndian(blockSize)
        bytes += littleEndian(virtualSize) + encoded(streamID) + states + littleEndian(flags)
        return bytes + littleEndian(CRC32C.checksum(of: bytes.rawSpan))
    }

    var bytes: [UInt8] {
        get throws {
            var bytes = header + records.flatMap(\.bytes)
            guard hasTrailer else { return bytes }
            bytes += sealed(
                trailerKind,
                counts.flatMap { littleEndian($0) } + encoded(trailerID ?? streamID) + roots)
            var context = try SHA256Context()
            return bytes + context.digest(of: bytes.rawSpan).bytes
        }
    }

    /// Where each record ends.
    var ends: [Int] {
        records.reduce(into: [200]) { $0.append($0[$0.count - 1] + $1.bytes.count) }
    }

    /// An LZ4 block of one value: a literal, a match with it that overlaps itself, five literals.
    static func lz4Block(of byte: UInt8, count: Int) -> [UInt8] {
        let more = count - 6 - 19
        return [0x1F, byte, 1, 0] + [UInt8](repeating: 255, count: more / 255)
            + [UInt8(more % 255), 0x50] + [UInt8](repeating: byte, count: 5)
    }
}

private func sealed(_ kind: UInt32, _ content: [UInt8]) -> [UInt8] {
    let unsealed = littleEndian(kind) + littleEndian(UInt32(0)) + content
    let checksum = CRC32C.checksum(of: unsealed.rawSpan)
    return littleEndian(kind) + littleEndian(checksum) + content
}

private func encoded(_ guid: GUID) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: GUID.byteCount)
    bytes.withMutableRawSpan { guid.encode(into: &$0, at: 0) }
    return bytes
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
}
