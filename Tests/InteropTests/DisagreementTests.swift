internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Where QEMU, libvhdi or dissect.hypervisor read a valid image otherwise than [MS-VHDX] says, or an
/// invalid one at all. What each returns is part of the test: where a release does it right, this
/// fails, and docs/vhdx.md and the expectation here are to be changed. It was so with QEMU 7.2.22,
/// libvhdi 20210425 and dissect.hypervisor 3.21.
struct DisagreementTests {
    typealias Finding = Judge.Finding

    private let folder: TemporaryFolder
    private let image: String
    private let parent: String

    init() throws {
        folder = try TemporaryFolder()
        image = folder.file("image.vhdx")
        parent = folder.file("parent.vhdx")
    }

    /// A sector of a disk with blocks of 1 MiB.
    private static func sector(_ index: UInt64 = 0, ofBlock block: UInt64) -> Range<UInt64> {
        let start = block << 20 + index * 512
        return start..<(start + 512)
    }

    private static func filled(_ value: UInt8, count: Int = 1 << 20) -> [UInt8] {
        [UInt8](repeating: value, count: count)
    }

    /// A parent of blocks of 1 MiB, each full of nines.
    private func makeParent(blocks: UInt64, sectorSize: UInt64 = 512) throws {
        var builder = ImageBuilder(virtualSize: blocks << 20, logicalSectorSize: sectorSize)
        for block in 0..<min(blocks, 8) { builder.addBlock(block, content: Self.filled(9)) }
        try builder.build().save(to: parent)
    }

    /// Asks each of the named readers about the ranges.
    private func expect(
        _ expected: KeyValuePairs<Judge, [Finding]>, in image: String? = nil,
        at ranges: [Range<UInt64>], _ label: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let image = image ?? self.image
        let parents = DiskFile.fingerprint(ofFileAt: parent) == nil ? [] : [parent]
        for (judge, findings) in expected {
            let found = try judge.findings(in: image, parents: parents, at: ranges)
            #expect(found == findings, "\(judge) \(label)", sourceLocation: sourceLocation)
        }
    }

    private static func values(_ values: UInt8...) -> [Finding] { values.map { .value($0) } }

    // MARK: Blocks and their table

    @Test("In a fixed image libvhdi forgets the bitmap entry after each chunk")
    func interleaveOfFixedImages() throws {
        var builder = ImageBuilder(virtualSize: 4099 << 20, kind: .fixed)
        for (block, value) in [(0, 1), (4096, 2), (4097, 3), (4098, 4)] as [(UInt64, UInt8)] {
            builder.addBlock(block, content: Self.filled(value, count: 4096))
        }
        try builder.build().save(to: image)
        // It takes the entry of the bitmap for block 4096, and for each later one that before it.
        let right = Self.values(1, 2, 3, 4)
        try expect(
            [.ours: right, .qemu: right, .dissect: right, .libvhdi: Self.values(1, 0, 2, 3)],
            at: [0, 4096, 4097, 4098].map { Self.sector(ofBlock: $0) })
    }

    @Test("dissect reads on behind a block where one call crosses its end")
    func readsAcrossBlocks() throws {
        var builder = ImageBuilder(virtualSize: 3 << 20)
        // In the file, block 2 follows block 0.
        for block: UInt64 in [0, 2, 1] {
            builder.addBlock(block, content: Self.filled(UInt8(block) + 1))
        }
        try builder.build().save(to: image)
        let range: Range<UInt64> = 1 << 19..<3 << 19
        for reader in OtherReader.allCases {
            let inPieces = try reader.read(image, ranges: [range]).digests
            let atOnce = try reader.read(image, ranges: [range], atOnce: true).digests
            #expect((inPieces == atOnce) == (reader == .libvhdi), "\(reader)")
        }
    }

    /// A wrong entry for block 0, where block 1 is right, lies at 4 MiB, and is full of threes.
    private struct WrongEntry {
        var what: String
        var state: UInt64
        var offset: UInt64
        var qemu: [Finding]
        var qemuCheckPasses: Bool
        var libvhdi: [Finding]
        var dissect: [Finding]
    }

    private static let wrongEntries: [WrongEntry] = [
        WrongEntry(
            what: "present at offset 0: the file's first bytes", state: 6, offset: 0,
            qemu: [.mixed, .value(3)], qemuCheckPasses: true, libvhdi: [.mixed, .value(3)],
            dissect: [.mixed, .value(3)]),
        WrongEntry(
            what: "present where another block is", state: 6, offset: 4 << 20,
            qemu: values(3, 3), qemuCheckPasses: true, libvhdi: values(3, 3),
            dissect: values(3, 3)),
        WrongEntry(
            what: "present in the log", state: 6, offset: 1 << 20, qemu: [.refused],
            qemuCheckPasses: false, libvhdi: values(0, 3), dissect: values(0, 3)),
        WrongEntry(
            what: "the reserved state 5", state: 5, offset: 5 << 20, qemu: values(0, 3),
            qemuCheckPasses: true, libvhdi: values(0, 3), dissect: [.refused]),
        WrongEntry(
            what: "partially present without a parent", state: 7, offset: 5 << 20,
            qemu: [.refused], qemuCheckPasses: true, libvhdi: values(0, 3), dissect: [.refused]),
    ]

