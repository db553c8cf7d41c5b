internal import Storage
internal import TestSupport

/// An image that mutations start from.
struct Seed: Sendable {
    let name: String
    let content: Content
    let map: FieldMap
    /// The name of the seed that this one builds on.
    let parent: String?

    init(name: String, parent: String? = nil, _ content: Content) {
        self.name = name
        self.parent = parent
        self.content = Content(asBase: content)
        map = FieldMap(self.content)
    }

    init(name: String, parent: String? = nil, _ builder: ImageBuilder) {
        let file = builder.build()
        var content = Content(byteCount: file.content.byteCount)
        var position: UInt64 = 0
        let sparse = file.content
        while let next = sparse.nextData(from: position, limit: sparse.byteCount) {
            let bytes = file.peek(at: next.lowerBound, count: Int(next.byteCount))
            content.write(bytes, at: next.lowerBound)
            position = next.upperBound
        }
        self.init(name: name, parent: parent, content)
    }

    /// This seed, its parent, and so on.
    func chain(in seeds: [Seed]) -> [Seed] {
        guard let parent = seeds.first(where: { $0.name == parent }) else { return [self] }
        return [self] + parent.chain(in: seeds)
    }

    /// Whether it takes so long that it must not come up often.
    var isSlow: Bool {
        map.image.entryCount > 1 << 20 || content.byteCount > 1 << 45
            || content.basePageCount > 100
    }
    var isDifferencing: Bool { map.image.hasParent }
}

/// The images that all cases start from, by name.
enum Seeds {
    /// Those of the repository that are small once they are unpacked.
    private static let testImages = [
        "dirty-log", "dirty-log-wrapped", "empty-3G", "ext2", "fat-differential", "fat-parent",
        "fixed-zero", "ntfs-differential", "ntfs-parent", "partial-last-block", "past-4G-1M",
        "sectors-4096",
    ]

    /// All of them, in an order that does not change.
    static func all() throws -> [Seed] {
        var seeds = built.map { Seed(name: $0.name, $0.builder) }
        seeds += ChildSeeds.all.map { Seed(name: $0.name, parent: $0.parent, $0.builder) }
        let folder = try TemporaryFolder()
        for name in testImages {
            let path = try TestImage.unpack("\(name).vhdx", in: folder)
            let parent = TestImage.named("\(name).vhdx").parent.map { String($0.dropLast(5)) }
            seeds.append(Seed(name: name, parent: parent, try content(ofFileAt: path)))
        }
        return seeds
    }

    /// What a file holds.
    static func content(ofFileAt path: String) throws -> Content {
        let file = try DiskFile(opening: path, for: .reading)
        let byteCount = try file.byteCount()
        var content = Content(byteCount: byteCount)
        var position: UInt64 = 0
        while let next = try file.nextData(from: position, limit: byteCount) {
            for start in stride(from: next.lowerBound, to: next.upperBound, by: 4096) {
                let bytes = try file.bytes(
                    at: start, count: Int(min(4096, next.upperBound - start)))
                if !bytes.rawSpan.isZero { content.write(bytes, at: start) }
            }
            position = next.upperBound
        }
        return content
    }

    // MARK: Built ones

    private static let built: [(name: String, builder: ImageBuilder)] = [
        ("dynamic-512", dynamic(logicalSectorSize: 512)),
        ("dynamic-4096", dynamic(logicalSectorSize: 4096)),
        ("fixed", fixed()),
        ("all-states", allStates()),
        ("two-chunks", twoChunks()),
        ("sparse-64T", sparse(virtualSize: 64 << 40, blockSize: 256 << 20)),
        ("sparse-2T", sparse(virtualSize: 2 << 40, blockSize: 32 << 20)),
        ("sparse-2T-1M", sparse(virtualSize: 2 << 40, blockSize: 1 << 20)),
        ("far-blocks", farBlocks(last: 1 << 40)),
        ("farthest-block", farBlocks(last: (256 << 40) - (1 << 20))),
        ("foreign-regions", foreignRegions()),
        ("one-header", oneHeader()),
        ("large-log", largeLog()),
        ("no-log", noLog()),
        ("last-sequence-number", lastSequenceNumber()),
        ("many-items", manyItems()),
        ("dirty-pages", dirtyPages()),
        ("dirty-zeros", dirtyZeros()),
        ("dirty-sequence", dirtySequence()),
        ("dirty-growing", dirtyGrowing()),
        ("dirty-regions", dirtyRegions()),
        ("dirty-many-zeros", dirtyManyZeros()),
    ]

