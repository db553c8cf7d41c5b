import Resync
import Storage

/// The bytes of a digest map as docs/digest-map.md has them, right or wrong as a test wants, with
/// checksums that hold.
struct CraftedMap {
    struct Record {
        var kind: UInt32
        var count: UInt64
        var digests: [BlockDigest] = []

        static func zeros(_ count: UInt64) -> Record { Record(kind: 1, count: count) }

        static func digests(_ digests: [BlockDigest]) -> Record {
            Record(kind: 2, count: UInt64(digests.count), digests: digests)
        }
    }

    var magic = Array("vhdresyncmap\r\n".utf8) + [0x1A, 0x0A]
    var version: UInt32 = 1
    var blockSize: UInt32 = 4096
    var virtualSize: UInt64 = 0
    var virtualDiskID = GUID.zero
    var dataWriteGUID = GUID.zero
    /// Of version 2.
    var fileState: BlockDigest?
    var reserved: UInt32 = 0
    var records: [Record] = []
    var trailerKind: UInt32 = 3
    var blockCount: UInt64 = 0
    var root: BlockDigest

    /// A valid map of a disk in blocks of 4096 bytes.
    init(virtualSize: UInt64, records: [Record]) throws {
        self.virtualSize = virtualSize
        self.records = records
        var tree = try DigestTreeBuilder(virtualSize: virtualSize, blockSize: 4096)
        for record in records {
            if record.kind == 1 { tree.append(zeroBlocks: record.count) }
            for digest in record.digests { tree.append(digest) }
        }
        blockCount = tree.blockCount
        root = tree.root()
    }

    var bytes: [UInt8] {
        get throws {
            var bytes = magic + littleEndian(version) + littleEndian(blockSize)
            bytes += littleEndian(virtualSize) + encoded(virtualDiskID) + encoded(dataWriteGUID)
            bytes += (fileState?.bytes ?? []) + littleEndian(reserved)
            bytes += littleEndian(CRC32C.checksum(of: bytes.rawSpan))
            for record in records {
                bytes += sealed(record.kind, record.count, record.digests.flatMap(\.bytes))
            }
            bytes += sealed(trailerKind, blockCount, root.bytes)
            var context = try SHA256Context()
            return bytes + context.digest(of: bytes.rawSpan).bytes
        }
    }

    private func sealed(_ kind: UInt32, _ count: UInt64, _ content: [UInt8]) -> [UInt8] {
        let unsealed =
            littleEndian(kind) + littleEndian(UInt32(0)) + littleEndian(count) + content
        let checksum = CRC32C.checksum(of: unsealed.rawSpan)
        return littleEndian(kind) + littleEndian(checksum) + unsealed[8...]
    }

    private func encoded(_ guid: GUID) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: GUID.byteCount)
        bytes.withMutableRawSpan { guid.encode(into: &$0, at: 0) }
        return bytes
    }

    private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// Reads a map to its end, and checks what every reader may rely on.
///
/// - Returns: the digests of all blocks, where there are few enough to list.
func readWhole(_ file: consuming ImmutableFile, upTo step: UInt64 = .max) throws -> [BlockDigest] {
    var reader = try DigestMapReader(reading: file)
    let header = reader.header
    var tree = try DigestTreeBuilder(
        virtualSize: header.virtualSize, blockSize: header.blockSize)
    var digests: [BlockDigest] = []
    while let run = try reader.nextRun(upTo: step) {
        precondition(run.blockCount > 0 && run.blockCount <= step)
        switch run {
        case .zeros(let count):
            if count <= 1 << 20 {
                for index in 0..<count {
                    digests.append(tree.zeros.digest(ofBlock: tree.appendedCount + index))
                }
            }
            tree.append(zeroBlocks: count)
        case .digests(let run):
            precondition(run.count <= 4096)
            digests += run
            for digest in run { tree.append(digest) }
        }
        precondition(reader.givenCount == tree.appendedCount)
    }
    precondition(reader.givenCount == reader.blockCount)
    let root = tree.root()
    precondition(root == reader.rootDigest)
    return digests
}
