internal import Storage

/// Where a differencing image finds its parent, [MS-VHDX] 2.6.2.6: keys and values, both text.
///
///     offset  size  field
///          0    16  locator type     the one that VHDX defines
///         18     2  key-value count
///         20    12  each entry:
///                     0  4  key offset     bytes from the start of the item
///                     4  4  value offset   bytes from the start of the item
///                     8  2  key length     bytes of UTF-16, without a zero at the end
///                    10  2  value length   bytes of UTF-16, without a zero at the end
struct ParentLocator: Equatable, Sendable {
    static let vhdxType = GUID("b04aefb7-d19e-4a81-b789-25b8e9445913") ?? .zero
    static let headerByteCount = 20
    static let entryByteCount = 12
    /// Real locators have five entries.
    static let maximumEntryCount: UInt16 = 256

    /// The keys that the format defines, [MS-VHDX] 2.6.2.6.3.
    enum Key: String, CaseIterable {
        case linkage = "parent_linkage"
        case linkage2 = "parent_linkage2"
        case relativePath = "relative_path"
        case volumePath = "volume_path"
        case absolutePath = "absolute_win32_path"

        /// In the order in which they are followed.
        static let paths: [Key] = [.relativePath, .volumePath, .absolutePath]
    }

    /// Other keys are checked, and not kept: a crafted locator has megabytes of them.
    private var values: [Key: String] = [:]
    /// The DataWriteGuid that the parent must have.
    private(set) var linkage = GUID.zero
    /// Another one that it may have: a merge is under way. Windows stores zeros for none.
    private(set) var linkage2: GUID?

    subscript(key: Key) -> String? { values[key] }

    /// The names in the path that a key has; none where it has none.
    func components(of key: Key) -> [String] {
        self[key].map(Self.components) ?? []
    }

    /// The names in a path of Windows, or of who writes one for it.
    static func components(of path: String) -> [String] {
        PathText.components(of: path, separators: Array(#"\/"#.utf8)).filter { $0 != "." }
    }

    /// One that names no parent, where the real one cannot be read.
    static let unknown = ParentLocator(linkage: .zero, relativePath: "")

    /// Whether an image in this state is the parent. Zeros name none.
    func names(_ dataWriteGUID: GUID) -> Bool {
        dataWriteGUID != .zero && (dataWriteGUID == linkage || dataWriteGUID == linkage2)
    }
}

extension ParentLocator {
    /// The locator of a new image; the path leads from its folder to the parent, with `\` between
    /// names.
    init(linkage: GUID, relativePath: String) {
        self.linkage = linkage
        values = [.linkage: "{\(linkage)}", .relativePath: relativePath]
    }

    /// Decodes and checks the item that was read from `position` in the file.
    init(decoding bytes: RawSpan, of path: String, at position: UInt64) throws(VHDXError) {
        let item = LocatorItem(path: path, position: position)
        guard bytes.byteCount >= Self.headerByteCount else {
            throw item.invalid("length", UInt64(bytes.byteCount))
        }
        let type = GUID(decoding: bytes, at: 0)
        guard type == Self.vhdxType else {
            throw .unsupported("a parent locator of type \(type)", path: path)
        }
        let count = bytes.load(UInt16.self, at: 18)
        guard count > 0, count <= Self.maximumEntryCount,
            Self.headerByteCount + Int(count) * Self.entryByteCount <= bytes.byteCount
        else { throw item.invalid("key-value count", UInt64(count)) }
        var keys: Set<String> = []
        for index in 0..<Int(count) {
            let entry = Self.headerByteCount + index * Self.entryByteCount
            let key = try item.text(of: entry, .key, in: bytes)
            let value = try item.text(of: entry, .value, in: bytes)
            guard keys.insert(key).inserted else {
                throw item.invalid("second entry for one key, at index", UInt64(index), at: entry)
            }
            if let key = Key(rawValue: key) { values[key] = value }
        }
        try checkKeys(item)
    }

    private mutating func checkKeys(_ item: LocatorItem) throws(VHDXError) {
        guard let first = self[.linkage].flatMap(GUID.init) else {
            throw item.invalid("parent_linkage without a GUID, length", length(of: .linkage))
        }
        linkage = first
        if self[.linkage2] != nil {
            guard let second = self[.linkage2].flatMap(GUID.init) else {
                throw item.invalid("parent_linkage2 without a GUID, length", length(of: .linkage2))
            }
            linkage2 = second == .zero ? nil : second
        }
        guard Key.paths.contains(where: { self[$0] != nil }) else {
            throw item.invalid("number of paths", 0)
        }
    }

    /// Characters of a value; 0 for none.
    private func length(of key: Key) -> UInt64 { UInt64(self[key]?.count ?? 0) }

    /// The item as it is to stand on disk: the entries, then the texts.
    func encoded() -> [UInt8] {
        let entries = values.map { ($0.key.rawValue, $0.value) }.sorted { $0.0 < $1.0 }
        var texts: [UInt8] = []
        var header = [UInt8](
            repeating: 0, count: Self.headerByteCount + entries.count * Self.entryByteCount)
        let textStart = header.count
        header.withMutableRawSpan { span in
            Self.vhdxType.encode(into: &span, at: 0)
            span.store(UInt16(entries.count), at: 18)
            for (index, (key, value)) in entries.enumerated() {
                let entry = Self.headerByteCount + index * Self.entryByteCount
                for (field, text) in [key, value].enumerated() {
                    span.store(UInt32(textStart + texts.count), at: entry + field * 4)
                    span.store(UInt16(text.utf16.count * 2), at: entry + 8 + field * 2)
                    for unit in text.utf16 { texts += [UInt8(unit & 0xFF), UInt8(unit >> 8)] }
                }
            }
        }
        return header + texts
    }
}

/// Where a locator stands, for the errors of its decoder.
private struct LocatorItem {
    let path: String
    let position: UInt64

    /// The two texts of an entry. The raw value is the position of the offset in the entry.
    enum Text: Int {
        case key = 0
        case value = 4

        var name: String { self == .key ? "key" : "value" }
        var lengthPosition: Int { self == .key ? 8 : 10 }
    }

    /// An error about the field, or about that of the entry at an offset.
    func invalid(_ field: String, _ value: UInt64, at entry: Int = 0) -> VHDXError {
        .invalidField(
            .parentLocator, field: field, value: value, path: path, at: position + UInt64(entry))
    }

    func text(of entry: Int, _ text: Text, in bytes: RawSpan) throws(VHDXError) -> String {
        let offset = bytes.load(UInt32.self, at: entry + text.rawValue)
        let length = bytes.load(UInt16.self, at: entry + text.lengthPosition)
        guard length > 0, length.isMultiple(of: 2) else {
            throw invalid("\(text.name) length", UInt64(length), at: entry)
        }
        let slice: RawSpan
        do throws(OutOfBounds) {
            slice = try bytes.slice(at: UInt64(offset), count: UInt64(length))
        } catch {
            throw invalid("\(text.name) offset", UInt64(offset), at: entry)
        }
        var units: [UInt16] = []
        for place in stride(from: 0, to: slice.byteCount, by: 2) {
            units.append(slice.load(UInt16.self, at: place))
        }
        guard !units.contains(0), let result = String(validating: units, as: UTF16.self) else {
            throw invalid("\(text.name) that is no text, offset", UInt64(offset), at: entry)
        }
        return result
    }
}