    @Test("Entries that the format forbids are read by others", arguments: wrongEntries.indices)
    func wrongEntry(_ index: Int) throws {
        let entry = Self.wrongEntries[index]
        var builder = ImageBuilder(virtualSize: 2 << 20)
        builder.addBlock(1, content: Self.filled(3))
        builder.addBlock(0, state: entry.state, at: entry.offset)
        let file = builder.build()
        file.content.resize(to: 8 << 20)
        try file.save(to: image)
        try expect(
            [
                .ours: [.refused], .qemu: entry.qemu, .libvhdi: entry.libvhdi,
                .dissect: entry.dissect,
            ], at: [Self.sector(ofBlock: 0), Self.sector(ofBlock: 1)], entry.what)
        let check = try QEMU.img(["check", "-f", "vhdx", image])
        #expect(check.isSuccess == entry.qemuCheckPasses, "\(entry.what), \(check)")
    }

    // MARK: Structures that are stored twice, and unknown ones

    @Test(
        "Of two copies of which one is damaged, only we use the other in every case",
        arguments: [
            ("first header", 64 << 10, [.ours, .qemu, .dissect]),
            ("second header", 128 << 10, [.ours, .qemu]),
            ("first region table", 192 << 10, [.ours]),
            ("second region table", 256 << 10, [.ours, .qemu]),
            // dissect computes no checksum.
            ("first region table's checksum", (192 << 10) + 4, [.ours, .dissect]),
        ] as [(String, UInt64, [Judge])])
    func oneCopyDamaged(_ what: String, _ offset: UInt64, _ readers: [Judge]) throws {
        var builder = ImageBuilder(virtualSize: 2 << 20)
        builder.addBlock(1, content: Self.filled(3))
        let file = builder.build()
        file.damage(at: offset)
        try file.save(to: image)
        for judge in Judge.allCases {
            let expected: [Finding] = readers.contains(judge) ? [.value(3)] : [.refused]
            try expect([judge: expected], at: [Self.sector(ofBlock: 1)], what)
        }
    }

    @Test(
        "What is unknown and required is opened by others, and what is not is refused",
        arguments: [
            ("optional region", [.ours, .qemu, .libvhdi, .dissect]),
            ("required region", [.libvhdi, .dissect]),
            ("optional item", [.ours, .qemu, .libvhdi]),
            ("required item", [.libvhdi]),
            ("incomplete file", []),
        ] as [(String, [Judge])])
    func unknown(_ what: String, _ readers: [Judge]) throws {
        var builder = ImageBuilder(virtualSize: 2 << 20)
        builder.addBlock(1, content: Self.filled(3))
        let identifier = "01234567-89ab-4cde-8f01-23456789abcd"
        let isRequired = what.hasPrefix("required")
        switch what {
        case "optional region", "required region":
            builder.regions.append(
                ImageBuilder.Region(
                    identifier: identifier, offset: builder.nextOffset, length: 1 << 20,
                    required: isRequired ? 1 : 0))
        case "optional item", "required item":
            builder.metadataItems.append(
                ImageBuilder.MetadataItem(
                    identifier: identifier, offset: 65_600, flags: isRequired ? 4 : 0,
                    content: [1, 2, 3, 4]))
        default:
            builder.metadataItems.append(
                ImageBuilder.MetadataItem(
                    identifier: ImageBuilder.incompleteFile, offset: 0, flags: 4, content: []))
        }
        try builder.build().save(to: image)
        for judge in Judge.allCases {
            let expected: [Finding] = readers.contains(judge) ? [.value(3)] : [.refused]
            try expect([judge: expected], at: [Self.sector(ofBlock: 1)], what)
        }
    }

    // MARK: Children

