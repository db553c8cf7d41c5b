import Glibc
import Resync
import Storage
import TestSupport

/// What a delta stream says, as a list.
enum DeltaEntry: Equatable {
    case zeros(Range<UInt64>)
    case data(first: UInt64, content: [UInt8])

    static func == (one: DeltaEntry, other: DeltaEntry) -> Bool {
        switch (one, other) {
        case (.zeros(let one), .zeros(let other)):
            return one == other
        case (.data(let first, let one), .data(let second, let other)):
            // Arrays compare byte by byte, which takes seconds for these without optimization.
            guard first == second, one.count == other.count else { return false }
            return unsafe memcmp(one, other, one.count) == 0
        case (.zeros, .data), (.data, .zeros):
            return false
        }
    }
}

/// A delta stream that a test makes up: a header and some records' content.
struct DeltaModel {
    var header: DeltaHeader
    var entries: [DeltaEntry] = []

    /// Content that LZ4 makes much, nothing or some of.
    enum Texture: CaseIterable {
        case compressible, incompressible, mixed
    }

    /// Records all over a disk, the last block short or not.
    init(
        blockSize: Int, blockCount: UInt64, entryCount: Int,
        using generator: inout SeededGenerator
    ) {
        let short = UInt64.random(in: 0..<UInt64(blockSize), using: &generator)
        header = DeltaHeader(
            virtualSize: blockCount * UInt64(blockSize)
                - (Bool.random(using: &generator) ? short : 0),
            blockSize: blockSize, streamID: .random(using: &generator),
            base: Self.state(&generator), source: Self.state(&generator),
            resultDataWriteGUID: .random(using: &generator),
            hasRootDigests: Bool.random(using: &generator))
        var next: UInt64 = 0
        for index in 0..<entryCount where next < blockCount {
            let isLast = index == entryCount - 1
            let gap = UInt64.random(in: 0...min(3, blockCount - next - 1), using: &generator)
            var first = next + gap
            if generator.next() % 3 == 0 {
                let end = UInt64.random(in: (first + 1)...blockCount, using: &generator)
                let count = isLast ? end - first : min(end - first, 40)
                entries.append(.zeros(first..<first + count))
                next = first + count
            } else {
                let most = UInt64(max(1 << 20, blockSize) / blockSize)
                let count = min(
                    [1, 2, 3, 7, most].randomElement(using: &generator) ?? 1, most,
                    blockCount - first)
                if isLast { first = blockCount - count }
                let bytes = Self.content(
                    Texture.allCases.randomElement(using: &generator) ?? .mixed,
                    count: Int(header.contentByteCount(of: first..<first + count)),
                    using: &generator)
                entries.append(.data(first: first, content: bytes))
                next = first + count
            }
        }
    }

    init(header: DeltaHeader, entries: [DeltaEntry]) {
        self.header = header
        self.entries = entries
    }

    /// A few kilobytes for tests that do something at each byte: blocks of 4096 bytes, each of one
    /// value, and a short last one.
    init(smallWithSeed seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        header = DeltaHeader(
            virtualSize: 40 * 4096 + 100, blockSize: 4096, streamID: .random(using: &generator),
            base: Self.state(&generator), source: Self.state(&generator))
        for first in stride(from: 0 as UInt64, to: 36, by: 6) {
            let value = UInt8.random(in: 0...255, using: &generator)
            let count = Int.random(in: 1...3, using: &generator)
            entries += [
                .data(first: first, content: [UInt8](repeating: value, count: count * 4096)),
                .zeros(first + 4..<first + 5 + generator.next() % 2),
            ]
        }
        entries.append(.data(first: 40, content: generator.bytes(count: 100)))
    }

    private static func state(_ generator: inout SeededGenerator) -> DiskState {
        DiskState(
            virtualDiskID: .random(using: &generator), dataWriteGUID: .random(using: &generator),
            fileState: BlockDigest(decoding: generator.bytes(count: 32).rawSpan, at: 0))
    }

    // LZ4 sees 64 KiB: what repeats after more is new to it.
    private static let randomTile: [UInt8] = {
        var generator = SeededGenerator(seed: 1)
        return generator.bytes(count: 98_304)
    }()

    private static let mixedTile: [UInt8] = {
        var tile = randomTile
        for start in stride(from: 0, to: tile.count, by: 1024) {
            tile.replaceSubrange(start..<start + 512, with: repeatElement(7, count: 512))
        }
        return tile
    }()

