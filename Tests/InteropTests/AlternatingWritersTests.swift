internal import BlockIO
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// QEMU and this project's writer take turns on one image; after each turn both readers must find
/// what the model holds, a raw file in which the same changes were made.
struct AlternatingWritersTests {
    /// The image that a case starts with.
    struct Start: Sendable, CustomStringConvertible {
        enum Maker: String, Sendable { case qemu, ours }

        var maker: Maker
        var isFixed = false
        var virtualSize: UInt64
        var blockSize: UInt64
        var seed: UInt64

        var description: String {
            "\(maker.rawValue), \(isFixed ? "fixed" : "dynamic"), \(virtualSize) bytes, "
                + "blocks of \(blockSize >> 20) MiB, seed \(seed)"
        }

        func make(at path: String) throws {
            switch maker {
            case .qemu:
                let subformat = isFixed ? "fixed" : "dynamic"
                let options = "subformat=\(subformat),block_size=\(blockSize)"
                try QEMU.img(["create", "-q", "-f", "vhdx", "-o", options, path, "\(virtualSize)"])
                    .requireSuccess()
            case .ours:
                var specification = ImageSpecification(virtualSize: virtualSize)
                specification.blockSize = blockSize
                specification.isFixed = isFixed
                try ImageCreation.create(specification, at: path)
            }
        }
    }

    static let starts: [Start] = [
        Start(maker: .qemu, virtualSize: (64 << 20) + 1536, blockSize: 1 << 20, seed: 1),
        Start(maker: .qemu, virtualSize: 6 << 30, blockSize: 2 << 20, seed: 2),
        Start(maker: .qemu, virtualSize: 100 << 20, blockSize: 8 << 20, seed: 3),
        Start(maker: .qemu, virtualSize: 5 << 30, blockSize: 32 << 20, seed: 4),
        Start(maker: .qemu, virtualSize: 1 << 30, blockSize: 256 << 20, seed: 5),
        Start(maker: .qemu, isFixed: true, virtualSize: 24 << 20, blockSize: 1 << 20, seed: 6),
        Start(maker: .qemu, isFixed: true, virtualSize: 40 << 20, blockSize: 8 << 20, seed: 7),
        Start(maker: .ours, virtualSize: 5 << 30, blockSize: 1 << 20, seed: 8),
        Start(maker: .ours, virtualSize: 33 << 20, blockSize: 2 << 20, seed: 9),
        Start(maker: .ours, virtualSize: 1 << 30, blockSize: 8 << 20, seed: 10),
        Start(maker: .ours, virtualSize: 6 << 30, blockSize: 32 << 20, seed: 11),
        Start(maker: .ours, virtualSize: 700 << 20, blockSize: 256 << 20, seed: 12),
        Start(maker: .ours, isFixed: true, virtualSize: 17 << 20, blockSize: 2 << 20, seed: 13),
    ]

    @Test("Both writers leave what both readers find", arguments: starts)
    func takeTurns(_ start: Start) throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        try start.make(at: image)
        try makeRawFile(at: model, byteCount: start.virtualSize)
        var generator = ContentChangeGenerator(
            seed: start.seed, virtualSize: start.virtualSize,
            data: [0..<1 << 20, 9 << 20..<13 << 20],
            longestZeros: min(2 * start.blockSize, 20 << 20))
        for turn in 0..<4 {
            let changes = generator.changes(count: 12)
            if turn.isMultiple(of: 2) == (start.seed.isMultiple(of: 2)) {
                try changes.applyByQEMU(toImageAt: image)
            } else {
                try write(changes, toImageAt: image)
            }
            try changes.apply(toRawFileAt: model)
            try expect(image, toReadAs: model, "\(start), turn \(turn)")
        }
    }

    /// Asks both readers, and QEMU's check.
    private func expect(_ image: String, toReadAs model: String, _ label: String) throws {
        let byUs = try DiskContent.firstDifference(ofImageAt: image, fromRawFileAt: model)
        #expect(byUs == nil, "\(label), our reader and the model")
        try QEMU.img(["check", "-q", "-f", "vhdx", image]).requireSuccess()
        // To compare with a raw file takes qemu-img far longer than to write another one.
        let folder = try TemporaryFolder()
        let converted = folder.file("converted.raw")
        try QEMU.img(["convert", "-f", "vhdx", "-O", "raw", image, converted]).requireSuccess()
        let byQEMU = try DiskContent.firstDifference(ofImageAt: image, fromRawFileAt: converted)
        #expect(byQEMU == nil, "\(label), our reader and QEMU's")
    }

    /// Two sessions, one with a commit in the middle.
    private func write(_ changes: [ContentChange], toImageAt path: String) throws {
        let third = changes.count / 3
        let writer = try ImageWriter(openingImageAt: path)
        try Array(changes[..<third]).apply(to: writer)
        try writer.commit()
        try Array(changes[third..<2 * third]).apply(to: writer)
        try writer.close()
        try Array(changes[(2 * third)...]).apply(toImageAt: path)
    }

    @Test("Two sector sizes that QEMU cannot read keep what is written", arguments: [false, true])
    func sectorsOf4096(isFixed: Bool) throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        var specification = ImageSpecification(virtualSize: (50 << 20) + 4096)
        specification.blockSize = 2 << 20
        specification.logicalSectorSize = 4096
        specification.isFixed = isFixed
        try ImageCreation.create(specification, at: image)
        try makeRawFile(at: model, byteCount: specification.virtualSize)
        var generator = ContentChangeGenerator(seed: 20, virtualSize: specification.virtualSize)
        for turn in 0..<3 {
            let changes = generator.changes(count: 12)
            try write(changes, toImageAt: image)
            try changes.apply(toRawFileAt: model)
            let difference = try DiskContent.firstDifference(
                ofImageAt: image, fromRawFileAt: model)
            #expect(difference == nil, "turn \(turn)")
        }
    }

    @Test("A fixed image by QEMU, all ZERO in its table, is filled within its own space")
    func fixedImageKeepsItsSize() throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        let start = Start(
            maker: .qemu, isFixed: true, virtualSize: 24 << 20, blockSize: 2 << 20, seed: 0)
        try start.make(at: image)
        try makeRawFile(at: model, byteCount: start.virtualSize)
        let made = try ImageInfo(ofImageAt: image)
        #expect(made.blockStates.zero == 12)
        // What stands in the space of ZERO blocks, which QEMU puts behind the first 4 MiB, is junk.
        try leaveJunk(in: 4 << 20..<made.fileSize, of: image)

        var random = SeededGenerator(seed: 14)
        let changes = (0..<12).shuffled(using: &random).map { block in
            ContentChange.bytes(random.bytes(count: 70_000), at: UInt64(block) * start.blockSize)
        }
        try changes.apply(toImageAt: image)
        try changes.apply(toRawFileAt: model)

        let filled = try ImageInfo(ofImageAt: image)
        #expect(filled.blockStates.fullyPresent == 12)
        #expect(filled.fileSize == made.fileSize)
        try expect(image, toReadAs: model, "filled")
    }

    private func leaveJunk(in range: Range<UInt64>, of path: String) throws {
        let file = try DiskFile(opening: path, for: .writing)
        let junk = [UInt8](repeating: 0xEE, count: 1 << 20)
        for position in stride(from: range.lowerBound, to: range.upperBound, by: junk.count) {
            let count = min(junk.count, Int(range.upperBound - position))
            try file.write(junk.rawSpan.extracting(0..<count), at: position)
        }
    }
}
