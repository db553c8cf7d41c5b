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

    /// Whether it is one of the two that every image has.
    var isKnown: Bool {
        identifier == Self.blockAllocationTable || identifier == Self.metadata
    }

    /// The bytes of the file that the region occupies.
    var range: Range<UInt64> { fileOffset..<fileOffset + UInt64(length) }
}

extension RegionTableEntry {
    /// Decodes the entry, whatever it says.
    init(uncheckedFrom bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        identifier = GUID(decoding: bytes, at: 0)
        fileOffset = bytes.load(UInt64.self, at: 16)
        length = bytes.load(UInt32.self, at: 24)
        isRequired = bytes.load(UInt32.self, at: 28) & 1 != 0
    }

    /// What is wrong with the entry by itself.
    func errors(of path: String, at position: UInt64) -> [VHDXError] {
        func invalid(_ field: String, _ value: UInt64) -> VHDXError {
            .invalidField(.regionTable, field: field, value: value, path: path, at: position)
        }
        var errors: [VHDXError] = []
        if fileOffset < .mebibyte || !fileOffset.isMultiple(of: .mebibyte)
            || fileOffset > UInt64.max - UInt64(UInt32.max)
        {
            errors.append(invalid("file offset", fileOffset))
        }
        if length == 0 || !length.isMultiple(of: UInt32(UInt64.mebibyte)) {
            errors.append(invalid("length", UInt64(length)))
        }
        return errors
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

    /// Decodes what can be decoded: the entries that are right.
    static func examine(
        _ bytes: RawSpan, of path: String, at position: UInt64
    ) -> Examination<RegionTable> {
        var examination = Examination<RegionTable>()
        do throws(VHDXError) {
            let count = try entryCount(bytes, of: path, at: position)
            var table = RegionTable(entries: [])
            for index in 0..<count {
                let offset = entryOffset(index)
                let entry = RegionTableEntry(
                    uncheckedFrom: bytes.extracting(offset..<offset + RegionTableEntry.byteCount))
                let errors = entry.errors(of: path, at: position + UInt64(offset))
                if errors.isEmpty { table.entries.append(entry) }
                examination.errors += errors
            }
            examination.value = table
        } catch {
            examination.errors.append(error)
        }
        return examination
    }

    /// Where in the table an entry stands, in bytes.
    static func entryOffset(_ index: Int) -> Int { 16 + index * RegionTableEntry.byteCount }

    /// Checks all that comes before the entries.
    private static func entryCount(
        _ bytes: RawSpan, of path: String, at position: UInt64
    ) throws(VHDXError) -> Int {
        precondition(bytes.byteCount == byteCount)
        guard bytes.load(UInt32.self, at: 0) == signature else {
            throw .wrongSignature(.regionTable, path: path, at: position)
        }
        let stored = bytes.load(UInt32.self, at: checksumOffset)
        let computed = CRC32C.checksum(of: bytes, withoutFieldAt: checksumOffset)
        guard stored == computed else {
            throw .wrongChecksum(
                .regionTable, path: path, at: position, stored: stored, computed: computed)
        }
        let count = bytes.load(UInt32.self, at: 8)
        guard count <= maximumEntryCount else {
            throw .invalidField(
                .regionTable, field: "entry count", value: UInt64(count), path: path, at: position)
        }
        return Int(count)
    }

    /// Encodes the table with its checksum.
    func encode(into bytes: inout MutableRawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        bytes.clear()
        bytes.store(Self.signature, at: 0)
        bytes.store(UInt32(entries.count), at: 8)
        for (index, entry) in entries.enumerated() {
            entry.encode(into: &bytes, at: Self.entryOffset(index))
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
        let reading = try current(among: copies(in: file), of: file.name)
        try reading.table.errors(in: file, at: reading.position).throwFirst()
        return reading
    }

    /// Both copies, each by itself.
    ///
    /// - Throws: an error of the file; what is wrong with a copy is in its examination.
    static func copies(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [Examination<RegionTable>] {
        var copies: [Examination<RegionTable>] = []
        for position in positions {
            var errors: [VHDXError] = []
            let bytes = try errors.collect { () throws(VHDXError) in
                try file.structure(.regionTable, at: position, count: byteCount)
            }
            if let bytes {
                copies.append(examine(bytes.rawSpan, of: file.name, at: position))
            } else {
                copies.append(Examination(errors: errors))
            }
        }
        return copies
    }

    /// Which of the copies counts: any that is wholly valid.
    static func current(
        among copies: [Examination<RegionTable>], of path: String
    ) throws(VHDXError) -> Reading {
        var valid: [Reading] = []
        var damaged: [UInt64] = []
        for (position, copy) in zip(positions, copies) {
            if let table = copy.value, copy.errors.isEmpty {
                valid.append(Reading(table: table, position: position, damagedPositions: []))
            } else {
                damaged.append(position)
            }
        }
        guard var first = valid.first else {
            let firstError = copies.first?.errors.first
            throw .noValidCopy(.regionTable, firstError ?? .missing(.regionTable, path: path))
        }
        guard valid.allSatisfy({ $0.table == first.table }) else {
            throw .ambiguous(.regionTable, path: path, at: first.position)
        }
        first.damagedPositions = damaged
        return first
    }

    /// What is wrong with more than one entry, or with one in this file.
    func errors(
        in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, at position: UInt64
    ) -> [VHDXError] {
        var errors: [VHDXError] = []
        var seen: Set<GUID> = []
        for (index, entry) in entries.enumerated() {
            guard seen.insert(entry.identifier).inserted else {
                let offset = UInt64(Self.entryOffset(index))
                errors.append(.overlap(.regionTable, path: file.name, at: position + offset))
                continue
            }
            if entry.range.upperBound > file.byteCount {
                errors.append(
                    .truncated(
                        .regionTable, path: file.name, at: entry.fileOffset,
                        fileSize: file.byteCount))
            }
            if entry.isRequired && !entry.isKnown {
                errors.append(
                    .unsupported("required region \(entry.identifier)", path: file.name))
            }
        }
        return errors
    }

    func entry(_ identifier: GUID) -> RegionTableEntry? {
        entries.first { $0.identifier == identifier }
    }
}
