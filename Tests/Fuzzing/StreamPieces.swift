internal import Resync
internal import Storage
internal import TestSupport

/// The two formats that are a header, records and a trailer.
enum StreamFormat {
    case delta
    case map

    /// How long the header is, by the version that it says.
    func headerByteCount(of bytes: [UInt8]) -> Int {
        switch self {
        case .delta: 200
        case .map: bytes.count >= 20 && bytes.number(UInt32.self, at: 16) == 2 ? 104 : 72
        }
    }

    var trailerByteCount: Int { self == .delta ? 144 : 80 }
    var recordHeaderByteCount: Int { self == .delta ? 24 : 16 }

    /// Where numbers stand, and how wide they are.
    var headerFields: [(offset: Int, width: Int)] {
        let common = [(0, 8), (12, 4), (16, 4), (20, 4), (24, 8), (32, 8)]
        return common
            + (self == .delta
                ? [(48, 8), (176, 8), (192, 4), (196, 4)]
                : [(64, 4), (68, 4), (88, 8), (96, 4), (100, 4)])
    }

    var recordFields: [(offset: Int, width: Int)] {
        [(0, 4), (4, 4), (8, 8)] + (self == .delta ? [(16, 4), (20, 4), (16, 8)] : [])
    }

    var trailerFields: [(offset: Int, width: Int)] {
        [(0, 4), (4, 4), (8, 8)]
            + (self == .delta
                ? [(16, 8), (24, 8), (32, 8), (48, 8), (112, 8)] : [(16, 8), (48, 8)])
    }

    /// How long a record is by its own word, if that makes sense.
    func byteCount(ofRecord bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= recordHeaderByteCount else { return nil }
        let start = Array(bytes.prefix(recordHeaderByteCount))
        switch (self, start.number(UInt32.self, at: 0)) {
        case (_, 1): return recordHeaderByteCount
        case (.delta, 2):
            let count = start.number(UInt32.self, at: 16)
            return 24 + 32 * Int(count) + Int(start.number(UInt32.self, at: 20))
        case (.map, 2):
            let count = start.number(UInt64.self, at: 8)
            return count <= 4096 ? 16 + 32 * Int(count) : nil
        default: return nil
        }
    }
}

/// A delta stream or a digest map as the pieces that its format consists of, right or wrong.
struct StreamPieces {
    let format: StreamFormat
    var header: [UInt8]
    var records: [[UInt8]] = []
    var trailer: [UInt8]

    var bytes: [UInt8] { header + records.joined() + trailer }

    /// Takes a right file apart.
    init(_ format: StreamFormat, _ bytes: [UInt8]) {
        self.format = format
        header = Array(bytes.prefix(format.headerByteCount(of: bytes)))
        trailer = Array(bytes.suffix(format.trailerByteCount))
        var rest = bytes[header.count..<(bytes.count - trailer.count)]
        while let count = format.byteCount(ofRecord: rest), count <= rest.count {
            records.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    /// Makes checksums right, and counts and digests too, so that damage is looked at.
    mutating func repair(using generator: inout SeededGenerator) {
        if header.count == format.headerByteCount(of: header), !generator.once(in: 16) {
            let end = header.count - 4
            let start = Array(header[..<end])
            header.put(CRC32C.checksum(of: start.rawSpan), at: end)
        }
        for index in records.indices where records[index].count >= 8 && !generator.once(in: 64) {
            let record = records[index]
            records[index].put(CRC32C.checksum(of: record.rawSpan, withoutFieldAt: 4), at: 4)
        }
        guard trailer.count == format.trailerByteCount else { return }
        if !generator.once(in: 8) { repairCounts() }
        let checked = trailer.count - 32
        if !generator.once(in: 16) {
            let start = Array(trailer[..<checked])
            trailer.put(CRC32C.checksum(of: start.rawSpan, withoutFieldAt: 4), at: 4)
        }
        if !generator.once(in: 16), let digest = StreamPieces.digest(of: bytes.dropLast(32)) {
            trailer.replaceSubrange(checked..., with: digest)
        }
    }

    private func records(ofKind kind: UInt32) -> [[UInt8]] {
        records.filter { $0.count >= 16 && $0.number(UInt32.self, at: 0) == kind }
    }

    private mutating func repairCounts() {
        switch format {
        case .delta:
            trailer.put(UInt64(records.count), at: 8)
            let data = records(ofKind: 2).filter { $0.count >= 24 }.map {
                $0.number(UInt32.self, at: 16)
            }
            let zeros = records(ofKind: 1).filter { $0.count >= 24 }.map {
                $0.number(UInt64.self, at: 16)
            }
            trailer.put(data.reduce(0 as UInt64) { $0 &+ UInt64($1) }, at: 16)
            trailer.put(zeros.reduce(0, &+), at: 24)
        case .map:
            let counts = (records(ofKind: 1) + records(ofKind: 2)).map {
                $0.number(UInt64.self, at: 8)
            }
            trailer.put(counts.reduce(0, &+), at: 8)
            if let root = RawMap(bytes).root { trailer.replaceSubrange(16..<48, with: root) }
        }
    }

    static func digest(of bytes: ArraySlice<UInt8>) -> [UInt8]? {
        guard var context = try? SHA256Context() else { return nil }
        let bytes = Array(bytes)
        return context.digest(of: bytes.rawSpan).bytes
    }
}

extension BlockDigest {
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableRawSpan { encode(into: &$0, at: 0) }
        return bytes
    }
}

extension [UInt8] {
    func number<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
        rawSpan.load(type, at: offset)
    }

    mutating func put(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
        withMutableRawSpan { $0.store(value, at: offset) }
    }

    /// Puts the low bytes of a number at an offset.
    mutating func put(_ value: UInt64, width: Int, at offset: Int) {
        for index in 0..<width {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
        }
    }
}
