internal import TestSupport

/// Differencing images and what they build on.
enum ChildSeeds {
    static let all: [(name: String, parent: String?, builder: ImageBuilder)] = [
        ("parent-512", nil, parent(virtualSize: 8 << 20, logicalSectorSize: 512)),
        ("parent-4096", nil, parent(virtualSize: 8 << 20, logicalSectorSize: 4096)),
        ("parent-40G", nil, largeParent()),
        ("child-512", "parent-512", child(virtualSize: 8 << 20, logicalSectorSize: 512)),
        ("child-4096", "parent-4096", child(virtualSize: 8 << 20, logicalSectorSize: 4096)),
        ("child-larger", "parent-512", child(virtualSize: 11 << 20, logicalSectorSize: 512)),
        ("child-smaller", "parent-512", child(virtualSize: 7 << 20, logicalSectorSize: 512)),
        ("child-other-sectors", "parent-512", child(virtualSize: 8 << 20, logicalSectorSize: 4096)),
        ("child-40G", "parent-40G", largeChild()),
        ("child-dirty", "parent-512", dirtyChild()),
        ("grandchild", "child-512", child(virtualSize: 8 << 20, logicalSectorSize: 512)),
        ("child-alone", nil, child(virtualSize: 8 << 20, logicalSectorSize: 512)),
        ("child-without-locator", "parent-512", childWithoutLocator()),
    ]

    private static func parent(virtualSize: UInt64, logicalSectorSize: UInt64) -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: virtualSize, blockSize: 2 << 20, logicalSectorSize: logicalSectorSize)
        for block in 0..<4 as Range<UInt64> {
            builder.addBlock(block, content: Seeds.pattern(70 + block, count: 20000))
        }
        return builder
    }

    /// Blocks of every state, two of them with some sectors only.
    private static func child(virtualSize: UInt64, logicalSectorSize: UInt64) -> ImageBuilder {
        var builder = childWithoutLocator(
            virtualSize: virtualSize, logicalSectorSize: logicalSectorSize)
        builder.addLocator(
            ImageBuilder.Locator(
                volumePath: #"\\?\Volume{11111111-2222-4333-8444-555555555555}\a\parent.vhdx"#,
                absolutePath: #"C:\a\parent.vhdx"#))
        return builder
    }

    private static func childWithoutLocator(
        virtualSize: UInt64 = 8 << 20, logicalSectorSize: UInt64 = 512
    ) -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: virtualSize, blockSize: 1 << 20, logicalSectorSize: logicalSectorSize,
            kind: .differencing)
        let sectors = Int((1 << 20) / logicalSectorSize)
        builder.addBlock(0, state: 7, content: Seeds.pattern(0, count: 9000))
        builder.addBlock(1, content: Seeds.pattern(1))
        builder.addBlock(2, state: 2, at: 0)
        builder.addBlock(3, state: 3)
        builder.addBlock(4, state: 7, content: Seeds.pattern(4, count: 30000))
        builder.addBlock(6, state: 1, at: 0)
        builder.addBitmap(
            ofChunk: 0,
            sectors: [0..<2, 5..<7, 4 * sectors..<4 * sectors + 3, 5 * sectors - 9..<5 * sectors])
        return builder
    }

    private static func largeParent() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 40 << 30, blockSize: 32 << 20)
        for block in [0, 8, 127, 128, 1279] as [UInt64] {
            builder.addBlock(block, content: Seeds.pattern(90 + block, count: 5000))
        }
        return builder
    }

    /// Several chunks, of which two have a sector bitmap.
    private static func largeChild() -> ImageBuilder {
        var builder = ImageBuilder(
            virtualSize: 40 << 30, blockSize: 256 << 20, kind: .differencing)
        let sectors = 1 << 19
        for block in [0, 15, 16, 159] as [UInt64] {
            builder.addBlock(block, state: 7, content: Seeds.pattern(block, count: 9000))
        }
        builder.addBlock(17, content: Seeds.pattern(17))
        builder.addBitmap(ofChunk: 0, sectors: [0..<3, 15 * sectors..<15 * sectors + 5])
        builder.addBitmap(ofChunk: 1, sectors: [1..<4])
        builder.addBitmap(ofChunk: 9, sectors: [15 * sectors + 2..<15 * sectors + 4])
        builder.addLocator()
        return builder
    }

    /// The log turns a block into a partially present one, and brings its bits.
    private static func dirtyChild() -> ImageBuilder {
        var builder = ImageBuilder(virtualSize: 6 << 20, kind: .differencing)
        builder.addBlock(0, content: Seeds.pattern(0))
        builder.addBlock(1, state: 3, content: Seeds.pattern(1))
        builder.addBitmap(ofChunk: 0, sectors: [])
        builder.addLocator()
        let table = builder.tablePosition
        let bitmap = builder.nextOffset - (1 << 20)
        let page: [UInt8] = [0x3C] + [UInt8](repeating: 0, count: 4095)
        return Seeds.dirty(
            builder, lastFileOffset: builder.nextOffset, flushedFileOffset: 1 << 20,
            [
                [.data(at: bitmap, page)],
                [.data(at: table, Seeds.tablePage([builder.batEntry(0, state: 7)]))],
            ])
    }
}

extension ImageBuilder {
    fileprivate var tablePosition: UInt64 { batEntryOffset(ofBlock: 0) }

    /// The entry of a block of this image in another state.
    fileprivate func batEntry(_ block: UInt64, state: UInt64) -> UInt64 {
        (blocks[block]?.offset ?? 0) | state
    }
}
