internal import BlockIO
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Resynchronizations from and to chains of images, each judged by a raw file that holds the same
/// changes, by libvhdi and by dissect.hypervisor. Parents stay as they are, to the bit.
struct DifferencingReplicaTests {
    /// A disk, and the blocks of the images that hold it.
    struct Shape: Sendable, CustomStringConvertible {
        var virtualSize: UInt64
        var sectorSize: UInt64
        /// Payload block of the lowest image; those above have 2 MiB.
        var blockSize: UInt64
        var isFixed = false
        var seed: UInt64

        var description: String {
            "\(virtualSize) bytes, sectors of \(sectorSize), base \(isFixed ? "fixed" : "dynamic") "
                + "with blocks of \(blockSize >> 20) MiB, seed \(seed)"
        }

        /// Where most changes go: around the edge of the first chunk, or anywhere on a small disk.
        var busy: [Range<UInt64>] {
            let edge = sectorSize << 23
            guard virtualSize > edge else { return [0..<virtualSize] }
            return [0..<4 << 20, edge - (4 << 20)..<edge + (4 << 20)]
        }

        func specification() -> ImageSpecification {
            var specification = ImageSpecification(virtualSize: virtualSize)
            specification.blockSize = blockSize
            specification.logicalSectorSize = sectorSize
            specification.isFixed = isFixed
            return specification
        }
    }

    static let shapes: [Shape] = [
        Shape(virtualSize: (20 << 20) + 1536, sectorSize: 512, blockSize: 1 << 20, seed: 71),
        Shape(virtualSize: 24 << 20, sectorSize: 512, blockSize: 8 << 20, isFixed: true, seed: 72),
        Shape(virtualSize: (16 << 20) + 4096, sectorSize: 4096, blockSize: 2 << 20, seed: 73),
        Shape(virtualSize: 5 << 30, sectorSize: 512, blockSize: 32 << 20, seed: 74),
        Shape(virtualSize: 33 << 30, sectorSize: 4096, blockSize: 256 << 20, seed: 75),
    ]

    /// A chain of images in one folder, and the raw file that it must read as.
    private final class Chain {
        let shape: Shape
        let folder: TemporaryFolder
        /// From the top down.
        private(set) var images: [String] = []
        let model: String
        private var generator: ContentChangeGenerator
        /// All that was ever changed, and the busy space.
        private(set) var touched: [Range<UInt64>]

        init(_ shape: Shape, seed: UInt64, depth: Int, in folder: TemporaryFolder) throws {
            self.shape = shape
            self.folder = folder
            model = folder.file("model-\(seed).raw")
            touched = shape.busy
            generator = ContentChangeGenerator(
                seed: seed, virtualSize: shape.virtualSize, data: shape.busy,
                alignment: shape.sectorSize)
            try makeRawFile(at: model, byteCount: shape.virtualSize)
            for level in 0..<depth {
                let path = folder.file("\(seed)-\(level).vhdx")
                var specification = shape.specification()
                if let top = images.first {
                    let reader = try ImageReader(openingImageAt: top)
                    try specification.build(on: reader, at: path)
                }
                try ImageCreation.create(specification, at: path)
                images.insert(path, at: 0)
                try change(count: 10)
            }
        }

        var top: String { images[0] }

        /// Changes the uppermost image and the model.
        func change(count: Int) throws {
            let changes = generator.changes(count: count)
            try changes.apply(toImageAt: top)
            try changes.apply(toRawFileAt: model)
            touched += changes.map(\.range)
        }

        func states(from level: Int) throws -> [FileState] {
            try images[level...].map { try FileState(ofFileAt: $0) }
        }
    }

    /// Checks that an image with its parents reads as the model.
    private func expect(
        _ image: String, parents: [String] = [], toReadAs model: String, at ranges: [Range<UInt64>],
        _ label: String
    ) throws {
        let difference = try DiskContent.firstDifference(ofImageAt: image, fromRawFileAt: model)
        #expect(difference == nil, "\(label), our reader")
        // dissect misreads what does not start at a multiple of eight sectors: see DisagreementTests.
        let size = try ImageInfo(ofImageAt: image).virtualSize
        let ranges = ranges.map { range in
            let end = range.upperBound.roundedUp(toMultipleOf: 32768) ?? size
            return range.lowerBound.roundedDown(toMultipleOf: 32768)..<min(end, size)
        }
        let expected = try DiskContent.sha256(ofRawFileAt: model, in: ranges)
        for reader in OtherReader.allCases {
            // libvhdi takes the parent for zeros, and the file for a bitmap: see DisagreementTests.
            guard try reader.canRead([image] + parents) else { continue }
            let reading = try reader.read(image, parents: parents, ranges: ranges)
            #expect(reading.digests == expected, "\(label), \(reader)")
        }
    }

    private func run(
        from primary: String, to replica: String, _ label: String,
        _ change: (inout ResyncOptions) -> Void = { _ in }
    ) throws {
        var trial = ResyncTrial(label: label, primary: primary, replica: replica)
        // A debug build takes its time for a million blocks.
        if try ImageInfo(ofImageAt: primary).virtualSize > 1 << 30 {
            trial.options.blockSize = 1 << 20
        }
        change(&trial.options)
        try trial.run(expecting: nil)
    }

