import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("Geometry")
struct GeometryTests {
    private func geometry(
        _ virtualSize: UInt64, _ blockSize: UInt64, sector: UInt64 = 512, hasParent: Bool = false
    ) -> Geometry {
        let locator = ParentLocator(linkage: .random(), relativePath: "parent.vhdx")
        return Geometry(
            MetadataItems(
                blockSize: blockSize, leavesBlocksAllocated: false,
                parentLocator: hasParent ? locator : nil,
                virtualSize: virtualSize, virtualDiskID: .zero, logicalSectorSize: sector,
                physicalSectorSize: 4096))
    }

    @Test(
        "The chunk ratio falls as blocks grow",
        arguments: [(1, 4096), (2, 2048), (32, 128), (256, 16)] as [(UInt64, UInt64)])
    func chunkRatio(mebibytes: UInt64, ratio: UInt64) {
        #expect(geometry(1 << 30, mebibytes << 20).chunkRatio == ratio)
        #expect(geometry(1 << 30, mebibytes << 20, sector: 4096).chunkRatio == ratio * 8)
    }

    @Test(
        "The table has the entries that other implementations count",
        arguments: [
            (10 << 30, 32 << 20, 322), (4 << 30, 1 << 20, 4096), ((4 << 30) + 512, 1 << 20, 4098),
            (64 << 40, 1 << 20, 67_125_247), (64 << 40, 32 << 20, 2_113_535), (512, 1 << 20, 1),
            (64 << 40, 256 << 20, 278_527), (128 << 30, 32 << 20, 4096 + 31),
        ] as [(UInt64, UInt64, UInt64)])
    func entryCount(virtualSize: UInt64, blockSize: UInt64, count: UInt64) {
        #expect(geometry(virtualSize, blockSize).entryCount == count)
    }

    @Test(
        "With a parent, the table has whole chunks",
        arguments: [
            (10 << 30, 32 << 20, 387), (4 << 30, 1 << 20, 4097), ((4 << 30) + 512, 1 << 20, 8194),
            (64 << 40, 1 << 20, 67_125_248), (512, 1 << 20, 4097),
        ] as [(UInt64, UInt64, UInt64)])
    func entryCountWithParent(virtualSize: UInt64, blockSize: UInt64, count: UInt64) {
        let geometry = geometry(virtualSize, blockSize, hasParent: true)
        #expect(geometry.entryCount == count)
        let last = geometry.role(ofEntry: count - 1)
        #expect(last == .sectorBitmap(chunk: geometry.chunkCount - 1))
        if geometry.payloadBlockCount % geometry.chunkRatio != 0 {
            #expect(geometry.role(ofEntry: count - 2) == .unused)
        }
    }

    @Test("Sectors are counted from the start of their chunk")
    func sectors() {
        let small = geometry(64 << 30, 2 << 20)
        let chunk: UInt64 = 4 << 30
        #expect(small.sectorsInChunk(0..<512) == 0..<1)
        #expect(small.sectorsInChunk(chunk..<chunk + 1024) == 0..<2)
        #expect(small.sectorsInChunk(chunk - 1024..<chunk) == (8 << 20) - 2..<8 << 20)
        let large = geometry(64 << 30, 2 << 20, sector: 4096)
        let second: Range<UInt64> = 1_048_576..<1_048_577
        #expect(large.sectorsInChunk(chunk..<chunk + 4096) == second)
    }

    @Test("After every chunk one entry is left out, and roles and indices agree")
    func interleave() {
        for (mebibytes, sector) in [(1, 512), (2, 4096), (32, 512), (256, 512), (256, 4096)]
            as [(UInt64, UInt64)]
        {
            let geometry = geometry(64 << 40, mebibytes << 20, sector: sector)
            let ratio = geometry.chunkRatio
            for block in [0, 1, ratio - 1, ratio, ratio + 1, 2 * ratio, 7 * ratio + 3] {
                let index = geometry.entryIndex(ofBlock: block)
                #expect(index == block + block / ratio)
                #expect(geometry.role(ofEntry: index) == .payloadBlock(block))
            }
            for chunk in 0..<5 as Range<UInt64> {
                let index = (chunk + 1) * ratio + chunk
                #expect(geometry.role(ofEntry: index) == .sectorBitmap(chunk: chunk))
                #expect(geometry.entryIndex(ofBitmapOfChunk: chunk) == index)
            }
            let last = geometry.entryIndex(ofBlock: geometry.payloadBlockCount - 1)
            #expect(last == geometry.entryCount - 1, "the last entry is a payload block's")
        }
    }

    @Test("The last block ends with the disk")
    func lastBlock() {
        let geometry = geometry((5 << 20) + 512, 2 << 20)
        #expect(geometry.payloadBlockCount == 3)
        let end: UInt64 = (5 << 20) + 512
        let ranges = (0..<3).map { geometry.virtualRange(ofBlock: $0) }
        #expect(ranges == [0..<2 << 20, 2 << 20..<4 << 20, 4 << 20..<end] as [Range<UInt64>])
        let cases: [(Range<UInt64>, Range<UInt64>)] = [
            (0..<1, 0..<1), ((2 << 20) - 1..<(2 << 20) + 1, 0..<2), (2 << 20..<4 << 20, 1..<2),
            (0..<end, 0..<3),
        ]
        for (range, blocks) in cases { #expect(geometry.blocks(in: range) == blocks) }
    }
}
