/// Writes VHDX images byte by byte, straight from [MS-VHDX] and without any code of the module
/// that reads them, so that the two check each other.
///
/// An image need not be right: everything here can hold a forbidden value, and the extensions of
/// ``MemoryFile`` below damage what was written.
package struct ImageBuilder: Sendable {
    /// What the file parameters say of the image.
    package enum Kind: Sendable {
        case dynamic, fixed, differencing
    }

    /// One of the two headers, [MS-VHDX] 2.2.2.
    package struct Header: Sendable {
        package var sequenceNumber: UInt64
        package var fileWriteGUID = "11111111-2222-4333-8444-555555555555"
        package var dataWriteGUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
        package var logGUID = ImageBuilder.zeroGUID
        package var logVersion: UInt16 = 0
        package var version: UInt16 = 1
        package var logLength: UInt32 = 1 << 20
        package var logOffset: UInt64 = 1 << 20

        /// A header without a log to replay.
        package init(sequenceNumber: UInt64) {
            self.sequenceNumber = sequenceNumber
        }
    }

    /// An entry of the region table, [MS-VHDX] 2.2.3.2.
    package struct Region: Sendable {
        package var identifier: String
        package var offset: UInt64
        package var length: UInt32
        package var required: UInt32

        /// A region.
        package init(identifier: String, offset: UInt64, length: UInt32, required: UInt32) {
            self.identifier = identifier
            self.offset = offset
            self.length = length
            self.required = required
        }
    }

    /// An entry of the metadata table with its content, [MS-VHDX] 2.6.1.2.
    package struct MetadataItem: Sendable {
        package var identifier: String
        /// From the start of the region.
        package var offset: UInt32
        package var flags: UInt32
        package var content: [UInt8]
        /// The length in the entry, where it is not that of the content.
        package var length: UInt32?

        /// An item.
        package init(identifier: String, offset: UInt32, flags: UInt32, content: [UInt8]) {
            self.identifier = identifier
            self.offset = offset
            self.flags = flags
            self.content = content
        }
    }

    /// A payload block: its entry in the BAT, and what lies at its place.
    package struct Block: Sendable {
        package var state: UInt64
        /// Where the entry points, in bytes.
        package var offset: UInt64
        /// The first bytes of the block; the rest is a hole.
        package var content: [UInt8]
    }

    package static let zeroGUID = "00000000-0000-0000-0000-000000000000"
    package static let batRegion = "2DC27766-F623-4200-9D64-115E9BFD4A08"
    package static let metadataRegion = "8B7CA206-4790-4B9A-B8FE-575F050F886E"
    package static let fileParameters = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
    package static let virtualDiskSize = "2FA54224-CD1B-4876-B211-5DBED83BF4B8"
    package static let virtualDiskID = "BECA12AB-B2E6-4523-93EF-C309E000C746"
    package static let logicalSectorSize = "8141BF1D-A96F-4709-BA47-F233A8FAAB5F"
    package static let physicalSectorSize = "CDA348C7-445D-4471-9CC9-E9885251C556"
    package static let parentLocator = "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"
    package static let incompleteFile = "71CC85F0-1B69-4E28-9558-C3BF83AE75D3"
    package static let diskID = "0fedcba9-8765-4321-8fed-cba987654321"

    package let virtualSize: UInt64
    package let blockSize: UInt64
    package let sectorSize: UInt64
    package let kind: Kind

    package var creator = "ImageBuilder"
    /// The slots at 64 and 128 KiB; a slot that is nil stays zero.
    package var headers: [Header?] = [Header(sequenceNumber: 7), Header(sequenceNumber: 8)]
    package var regions: [Region]
    package var metadataItems: [MetadataItem]
    package var metadataOffset: UInt64 { region(Self.metadataRegion) ?? 2 << 20 }
    package var batOffset: UInt64 { region(Self.batRegion) ?? 3 << 20 }
    /// By the number of the payload block. All others have a BAT entry of 0.
    package private(set) var blocks: [UInt64: Block] = [:]
    /// Raw BAT entries that replace or join those of the blocks, by their index in the BAT.
    package var rawBATEntries: [UInt64: UInt64] = [:]
    /// Bytes that stand in the file by themselves, by their offset.
    package var rawContent: [UInt64: [UInt8]] = [:]
    package var logEntries: [LogEntry] = []
    /// Where the next block without a chosen place goes.
    package var nextOffset: UInt64
    /// The size of the file, where it is not the end of what is in it.
    package var fileSize: UInt64?

    /// An image whose log lies at 1 MiB, its metadata at 2 MiB, its BAT at 3 MiB, without blocks.
    package init(
        virtualSize: UInt64, blockSize: UInt64 = 1 << 20, logicalSectorSize: UInt64 = 512,
        physicalSectorSize: UInt64 = 4096, kind: Kind = .dynamic
    ) {
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        sectorSize = logicalSectorSize
        self.kind = kind
        let batLength = Self.roundUp(
            Self.entryCount(virtualSize, blockSize, logicalSectorSize, kind) * 8)
        regions = [
            Region(identifier: Self.metadataRegion, offset: 2 << 20, length: 1 << 20, required: 1),
            Region(
                identifier: Self.batRegion, offset: 3 << 20,
                length: UInt32(truncatingIfNeeded: batLength), required: 1),
        ]
        nextOffset = (3 << 20) + batLength
        let flags: UInt32 =
            switch kind {
            case .dynamic: 0
            case .fixed: 1
            case .differencing: 2
            }
        metadataItems = [
            MetadataItem(
                identifier: Self.fileParameters, offset: 65536, flags: 4,
                content: Self.bytes(UInt32(truncatingIfNeeded: blockSize)) + Self.bytes(flags)),
            MetadataItem(
                identifier: Self.virtualDiskSize, offset: 65544, flags: 6,
                content: Self.bytes(virtualSize)),
            MetadataItem(
                identifier: Self.logicalSectorSize, offset: 65552, flags: 6,
                content: Self.bytes(UInt32(truncatingIfNeeded: logicalSectorSize))),
            MetadataItem(
                identifier: Self.physicalSectorSize, offset: 65556, flags: 6,
                content: Self.bytes(UInt32(truncatingIfNeeded: physicalSectorSize))),
            MetadataItem(
                identifier: Self.virtualDiskID, offset: 65560, flags: 6,
                content: Self.bytes(ofGUID: Self.diskID)),
        ]
    }

    /// Adds a payload block, at the next free place where none is given.
    package mutating func addBlock(
        _ index: UInt64, state: UInt64 = 6, at offset: UInt64? = nil, content: [UInt8] = []
    ) {
        blocks[index] = Block(state: state, offset: offset ?? nextOffset, content: content)
        if offset == nil { nextOffset += blockSize }
    }

    /// Gives every block a place, in order.
    package mutating func addAllBlocks() {
        for index in 0..<Self.roundUp(virtualSize, to: blockSize) / blockSize {
            addBlock(index)
        }
    }

    // MARK: Arithmetic of the BAT, [MS-VHDX] 2.5

    private static func entryCount(
        _ virtualSize: UInt64, _ blockSize: UInt64, _ sectorSize: UInt64, _ kind: Kind
    ) -> UInt64 {
        guard blockSize > 0 else { return 0 }
        let ratio = max((sectorSize << 23) / blockSize, 1)
        let blockCount = (virtualSize / blockSize) + (virtualSize % blockSize == 0 ? 0 : 1)
        if kind == .differencing { return (blockCount + ratio - 1) / ratio * (ratio + 1) }
        return blockCount + (blockCount > 0 ? (blockCount - 1) / ratio : 0)
    }

    /// How many payload blocks one chunk has.
    package var chunkRatio: UInt64 { (sectorSize << 23) / blockSize }

    /// Where a payload block's entry stands in the BAT: after each chunk, one is skipped.
    package func batIndex(ofBlock block: UInt64) -> UInt64 {
        block + block / chunkRatio
    }

    /// Where a payload block's entry lies in the file.
    package func batEntryOffset(ofBlock block: UInt64) -> UInt64 {
        batOffset + batIndex(ofBlock: block) * 8
    }

    private func region(_ identifier: String) -> UInt64? {
        regions.first { $0.identifier == identifier }?.offset
    }
}