    static func content(
        _ texture: Texture, count: Int, using generator: inout SeededGenerator
    ) -> [UInt8] {
        let start = Int.random(in: 0..<4096, using: &generator)
        let tile =
            switch texture {
            case .compressible: randomTile[start..<start + 4096]
            case .incompressible: randomTile[start...]
            case .mixed: mixedTile[start...]
            }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count { bytes += tile.prefix(count - bytes.count) }
        return bytes
    }
}

extension DeltaModel {
    /// Adds entries to a stream, runs of data in buffers as a generator cuts them.
    func append<File: RandomAccessFile>(
        _ entries: some Sequence<DeltaEntry>, to writer: inout DeltaWriter<File>,
        using generator: inout SeededGenerator
    ) throws {
        let room = 3 * max(1 << 20, header.blockSize)
        var buffer = try DeltaRecordBuffer(contentByteCount: room, blockSize: header.blockSize)
        var used = 0
        for entry in entries {
            switch entry {
            case .zeros(let blocks):
                try writer.append(buffer)
                buffer.removeAll()
                used = 0
                try writer.append(zeros: blocks)
            case .data(let first, let content):
                if used + content.count > room || Bool.random(using: &generator) {
                    try writer.append(buffer)
                    buffer.removeAll()
                    used = 0
                }
                used += content.count.roundedUp(toMultipleOf: header.blockSize)
                buffer.append(
                    first: first, digests: try digests(of: content), content: content.rawSpan)
            }
        }
        try writer.append(buffer)
    }

    func digests(of content: [UInt8]) throws -> [BlockDigest] {
        var context = try SHA256Context()
        return stride(from: 0, to: content.count, by: header.blockSize).map { start in
            let end = min(start + header.blockSize, content.count)
            return context.digest(of: content.rawSpan.extracting(start..<end))
        }
    }

    /// What the trailer has to count.
    var blockCounts: (data: UInt64, zeros: UInt64) {
        entries.reduce(into: (0, 0)) { counts, entry in
            switch entry {
            case .zeros(let blocks): counts.zeros += blocks.byteCount
            case .data(_, let content):
                counts.data += UInt64(content.count).dividedRoundingUp(by: UInt64(header.blockSize))
            }
        }
    }

    /// Root digests that tell streams apart, or zeros where there are to be none.
    var roots: (base: BlockDigest, result: BlockDigest) {
        header.hasRootDigests ? (header.base.fileState, header.source.fileState) : (.zero, .zero)
    }

    /// The whole stream in memory.
    func written(using generator: inout SeededGenerator) throws -> MemoryFile {
        try written(to: MemoryFile(name: "delta"), using: &generator)
    }

    /// The whole stream in a file.
    func written<File: RandomAccessFile>(
        to file: File, using generator: inout SeededGenerator
    ) throws -> File {
        var writer = try DeltaWriter(header, to: file)
        try append(entries, to: &writer, using: &generator)
        return try writer.finish(baseRoot: roots.base, resultRoot: roots.result)
    }
}

extension Int {
    func roundedUp(toMultipleOf size: Int) -> Int { (self + size - 1) / size * size }
}

extension DeltaReader where File: ~Copyable {
    /// All records from here on, decoded.
    mutating func entries() throws -> [DeltaEntry] {
        var context = try SHA256Context()
        var entries: [DeltaEntry] = []
        while let record = try next() { entries.append(try record.entry(&context)) }
        return entries
    }
}

extension DeltaRecord {
    /// What the record says.
    func entry(_ context: inout SHA256Context) throws -> DeltaEntry {
        guard kind == .data else { return .zeros(blocks) }
        var content = [UInt8](repeating: 0xEE, count: Int(contentByteCount))
        try content.withMutableRawSpan { (span) throws(ResyncError) in
            try decode(into: &span, context: &context)
        }
        return .data(first: blocks.lowerBound, content: content)
    }
}

extension MemoryFile {
    /// All bytes, of a file that is small.
    func allBytes() throws -> [UInt8] {
        try bytes(at: 0, count: Int(byteCount()))
    }

    /// A file of these bytes, which errors call "delta".
    convenience init(delta bytes: [UInt8]) {
        var content = SparseBytes()
        content.write(bytes.rawSpan, at: 0)
        self.init(name: "delta", content: content)
    }
}
