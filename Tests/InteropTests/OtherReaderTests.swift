internal import BlockIO
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Images by others and by this project, as libvhdi and dissect.hypervisor read them.
struct OtherReaderTests {
    @Test(
        "A committed image holds for each library what images.json says",
        arguments: TestImage.committed)
    func committedImage(_ image: TestImage) throws {
        let folder = try TemporaryFolder()
        try expectListedContent(of: image, at: try image.unpack(in: folder), in: folder)
    }

    @Test("A real image that is here holds for each library what images.json says")
    func realImages() throws {
        try RealImages.forEach(for: "as libvhdi and dissect read them") { image, path in
            let folder = try TemporaryFolder()
            try expectListedContent(of: image, at: path, in: folder)
        }
    }

    private func expectListedContent(
        of image: TestImage, at path: String, in folder: TemporaryFolder
    ) throws {
        let parents = image.parentPaths(besideImageAt: path)
        let (ranges, digests) = try expectedContent(of: image, at: path)
        for reader in OtherReader.allCases {
            let reading = try reader.read(path, parents: parents, ranges: ranges)
            #expect(reading.size == image.virtualSize, "\(image), \(reader)")
            // Neither library replays a log: both return what the file held before.
            let isRight = reading.digests == digests
            #expect(isRight == !image.dirtyLog, "\(image), \(reader) \(reading.version)")
        }
    }

    /// What the libraries are to read: the whole disk or, of a large one, where it has data.
    private func expectedContent(
        of image: TestImage, at path: String
    ) throws -> (ranges: [Range<UInt64>], digests: [String]) {
        if let ranges = image.dataRanges {
            return (ranges.map { $0.offset..<($0.offset + $0.count) }, ranges.map(\.sha256))
        }
        let digest = try #require(image.contentSHA256)
        guard image.virtualSize > Self.largestWholeDisk else { return ([], [digest]) }
        // That our reader finds the digest of the whole is for ReplicaTests to say.
        let size = image.virtualSize
        let ends = [0..<1 << 20, size - (1 << 20)..<size]
        let data = try DiskContent.dataRanges(ofImageAt: path)
        let ranges = data.isEmpty ? ends : data
        return (ranges, try DiskContent.inspect(imageAt: path, dataIn: ranges).digests)
    }

    /// The libraries take a minute for ten of these.
    private static let largestWholeDisk: UInt64 = 1 << 30

    /// An image that this project makes and fills.
    struct Written: Sendable, CustomStringConvertible {
        var virtualSize: UInt64
        var blockSize: UInt64
        var isFixed = false
        var sectorSize: UInt64 = 512
        var seed: UInt64

        var description: String {
            "\(shape), seed \(seed)"
        }

        /// Bytes whose blocks share a bitmap entry of the table.
        var chunkSize: UInt64 { sectorSize << 23 }

        /// Space around the edges of the chunks, and at both ends of the disk.
        var edges: [Range<UInt64>] {
            let inner = stride(from: chunkSize, to: virtualSize, by: Int(chunkSize)).prefix(3)
            let ranges = ([0] + inner + [virtualSize]).map { edge in
                (edge - min(edge, 3 << 20))..<min(edge + (3 << 20), virtualSize)
            }
            return virtualSize <= 256 << 20 ? [0..<virtualSize] : ranges
        }

        var shape: CreationTests.Shape {
            CreationTests.Shape(
                virtualSize: virtualSize, blockSize: blockSize, isFixed: isFixed,
                sectorSize: sectorSize)
        }
    }

    static let written: [Written] = [
        Written(virtualSize: 512, blockSize: 1 << 20, seed: 51),
        Written(virtualSize: (17 << 20) + 1536, blockSize: 1 << 20, seed: 52),
        Written(virtualSize: (5 << 30) + 512, blockSize: 1 << 20, seed: 53),
        Written(virtualSize: 13 << 30, blockSize: 32 << 20, seed: 54),
        Written(virtualSize: (9 << 30) + 512, blockSize: 256 << 20, seed: 55),
        Written(virtualSize: 100 << 20, blockSize: 256 << 20, seed: 56),
        Written(virtualSize: 2 << 40, blockSize: 2 << 20, seed: 57),
        Written(virtualSize: (50 << 20) + 4096, blockSize: 2 << 20, sectorSize: 4096, seed: 58),
        Written(virtualSize: 67 << 30, blockSize: 1 << 20, sectorSize: 4096, seed: 59),
        Written(virtualSize: 67 << 30, blockSize: 256 << 20, sectorSize: 4096, seed: 60),
        Written(virtualSize: (17 << 20) + 512, blockSize: 2 << 20, isFixed: true, seed: 61),
        Written(
            virtualSize: (9 << 20) + 4096, blockSize: 1 << 20, isFixed: true, sectorSize: 4096,
            seed: 62),
    ]