// MARK: Bytes

extension ImageBuilder {
    /// The image in memory.
    package func build(name: String = "/memory/disk.vhdx") -> MemoryFile {
        let file = MemoryFile(name: name)
        var identifier = Array("vhdxfile".utf8)
        for unit in creator.utf16 { identifier += Self.bytes(unit) }
        file.put(identifier, at: 0)
        for (slot, header) in headers.enumerated() {
            if let header { file.put(Self.encode(header), at: UInt64(slot + 1) << 16) }
        }
        let table = Self.encode(regions)
        file.put(table, at: 192 << 10)
        file.put(table, at: 256 << 10)
        putMetadata(into: file)
        for (index, block) in blocks {
            file.put(Self.bytes(block.offset | block.state), at: batEntryOffset(ofBlock: index))
            file.put(block.content, at: block.offset)
        }
        for (offset, bytes) in rawContent { file.put(bytes, at: offset) }
        for (index, entry) in rawBATEntries {
            file.put(Self.bytes(entry), at: batOffset + index * 8)
        }
        if let header = headers.compactMap({ $0 }).first {
            for entry in logEntries { entry.put(into: file, header) }
        }
        let size = fileSize ?? max(file.content.byteCount, naturalSize)
        file.content.resize(to: size)
        return file
    }

