internal import Storage

/// The first structure of the file, [MS-VHDX] 2.2.1. It is written once and never changed.
///
///     offset  size  field
///          0     8  signature  "vhdxfile"
///          8   512  creator    UTF-16, who made the file; diagnostic only, may be empty
struct FileIdentifier: Equatable, Sendable {
    /// The bytes that hold anything.
    static let byteCount = 520
    static let signature: UInt64 = 0x656C_6966_7864_6876

    /// Who made the file.
    var creator: String

    /// A new file's identifier. A creator of more than 255 UTF-16 units is cut.
    init(creator: String) {
        self.creator = creator
    }

    /// - Throws: ``VHDXError/notVHDX(path:)``.
    init(decoding bytes: RawSpan, of path: String) throws(VHDXError) {
        precondition(bytes.byteCount == Self.byteCount)
        guard bytes.load(UInt64.self, at: 0) == Self.signature else { throw .notVHDX(path: path) }
        var units: [UInt16] = []
        for index in 0..<256 {
            let unit = bytes.load(UInt16.self, at: 8 + index * 2)
            if unit == 0 { break }
            units.append(unit)
        }
        creator = String(decoding: units, as: UTF16.self)
    }

    func encode(into bytes: inout MutableRawSpan) {
        bytes.store(Self.signature, at: 0)
        for (index, unit) in creator.utf16.prefix(255).enumerated() {
            bytes.store(unit, at: 8 + index * 2)
        }
    }
}
