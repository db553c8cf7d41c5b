internal import Storage

/// Where one metadata item lies, [MS-VHDX] 2.6.1.2.
///
///     offset  size  field
///          0    16  item ID
///         16     4  offset    bytes from the start of the region, at least 64 KiB; 0 if empty
///         20     4  length    bytes, at most 1 MiB
///         24     4  flags     1: user's, 2: of the virtual disk, 4: required
struct MetadataTableEntry: Equatable, Sendable {
    static let byteCount = 32
    static let maximumLength: UInt32 = 1 << 20

    var itemID: GUID
    var offset: UInt32
    var length: UInt32
    var flags: UInt32

    static let userFlag: UInt32 = 1
    static let virtualDiskFlag: UInt32 = 2
    static let requiredFlag: UInt32 = 4

    var isUser: Bool { flags & Self.userFlag != 0 }
    var isRequired: Bool { flags & Self.requiredFlag != 0 }
}

extension MetadataTableEntry {
    /// Decodes the entry, whatever it says.
    init(uncheckedFrom bytes: RawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        itemID = GUID(decoding: bytes, at: 0)
        offset = bytes.load(UInt32.self, at: 16)
        length = bytes.load(UInt32.self, at: 20)
        flags = bytes.load(UInt32.self, at: 24)
    }

    /// What is wrong with the entry by itself.
    func errors(regionLength: UInt32, of path: String, at position: UInt64) -> [VHDXError] {
        func invalid(_ field: String, _ value: UInt32) -> VHDXError {
            .invalidField(
                .metadataTable, field: field, value: UInt64(value), path: path, at: position)
        }
        var errors: [VHDXError] = []
        if length > Self.maximumLength { errors.append(invalid("item length", length)) }
        let hasItsPlace =
            length == 0
            ? offset == 0
            : offset >= UInt32(MetadataTable.byteCount)
                && UInt64(offset) + UInt64(length) <= UInt64(regionLength)
        if !hasItsPlace { errors.append(invalid("item offset", offset)) }
        if isUser && isRequired { errors.append(invalid("item flags", flags)) }
        return errors
    }

    func encode(into bytes: inout MutableRawSpan, at position: Int) {
        itemID.encode(into: &bytes, at: position)
        bytes.store(offset, at: position + 16)
        bytes.store(length, at: position + 20)
        bytes.store(flags, at: position + 24)
    }
}

/// The list of metadata items at the start of the metadata region, [MS-VHDX] 2.6.1.1.
///
///     offset  size  field
///          0     8  signature    "metadata"
///         10     2  entry count  at most 2047
///         32    32  each entry
struct MetadataTable: Equatable, Sendable {
    static let byteCount = 65536
    static let signature: UInt64 = 0x6174_6164_6174_656D
    static let maximumEntryCount: UInt16 = 2047
    static let maximumUserEntryCount = 1024
    /// Where the number of entries stands.
    static let countOffset = 10

    var entries: [MetadataTableEntry]
}

extension MetadataTable {
    /// Decodes what can be decoded: the entries that are right.
    static func examine(
        _ bytes: RawSpan, regionLength: UInt32, of path: String, at position: UInt64
    ) -> Examination<MetadataTable> {
        var examination = Examination<MetadataTable>()
        do throws(VHDXError) {
            let count = try entryCount(bytes, of: path, at: position)
            var table = MetadataTable(entries: [])
            for index in 0..<count {
                let offset = entryOffset(index)
                let entry = MetadataTableEntry(
                    uncheckedFrom: bytes.extracting(
                        offset..<offset + MetadataTableEntry.byteCount))
                let errors = entry.errors(
                    regionLength: regionLength, of: path, at: position + UInt64(offset))
                if errors.isEmpty { table.entries.append(entry) }
                examination.errors += errors
            }
            examination.errors += table.errors(of: path, at: position)
            examination.value = table
        } catch {
            examination.errors.append(error)
        }
        return examination
    }

    /// Where in the table an entry stands, in bytes.
    static func entryOffset(_ index: Int) -> Int { 32 + index * MetadataTableEntry.byteCount }

    /// Checks all that comes before the entries.
    private static func entryCount(
        _ bytes: RawSpan, of path: String, at position: UInt64
    ) throws(VHDXError) -> Int {
        precondition(bytes.byteCount == byteCount)
        guard bytes.load(UInt64.self, at: 0) == signature else {
            throw .wrongSignature(.metadataTable, path: path, at: position)
        }
        let count = bytes.load(UInt16.self, at: countOffset)
        guard count <= maximumEntryCount else {
            throw .invalidField(
                .metadataTable, field: "entry count", value: UInt64(count), path: path,
                at: position)
        }
        return Int(count)
    }

    func encode(into bytes: inout MutableRawSpan) {
        bytes.store(Self.signature, at: 0)
        bytes.store(UInt16(entries.count), at: Self.countOffset)
        for (index, entry) in entries.enumerated() {
            entry.encode(into: &bytes, at: Self.entryOffset(index))
        }
    }

    /// What is wrong with more than one entry.
    private func errors(of path: String, at position: UInt64) -> [VHDXError] {
        var errors: [VHDXError] = []
        let userCount = entries.count { $0.isUser }
        if userCount > Self.maximumUserEntryCount {
            errors.append(
                .invalidField(
                    .metadataTable, field: "user entry count", value: UInt64(userCount),
                    path: path, at: position))
        }
        var seen: [Bool: Set<GUID>] = [:]
        for entry in entries where !seen[entry.isUser, default: []].insert(entry.itemID).inserted {
            errors.append(.overlap(.metadataTable, path: path, at: position))
        }
        let placed = entries.filter { $0.length > 0 }.sorted { $0.offset < $1.offset }
        for (first, second) in zip(placed, placed.dropFirst())
        where first.offset + first.length > second.offset {
            errors.append(
                .overlap(.metadataItem, path: path, at: position + UInt64(second.offset)))
        }
        return errors
    }
}