    @Test("A chain becomes a flat replica, new or stale", arguments: shapes)
    func chainToFlat(_ shape: Shape) throws {
        let folder = try TemporaryFolder()
        let primary = try Chain(shape, seed: shape.seed, depth: 3, in: folder)
        let before = try primary.states(from: 0)
        let label = "\(shape), to a flat replica"
        let new = folder.file("new.vhdx")
        try run(from: primary.top, to: new, label) {
            $0.createsReplica = true
            $0.verifiesWholeReplica = true
        }
        #expect(try ImageInfo(ofImageAt: new).kind == .dynamic)
        let stale = try Chain(shape, seed: shape.seed + 100, depth: 1, in: folder)
        try run(from: primary.top, to: stale.top, label)
        for replica in [new, stale.top] {
            try expect(replica, toReadAs: primary.model, at: primary.touched, label)
        }
        #expect(try primary.states(from: 0) == before, "\(label): the primary's files")
        try expect(
            primary.top, parents: Array(primary.images.dropFirst()), toReadAs: primary.model,
            at: primary.touched, "\(shape), the chain")
    }

    @Test("A flat disk becomes a differencing replica, new or stale", arguments: shapes)
    func flatToDifferencing(_ shape: Shape) throws {
        let folder = try TemporaryFolder()
        let base = try Chain(shape, seed: shape.seed + 200, depth: 1, in: folder)
        // The primary went on from where the replica's parent stands.
        let primary = folder.file("primary.vhdx")
        let model = folder.file("primary.raw")
        for (source, copy) in [(base.top, primary), (base.model, model)] {
            try ExternalProgram.run("cp", ["--sparse=always", source, copy]).requireSuccess()
        }
        var generator = ContentChangeGenerator(
            seed: shape.seed + 300, virtualSize: shape.virtualSize, data: shape.busy,
            alignment: shape.sectorSize)
        let changes = generator.changes(count: 8)
        try changes.apply(toImageAt: primary)
        try changes.apply(toRawFileAt: model)
        let touched = base.touched + changes.map(\.range)

        let before = try base.states(from: 0)
        let label = "\(shape), to a differencing replica"
        let replica = folder.file("replica.vhdx")
        try run(from: primary, to: replica, label) {
            $0.createsReplica = true
            $0.parentOfNewReplica = base.top
        }
        #expect(try ImageInfo(ofImageAt: replica).kind == .differencing)
        try expect(replica, parents: base.images, toReadAs: model, at: touched, label)

        let more = generator.changes(count: 8)
        try more.apply(toImageAt: primary)
        try more.apply(toRawFileAt: model)
        try run(from: primary, to: replica, label) { $0.verifiesWholeReplica = true }
        try expect(
            replica, parents: base.images, toReadAs: model, at: touched + more.map(\.range),
            "\(label), again")
        #expect(try base.states(from: 0) == before, "\(label): the parent's file")
    }

    @Test("A chain becomes what another chain holds", arguments: shapes)
    func chainToChain(_ shape: Shape) throws {
        let folder = try TemporaryFolder()
        let primary = try Chain(shape, seed: shape.seed + 400, depth: 3, in: folder)
        var other = shape
        other.blockSize = 4 << 20
        other.isFixed = false
        let replica = try Chain(other, seed: shape.seed + 500, depth: 2, in: folder)
        let label = "\(shape), to another chain"
        let (primaryBefore, parentsBefore) = (
            try primary.states(from: 0), try replica.states(from: 1)
        )
        try run(from: primary.top, to: replica.top, label)
        try expect(
            replica.top, parents: Array(replica.images.dropFirst()), toReadAs: primary.model,
            at: primary.touched + replica.touched, label)

        try primary.change(count: 4)
        try run(from: primary.top, to: replica.top, label) { $0.comparison = .bytes }
        try expect(
            replica.top, parents: Array(replica.images.dropFirst()), toReadAs: primary.model,
            at: primary.touched + replica.touched, "\(label), again")
        #expect(try primary.states(from: 1) == Array(primaryBefore[1...]), "\(label): primary")
        #expect(try replica.states(from: 1) == parentsBefore, "\(label): the replica's parents")
    }

    @Test("Without zeros and with a bitmap, libvhdi reads a differencing replica too")
    func replicaForLibvhdi() throws {
        let folder = try TemporaryFolder()
        let shape = Self.shapes[0]
        let (base, primary) = (folder.file("base.vhdx"), folder.file("primary.vhdx"))
        let model = folder.file("model.raw")
        var random = SeededGenerator(seed: 76)
        let full = ContentChange.bytes(random.bytes(count: Int(shape.virtualSize)), at: 0)
        for path in [base, primary] {
            try ImageCreation.create(shape.specification(), at: path)
            try [full].apply(toImageAt: path)
        }
        let changes = (0..<12).map { index in
            ContentChange.bytes(random.bytes(count: 70_000), at: UInt64(index) * 1_600_000)
        }
        try changes.apply(toImageAt: primary)
        try makeRawFile(at: model, byteCount: shape.virtualSize)
        try ([full] + changes).apply(toRawFileAt: model)

        let replica = folder.file("replica.vhdx")
        try run(from: primary, to: replica, "for libvhdi") {
            $0.createsReplica = true
            $0.parentOfNewReplica = base
        }
        #expect(try OtherReader.libvhdi.canRead([replica, base]))
        try expect(
            replica, parents: [base], toReadAs: model, at: [0..<shape.virtualSize], "for libvhdi")
        let reading = try OtherReader.libvhdi.read(replica, parents: [base])
        let whole = try DiskContent.sha256(ofRawFileAt: model, in: [0..<shape.virtualSize])
        #expect(reading.digests == whole)
    }
}
