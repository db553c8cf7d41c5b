internal import Storage

/// Where one region of the file lies, [MS-VHDX] 2.2.3.2.
///
///     offset  size  field
///          0    16  identifier   which region this is
///         16     8  file offset  bytes, a multiple of 1 MiB and at least 1 MiB
///         24     4  length       bytes, a multiple of 1 MiB
///         28     4  required     not zero: who does not know this region must not open the file
struct RegionTableEntry: Equatable, Sendable {
    static let byteCount = 32
    static let blockAllocationTable = GUID("2dc27766-f623-4200-9d64-115e9bfd4a08") ?? .zero
    static let metadata = GUID("8b7ca206-4790-4b9a-b8fe-575f050f886e") ?? .zero

    var identifier: GUID
    var fileOffset: UInt64
    var length: UInt32
    var isRequired: Bool

    /// The bytes of the file that the region occupies.
    var range: Range<UInt64> { fileOffset..<fileOffset + UInt64(length) }
}

extension RegionTableEntry {
    /// Decodes and checks the entry that was read from `position` in the file.
    init(decoding bytes: RawSpan, of path: String, at position: UInt64) throws(VHDXError) {
        precondition(bytes.byteCount == Self.byteCount)
        identifier = GUID(decoding: bytes, at: 0)
        fileOffset = bytes.load(UInt64.self, at: 16)
        length = bytes.load(UInt32.self, at: 24)
        isRequired = bytes.load(UInt32.self, at: 28) & 1 != 0

        guard fileOffset >= .mebibyte, fileOffset.isMultiple(of: .mebibyte),
            fileOffset <= UInt64.max - UInt64(UInt32.max)
        else {
            throw .invalidField(
                .regionTable, field: "file offset", value: fileOffset, path: path, at: position)
        }
        guard length > 0, length.isMultiple(of: UInt32(UInt64.mebibyte)) else {
            throw .invalidField(
                .regionTable, field: "length", value: UInt64(length), path: path, at: position)
        }
    }

    func encode(into bytes: inout MutableRawSpan, at offset: Int) {
        identifier.encode(into: &bytes, at: offset)
        bytes.store(fileOffset, at: offset + 16)
        bytes.store(length, at: offset + 24)
        bytes.store(UInt32(isRequired ? 1 : 0), at: offset + 28)
    }
}

/// The list of regions, [MS-VHDX] 2.2.3. It is stored twice.
///
///     offset  size  field
///          0     4  signature    "regi"
///          4     4  checksum     CRC-32C of the 64 KiB, with this field as zero
///          8     4  entry count  at most 2047
///         16    32  each entry
struct RegionTable: Equatable, Sendable {
    static let byteCount = 65536
    static let positions: [UInt64] = [192 << 10, 256 << 10]
    static let signature: UInt32 = 0x6967_6572
    static let checksumOffset = 4
    static let maximumEntryCount: UInt32 = 2047

    var entries: [RegionTableEntry]

    init(entries: [RegionTableEntry]) {
        self.entries = entries
    }

    /// Decodes and checks the copy that was read from `position` in the file.
    init(decoding bytes: RawSpan, of path: String, at position: UInt64) throws(VHDXError) {
        precondition(bytes.byteCount == Self.byteCount)
        guard bytes.load(UInt32.self, at: 0) == Self.signature else {
            throw .wrongSignature(.regionTable, path: path, at: position)
        }
        let stored = bytes.load(UInt32.self, at: Self.checksumOffset)
        let computed = CRC32C.checksum(of: bytes, withoutFieldAt: Self.checksumOffset)
        guard stored == computed else {
            throw .wrongChecksum(
                .regionTable, path: path, at: position, stored: stored, computed: computed)
        }
        let count = bytes.load(UInt32.self, at: 8)
        guard count <= Self.maximumEntryCount else {
            throw .invalidField(
                .regionTable, field: "entry count", value: UInt64(count), path: path, at: position)
        }
        entries = []
        for index in 0..<Int(count) {
            let offset = 16 + index * RegionTableEntry.byteCount
            entries.append(
                try RegionTableEntry(
                    decoding: bytes.extracting(offset..<offset + RegionTableEntry.byteCount),
                    of: path, at: position + UInt64(offset)))
        }
    }

    /// Encodes the table with its checksum.
    func encode(into bytes: inout MutableRawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        bytes.clear()
        bytes.store(Self.signature, at: 0)
        bytes.store(UInt32(entries.count), at: 8)
        for (index, entry) in entries.enumerated() {
            entry.encode(into: &bytes, at: 16 + index * RegionTableEntry.byteCount)
        }
        let checksum = CRC32C.checksum(of: bytes.bytes, withoutFieldAt: Self.checksumOffset)
        bytes.store(checksum, at: Self.checksumOffset)
    }
}

extension RegionTable {
    /// The pages of a copy of the table, through which the log changes it.
    func pages(at position: UInt64) -> [LoggedPage] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableRawSpan { encode(into: &$0) }
        return LoggedPage.pages(of: bytes, at: position)
    }

    /// The table that counts, and which copies have to be written again.
    struct Reading {
        var table: RegionTable
        /// Where the copy that counts stands.
        var position: UInt64
        /// Where a damaged copy stands.
        var damagedPositions: [UInt64]
    }

    /// Reads both copies. One that is damaged yields to the other.
    static func read(
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> Reading {
        var valid: [(position: UInt64, table: RegionTable)] = []
        var damaged: [UInt64] = []
        var firstError: VHDXError?
        for position in positions {
            do throws(VHDXError) {
                let bytes = try file.structure(.regionTable, at: position, count: byteCount)
                let table = try RegionTable(
                    decoding: bytes.rawSpan, of: file.name, at: position)
                valid.append((position, table))
            } catch {
                if case .file(let error) = error { throw .file(error) }
                firstError = firstError ?? error
                damaged.append(position)
            }
        }
        guard let first = valid.first else {
            throw .noValidCopy(
                .regionTable, firstError ?? .missing(.regionTable, path: file.name))
        }
        guard valid.allSatisfy({ $0.table == first.table }) else {
            throw .ambiguous(.regionTable, path: file.name, at: first.position)
        }
        try first.table.check(file, at: first.position)
        return Reading(
            table: first.table, position: first.position, damagedPositions: damaged)
    }

    /// Checks what concerns more than one entry, or the file.
    private func check(
        _ file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, at position: UInt64
    ) throws(VHDXError) {
        let known = [RegionTableEntry.blockAllocationTable, RegionTableEntry.metadata]
        var seen: Set<GUID> = []
        for (index, entry) in entries.enumerated() {
            guard seen.insert(entry.identifier).inserted else {
                let offset = 16 + index * RegionTableEntry.byteCount
                throw .overlap(.regionTable, path: file.name, at: position + UInt64(offset))
            }
            guard entry.range.upperBound <= file.byteCount else {
                throw .truncated(
                    .regionTable, path: file.name, at: entry.fileOffset, fileSize: file.byteCount)
            }
            if entry.isRequired && !known.contains(entry.identifier) {
                throw .unsupported("required region \(entry.identifier)", path: file.name)
            }
        }
    }

    func entry(_ identifier: GUID) -> RegionTableEntry? {
        entries.first { $0.identifier == identifier }
    }
}