    /// A child of `parent.vhdx` in its present state.
    private func child(
        blocks: UInt64, sectorSize: UInt64 = 512, _ locator: ImageBuilder.Locator = .init()
    ) -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: blocks << 20, logicalSectorSize: sectorSize, kind: .differencing)
        builder.addLocator(locator)
        for slot in builder.headers.indices {
            builder.headers[slot]?.dataWriteGUID = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
        }
        return builder
    }

    @Test("libvhdi asks the bitmap for blocks that have none, and finds the parent for zeros")
    func zeroBlocksOfAChild() throws {
        try makeParent(blocks: 6)
        var builder = child(blocks: 6)
        for (block, state) in [(0, 2), (1, 3), (2, 1), (3, 0)] as [(UInt64, UInt64)] {
            builder.addBlock(block, state: state, at: 0)
        }
        builder.addBlock(4, state: 7, content: Self.filled(4))
        builder.addBlock(5, state: 6, content: Self.filled(5))
        builder.addBitmap(ofChunk: 0, sectors: [4 * 2048 + 1..<4 * 2048 + 2])
        try builder.build().save(to: image)
        let right = Self.values(0, 0, 0, 9, 9, 4, 5)
        try expect(
            [
                .ours: right, .dissect: right, .libvhdi: Self.values(9, 9, 9, 9, 9, 4, 5),
                .qemu: [.refused],
            ],
            at: (0..<5).map { Self.sector(ofBlock: $0) } + [
                Self.sector(1, ofBlock: 4), Self.sector(ofBlock: 5),
            ])
    }

    @Test("Where a chunk has no bitmap, libvhdi takes the file's first bytes for one")
    func childWithoutABitmap() throws {
        try makeParent(blocks: 3)
        var builder = child(blocks: 3)
        builder.addBlock(2, state: 6, content: Self.filled(5))
        try builder.build().save(to: image)
        // The file starts with "v", 0b0111_0110: sectors 1, 2, 4, 5 and 6 of block 0 seem to lie
        // at their own offset from the start of the file.
        let right = Self.values(9, 9, 9, 5)
        try expect(
            [.ours: right, .dissect: right, .libvhdi: Self.values(9, 0, 9, 5)],
            at: [
                Self.sector(ofBlock: 0), Self.sector(1, ofBlock: 0), Self.sector(ofBlock: 1),
                Self.sector(ofBlock: 2),
            ])
    }

    @Test("dissect loses its place in the bitmap of a child with sectors of 4096 bytes")
    func bitmapOfLargeSectors() throws {
        try makeParent(blocks: 1, sectorSize: 4096)
        var builder = child(blocks: 1, sectorSize: 4096)
        builder.addBlock(0, state: 7, content: Self.filled(4))
        builder.addBitmap(ofChunk: 0, sectors: [3..<4])
        try builder.build().save(to: image)
        let ranges: [Range<UInt64>] = [8192..<12288, 12288..<16384]
        let right = Self.values(9, 4)
        try expect([.ours: right, .libvhdi: right, .dissect: [.refused]], at: ranges)
        // A read of all at once starts with a whole byte of the bitmap.
        let atOnce: [Range<UInt64>] = [0..<65536]
        let digests = try OtherReader.allCases.map { reader in
            try reader.read(image, parents: [parent], ranges: atOnce).digests
        }
        #expect(digests[0] == digests[1])
    }

    @Test("Neither library reads a child that is larger than its parent")
    func childLargerThanItsParent() throws {
        try makeParent(blocks: 2)
        var builder = child(blocks: 4)
        builder.addBitmap(ofChunk: 0, sectors: [])
        try builder.build().save(to: image)
        let within = Self.values(9)
        try expect(
            [.ours: within, .libvhdi: within, .dissect: within], at: [Self.sector(ofBlock: 1)])
        try expect(
            [.ours: Self.values(0), .libvhdi: [.refused], .dissect: [.refused]],
            at: [Self.sector(ofBlock: 3)])
    }

    @Test("A parent that has changed is noticed by libvhdi, not by dissect")
    func changedParent() throws {
        try makeParent(blocks: 2)
        let other = "{11111111-bbbb-4ccc-8ddd-eeeeeeeeeeee}"
        let linkage = ImageBuilder.Locator().entries[0].value
        var builder = child(blocks: 2, .init(linkage: other))
        builder.addBitmap(ofChunk: 0, sectors: [])
        try builder.build().save(to: image)
        let ranges = [Self.sector(ofBlock: 1)]
        try expect(
            [.ours: [.refused], .libvhdi: [.refused], .dissect: Self.values(9)], at: ranges)
        // libvhdi does not know the second linkage, by which such a parent is right.
        builder = child(blocks: 2, .init(linkage: other, linkage2: linkage))
        builder.addBitmap(ofChunk: 0, sectors: [])
        let path = folder.file("second-linkage.vhdx")
        try builder.build().save(to: path)
        try expect(
            [.ours: Self.values(9), .libvhdi: [.refused], .dissect: Self.values(9)], in: path,
            at: ranges)
    }

    @Test("libvhdi tells the parent's name only where the locator has an absolute one")
    func parentName() throws {
        try makeParent(blocks: 2)
        let names: [(absolute: String?, told: String?)] = [
            (#"C:\disks\parent.vhdx"#, #"C:\disks\parent.vhdx"#), (nil, nil),
        ]
        for (index, name) in names.enumerated() {
            var builder = child(blocks: 2, .init(absolutePath: name.absolute))
            builder.addBitmap(ofChunk: 0, sectors: [])
            let path = folder.file("\(index).vhdx")
            try builder.build().save(to: path)
            let ranges = [Self.sector(ofBlock: 1)]
            let reading = try OtherReader.libvhdi.read(path, parents: [parent], ranges: ranges)
            #expect(reading.parentName == name.told)
            #expect(reading.values == [9])
        }
    }
}