    /// The end of the log, of each region, and of each block that has content in the file.
    private var naturalSize: UInt64 {
        let logEnds = headers.compactMap { $0.map { $0.logOffset &+ UInt64($0.logLength) } }
        let regionEnds = regions.map { $0.offset &+ UInt64($0.length) }
        let blockEnds = blocks.values.filter { $0.state >= 6 }.map { $0.offset &+ blockSize }
        let ends = logEnds + regionEnds + blockEnds
        return ends.filter { $0 < 1 << 50 }.max() ?? 0
    }

    private func putMetadata(into file: MemoryFile) {
        var table = Array("metadata".utf8) + [0, 0]
        table += Self.bytes(UInt16(truncatingIfNeeded: metadataItems.count))
        table += [UInt8](repeating: 0, count: 20)
        for item in metadataItems {
            table += Self.bytes(ofGUID: item.identifier) + Self.bytes(item.offset)
            table += Self.bytes(item.length ?? UInt32(item.content.count))
            table += Self.bytes(item.flags) + Self.bytes(UInt32(0))
        }
        file.put(table, at: metadataOffset)
        for item in metadataItems {
            file.put(item.content, at: metadataOffset + UInt64(item.offset))
        }
    }

    package static func encode(_ header: Header) -> [UInt8] {
        var bytes = Array("head".utf8) + [0, 0, 0, 0]
        bytes += Self.bytes(header.sequenceNumber)
        bytes += Self.bytes(ofGUID: header.fileWriteGUID)
        bytes += Self.bytes(ofGUID: header.dataWriteGUID)
        bytes += Self.bytes(ofGUID: header.logGUID)
        bytes += Self.bytes(header.logVersion) + Self.bytes(header.version)
        bytes += Self.bytes(header.logLength) + Self.bytes(header.logOffset)
        bytes += [UInt8](repeating: 0, count: 4096 - bytes.count)
        return withChecksum(bytes)
    }

    package static func encode(_ regions: [Region]) -> [UInt8] {
        var bytes = Array("regi".utf8) + [0, 0, 0, 0]
        bytes += Self.bytes(UInt32(truncatingIfNeeded: regions.count)) + [0, 0, 0, 0]
        for region in regions {
            bytes += Self.bytes(ofGUID: region.identifier) + Self.bytes(region.offset)
            bytes += Self.bytes(region.length) + Self.bytes(region.required)
        }
        bytes += [UInt8](repeating: 0, count: 65536 - bytes.count)
        return withChecksum(bytes)
    }

    /// The structure with the checksum of all of it at offset 4.
    static func withChecksum(_ structure: [UInt8]) -> [UInt8] {
        var bytes = structure
        bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0])
        bytes.replaceSubrange(4..<8, with: Self.bytes(checksum(of: bytes)))
        return bytes
    }

    private static let checksumTable: [UInt32] = (0..<256).map { byte in
        var value = UInt32(byte)
        for _ in 0..<8 { value = value % 2 == 1 ? value / 2 ^ 0x82F6_3B78 : value / 2 }
        return value
    }

    /// CRC-32C.
    static func checksum(of bytes: [UInt8]) -> UInt32 {
        let table = checksumTable
        var value: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8
        }
        return value ^ 0xFFFF_FFFF
    }

    package static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// A GUID in the order on disk: the first three fields reversed.
    package static func bytes(ofGUID text: String) -> [UInt8] {
        let fields = text.split(separator: "-").map { field in
            stride(from: 0, to: field.count, by: 2).map { position in
                let start = field.index(field.startIndex, offsetBy: position)
                let digits = field[start...field.index(after: start)]
                return UInt8(digits, radix: 16) ?? 0
            }
        }
        precondition(fields.map(\.count) == [4, 2, 2, 2, 6])
        return fields[0].reversed() + fields[1].reversed() + fields[2].reversed() + fields[3]
            + fields[4]
    }

    static func roundUp(_ value: UInt64, to unit: UInt64 = 1 << 20) -> UInt64 {
        (value + unit - 1) / unit * unit
    }
}