    /// Bytes that tell from which block they are.
    static func pattern(_ block: UInt64, count: Int = 4096) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: UInt64($0) &* 7 &+ block &* 31 &+ 1) }
    }

    private static func dynamic(logicalSectorSize: UInt64) -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: 9 << 20, blockSize: 1 << 20, logicalSectorSize: logicalSectorSize)
        for block in [4, 1, 7, 2] as [UInt64] {
            builder.addBlock(block, content: pattern(block, count: 6000))
        }
        return builder
    }

    private static func fixed() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 5 << 20 | 512, blockSize: 1 << 20, kind: .fixed)
        for block in 0..<6 as Range<UInt64> { builder.addBlock(block, content: pattern(block)) }
        return builder
    }

    /// Every state that a payload block may have, with and without an offset that is kept.
    private static func allStates() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 20 << 20, blockSize: 2 << 20)
        builder.addBlock(0, content: pattern(0))
        builder.addBlock(1, state: 1, content: pattern(1))
        builder.addBlock(2, state: 3, content: pattern(2))
        builder.addBlock(3, state: 2, at: 0)
        builder.addBlock(4, state: 0, at: 0)
        builder.addBlock(5, state: 1, at: 0)
        builder.addBlock(6, state: 3, at: 0)
        builder.addBlock(7, content: pattern(7))
        builder.addBlock(8, state: 2, at: 2 << 20)
        return builder
    }

    /// Blocks on both sides of an entry for a sector bitmap.
    private static func twoChunks() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 40 << 30, blockSize: 256 << 20)
        for block in [0, 15, 16, 17, 31, 32, 159] as [UInt64] {
            builder.addBlock(block, content: pattern(block))
        }
        return builder
    }

    private static func sparse(virtualSize: UInt64, blockSize: UInt64) -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: virtualSize, blockSize: blockSize)
        let last = virtualSize / blockSize - 1
        for block in [0, last / 2, last] {
            builder.addBlock(block, content: pattern(block))
        }
        return builder
    }

    /// Blocks beyond 4 GiB in the file, and one where the caller wants it.
    private static func farBlocks(last: UInt64) -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 7 << 20, blockSize: 1 << 20)
        builder.addBlock(0, at: 5 << 30, content: pattern(0))
        builder.addBlock(1, at: last, content: pattern(1))
        builder.addBlock(2, at: (4 << 30) - (1 << 20), content: pattern(2))
        return builder
    }

    private static func foreignRegions() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 4 << 20)
        for index in 0..<3 as Range<UInt64> {
            builder.regions.insert(
                ImageBuilder.Region(
                    identifier: "5\(index)111111-2222-4333-8444-555555555555",
                    offset: (8 + 2 * index) << 20, length: 1 << 20, required: 0),
                at: Int(index))
        }
        builder.addBlock(0, content: pattern(0))
        builder.addBlock(3, at: 9 << 20, content: pattern(3))
        return builder
    }

    private static func oneHeader() -> ImageBuilder {
        var builder = dynamic(logicalSectorSize: 512)
        builder.headers = [nil, ImageBuilder.Header(sequenceNumber: 3)]
        return builder
    }

    /// A log behind everything else, of 4 MiB.
    private static func largeLog() -> ImageBuilder {
        var builder = dynamic(logicalSectorSize: 512)
        for slot in builder.headers.indices {
            builder.headers[slot]?.logOffset = 16 << 20
            builder.headers[slot]?.logLength = 4 << 20
        }
        return builder
    }

    private static func noLog() -> ImageBuilder {
        var builder = dynamic(logicalSectorSize: 512)
        for slot in builder.headers.indices { builder.headers[slot]?.logLength = 0 }
        return builder
    }

    private static func lastSequenceNumber() -> ImageBuilder {
        var builder = dynamic(logicalSectorSize: 512)
        builder.headers = [
            ImageBuilder.Header(sequenceNumber: .max),
            ImageBuilder.Header(sequenceNumber: .max - 1),
        ]
        return builder
    }

    /// Items of a user and unknown ones beside the known.
    private static func manyItems() -> ImageBuilder {
        var builder = dynamic(logicalSectorSize: 4096)
        for index in 0..<6 as Range<UInt32> {
            builder.metadataItems.append(
                ImageBuilder.MetadataItem(
                    identifier: "6\(index)111111-2222-4333-8444-555555555555",
                    offset: index == 5 ? 0 : 70000 + index * 5000, flags: index % 2,
                    content: index == 5 ? [] : pattern(UInt64(index), count: 4000)))
        }
        return builder
    }

    // MARK: Dirty logs

    private static let logGUID = "77777777-8888-4999-8aaa-bbbbbbbbbbbb"

    /// An image whose log holds entries that start one behind the other.
    static func dirty(
        _ builder: ImageBuilder, lastFileOffset: UInt64 = 12 << 20,
        flushedFileOffset: UInt64 = 4 << 20,
        tail: UInt32? = nil, from start: UInt64 = 0, _ entries: [[ImageBuilder.LogEntry.Descriptor]]
    ) -> ImageBuilder {
        var builder = builder
        var position = start
        var logged: [ImageBuilder.LogEntry] = []
        for (index, descriptors) in entries.enumerated() {
            let entry = ImageBuilder.LogEntry(
                at: position, sequenceNumber: 40 + UInt64(index),
                tail: tail ?? UInt32(start), logGUID: logGUID, flushedFileOffset: flushedFileOffset,
                lastFileOffset: lastFileOffset, descriptors)
            logged.append(entry)
            position = (position + UInt64(entry.encoded.count)) % (1 << 20)
        }
        builder.useLog(logGUID, logged)
        return builder
    }

    static func tablePage(_ entries: [UInt64]) -> [UInt8] {
        let bytes = entries.flatMap { ImageBuilder.bytes($0) }
        return bytes + [UInt8](repeating: 0, count: 4096 - bytes.count)
    }

    private static func dirtyPages() -> ImageBuilder {
        var image = ImageBuilder(virtualSize: 6 << 20)
        image.addBlock(0, content: pattern(0))
        image.fileSize = 8 << 20
        let table = tablePage([0x40_0006, 0x50_0006, 0, 0x60_0006, 2, 0x70_0003])
        return dirty(
            image, lastFileOffset: 8 << 20,
            [[.data(at: 3 << 20, table), .data(at: 5 << 20, pattern(1))]])
    }

    private static func dirtyZeros() -> ImageBuilder {
        var image = dynamic(logicalSectorSize: 512)
        image.addBlock(0, content: pattern(0, count: 40960))
        return dirty(
            image,
            [
                [.zero(at: 4 << 20, count: 4096), .data(at: 4 << 20, pattern(9))],
                [.data(at: 5 << 20, pattern(8)), .zero(at: 5 << 20, count: 8192)],
                [.zero(at: 8 << 20, count: 0)],
            ])
    }

    /// Many entries that wrap around the end of the log, with more descriptors than one sector
    /// holds.
    private static func dirtySequence() -> ImageBuilder {
        let image = dynamic(logicalSectorSize: 512)
        var entries: [[ImageBuilder.LogEntry.Descriptor]] = (0..<5).map { index in
            [.data(at: (4 + index % 4) << 20, pattern(20 + index))]
        }
        entries.append(
            (0..<130).map { .zero(at: 4 << 20 + UInt64($0) * 4096, count: 4096) }
                + [.data(at: 4 << 20, pattern(50))])
        return dirty(image, from: (1 << 20) - 16384, entries)
    }

    /// The log extends the file.
    private static func dirtyGrowing() -> ImageBuilder {
        let image = ImageBuilder(virtualSize: 6 << 20)
        let table = tablePage([0x50_0006, 0x90_0006])
        return dirty(
            image, lastFileOffset: 11 << 20,
            [[.data(at: 3 << 20, table)], [.data(at: 9 << 20, pattern(1))]])
    }

    /// One zeroed range more than a reader remembers.
    private static func dirtyManyZeros() -> ImageBuilder {
        let descriptor = ImageBuilder.LogEntry.Descriptor.zero(at: 4 << 20, count: 4096)
        return dirty(
            largeLog(), lastFileOffset: 20 << 20, [Array(repeating: descriptor, count: 65537)])
    }

    /// The log repairs a region table, and turns metadata over.
    private static func dirtyRegions() -> ImageBuilder {
        var image = dynamic(logicalSectorSize: 512)
        image.creator = ""
        let table = Array(ImageBuilder.encode(image.regions).prefix(4096))
        return dirty(
            image, [[.data(at: 192 << 10, table), .zero(at: (2 << 20) + 131072, count: 4096)]])
    }
}
