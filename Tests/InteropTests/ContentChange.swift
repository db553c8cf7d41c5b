internal import Storage
internal import TestSupport
internal import VHDX

/// A change of some bytes of a disk, for QEMU, for an ``ImageWriter`` and for a raw file alike.
enum ContentChange {
    case bytes([UInt8], at: UInt64)
    case zeros(Range<UInt64>)

    /// The virtual bytes that change.
    var range: Range<UInt64> {
        switch self {
        case .bytes(let bytes, let offset): offset..<offset + UInt64(bytes.count)
        case .zeros(let range): range
        }
    }
}

/// Makes changes at random: near each other and far apart, at offsets that are multiples of
/// nothing or of the sectors that a differencing image needs, up to the last byte of the disk, in
/// space with data and in space without.
struct ContentChangeGenerator {
    private var random: SeededGenerator
    private let virtualSize: UInt64
    /// Where half of the changes go.
    private let data: [Range<UInt64>]
    private let longestZeros: UInt64
    private let alignment: UInt64

    init(
        seed: UInt64, virtualSize: UInt64, data: [Range<UInt64>] = [],
        longestZeros: UInt64 = 5 << 20, alignment: UInt64 = 1
    ) {
        random = SeededGenerator(seed: seed)
        self.virtualSize = virtualSize
        self.data = data
        self.longestZeros = longestZeros
        self.alignment = alignment
    }

    /// The next changes.
    mutating func changes(count: Int) -> [ContentChange] {
        (0..<count).map { _ in change() }
    }

    private mutating func change() -> ContentChange {
        let start = place().roundedDown(toMultipleOf: alignment)
        if random.next() % 3 == 0 {
            let count = aligned(random.next() % longestZeros + 1)
            return .zeros(start..<min(start + count, virtualSize))
        }
        let longest = UInt64(1) << (random.next() % 18)
        let count = min(aligned(random.next() % longest + 1), virtualSize - start)
        return .bytes(random.bytes(count: Int(count)), at: start)
    }

    private func aligned(_ count: UInt64) -> UInt64 {
        (count + alignment - 1).roundedDown(toMultipleOf: alignment)
    }

    private mutating func place() -> UInt64 {
        switch random.next() % 8 {
        case 0:
            return virtualSize - 1 - random.next() % min(virtualSize, 70_000)
        case 1...4:
            guard !data.isEmpty else { return random.next() % virtualSize }
            let range = data[Int(random.next() % UInt64(data.count))]
            return range.lowerBound + random.next() % range.byteCount
        default:
            return random.next() % virtualSize
        }
    }
}

extension [ContentChange] {
    /// Makes the changes through this project's writer, which is left open.
    func apply(to writer: borrowing ImageWriter<some RandomAccessFile & ~Copyable>) throws {
        for change in self {
            switch change {
            case .bytes(let bytes, let offset): try writer.write(bytes.rawSpan, at: offset)
            case .zeros(let range): try writer.writeZeros(range)
            }
        }
    }

    /// Makes the changes through this project's writer.
    func apply(toImageAt path: String) throws {
        let writer = try ImageWriter(openingImageAt: path)
        try apply(to: writer)
        try writer.close()
    }

    /// Makes the changes through QEMU.
    func applyByQEMU(toImageAt path: String, format: String = "vhdx") throws {
        let folder = try TemporaryFolder()
        var commands: [String] = []
        for (index, change) in enumerated() {
            let place = "\(change.range.lowerBound) \(change.range.byteCount)"
            switch change {
            case .bytes(let bytes, _):
                let source = folder.file("\(index)")
                let file = try DiskFile(creating: source)
                try file.write(bytes.rawSpan, at: 0)
                commands.append("write -q -s \(source) \(place)")
            case .zeros:
                commands.append("write -q -z \(place)")
            }
        }
        try QEMU.io(commands, on: path, format: format).requireSuccess()
    }

    /// Makes the changes in a raw file, the model that images are compared with.
    func apply(toRawFileAt path: String) throws {
        let file = try DiskFile(opening: path, for: .writing)
        for change in self {
            switch change {
            case .bytes(let bytes, let offset): try file.write(bytes.rawSpan, at: offset)
            case .zeros(let range): try file.deallocate(range)
            }
        }
    }
}

/// Makes a raw file of zeros.
func makeRawFile(at path: String, byteCount: UInt64) throws {
    let file = try DiskFile(creating: path)
    try file.setByteCount(byteCount)
}