    @Test("What we write is what each library reads", arguments: written)
    func whatWeWrite(_ written: Written) throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        try written.shape.make(at: image)
        try makeRawFile(at: model, byteCount: written.virtualSize)
        let edges = written.edges
        var generator = ContentChangeGenerator(
            seed: written.seed, virtualSize: written.virtualSize, data: edges)
        for turn in 0..<2 {
            let changes = generator.changes(count: 16)
            try changes.apply(toImageAt: image)
            try changes.apply(toRawFileAt: model)
            let ranges = edges + changes.map(\.range)
            let expected = try DiskContent.sha256(ofRawFileAt: model, in: ranges)
            for reader in OtherReader.allCases {
                let reading = try reader.read(image, ranges: ranges)
                #expect(reading.size == written.virtualSize, "\(written), turn \(turn), \(reader)")
                #expect(reading.digests == expected, "\(written), turn \(turn), \(reader)")
            }
        }
    }

    @Test("What we write into a fixed image past its first chunk is what dissect reads")
    func fixedPastTheFirstChunk() throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        // Laid out by the builder, which leaves the blocks as holes.
        var builder = ImageBuilder(
            virtualSize: (4 << 30) + (64 << 20), blockSize: 8 << 20, kind: .fixed)
        builder.addAllBlocks()
        try builder.build().save(to: image)
        try makeRawFile(at: model, byteCount: builder.virtualSize)
        let edge: Range<UInt64> = (4 << 30) - (16 << 20)..<builder.virtualSize
        var generator = ContentChangeGenerator(
            seed: 63, virtualSize: builder.virtualSize, data: [edge])
        let changes = generator.changes(count: 16)
        try changes.apply(toImageAt: image)
        try changes.apply(toRawFileAt: model)
        let expected = try DiskContent.sha256(ofRawFileAt: model, in: [edge])
        #expect(try OtherReader.dissect.read(image, ranges: [edge]).digests == expected)
    }

    /// A replica that grows, by the size that it has and that which it gets.
    struct Growth: Sendable, CustomStringConvertible {
        var from: UInt64
        var to: UInt64
        var blockSize: UInt64
        var isFixed = false
        var sectorSize: UInt64 = 512

        var description: String {
            "\(isFixed ? "fixed" : "dynamic"), from \(from) to \(to) bytes, blocks of "
                + "\(blockSize >> 20) MiB, sectors of \(sectorSize)"
        }
    }

    static let growths: [Growth] = [
        Growth(from: (3 << 20) + 512, to: (5 << 30) + 512, blockSize: 1 << 20),
        // Past what the table has room for.
        Growth(from: 1 << 30, to: 200 << 30, blockSize: 1 << 20),
        Growth(from: (7 << 20) + 1024, to: 40 << 20, blockSize: 2 << 20, isFixed: true),
        Growth(from: (9 << 20) + 4096, to: 33 << 30, blockSize: 2 << 20, sectorSize: 4096),
    ]

    @Test("A replica that has grown is what each reader reads", arguments: growths)
    func grown(_ growth: Growth) throws {
        let folder = try TemporaryFolder()
        let (primary, replica) = (folder.file("primary.vhdx"), folder.file("replica.vhdx"))
        let model = folder.file("model.raw")
        var specification = ImageSpecification(virtualSize: growth.from)
        specification.blockSize = growth.blockSize
        specification.logicalSectorSize = growth.sectorSize
        specification.isFixed = growth.isFixed
        try ImageCreation.create(specification, at: replica)
        var old = ContentChangeGenerator(seed: 64, virtualSize: growth.from)
        try old.changes(count: 10).apply(toImageAt: replica)
        specification.virtualSize = growth.to
        specification.isFixed = false
        try ImageCreation.create(specification, at: primary)
        try makeRawFile(at: model, byteCount: growth.to)
        let edges = [0..<16 << 20, growth.to - (4 << 20)..<growth.to]
        var new = ContentChangeGenerator(seed: 65, virtualSize: growth.to, data: edges)
        let changes = new.changes(count: 10)
        try changes.apply(toImageAt: primary)
        try changes.apply(toRawFileAt: model)

        var trial = ResyncTrial(label: "\(growth)", primary: primary, replica: replica)
        trial.options.growsReplica = true
        trial.options.blockSize = 1 << 20
        try trial.run(expecting: nil)
        let difference = try DiskContent.firstDifference(ofImageAt: replica, fromRawFileAt: model)
        #expect(difference == nil, "\(growth), our reader")
        let ranges = edges + changes.map(\.range)
        let expected = try DiskContent.sha256(ofRawFileAt: model, in: ranges)
        for reader in OtherReader.allCases {
            let reading = try reader.read(replica, ranges: ranges)
            #expect(reading.size == growth.to, "\(growth), \(reader)")
            #expect(reading.digests == expected, "\(growth), \(reader)")
        }
        guard growth.sectorSize == 512 else { return }
        try QEMU.img(["check", "-q", "-f", "vhdx", replica]).requireSuccess()
        let zeros = [growth.to / 2, growth.to - (5 << 20)].filter { place in
            !ranges.contains { $0.overlaps(place..<place + 512) }
        }
        try QEMU.io(
            zeros.map { "read -q -P 0 \($0) 512" }, on: replica, isReadOnly: true
        ).requireSuccess()
    }
}
