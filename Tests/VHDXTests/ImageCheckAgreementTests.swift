import Storage
import TestSupport
import Testing

@testable import VHDX

/// That a check finds an error if and only if a reader refuses, over many images that are damaged
/// at random.
@Suite("ImageCheck: agreement with the reader")
struct ImageCheckAgreementTests {
    private static let logGUID = "0a0b0c0d-1111-4222-8333-444455556666"

    /// Images of every kind, all of which open.
    private static let images: [SparseBytes] = {
        var plain = ImageBuilder(virtualSize: 8 << 20)
        plain.addAllBlocks()
        var chunks = ImageBuilder(virtualSize: 5 << 30, logicalSectorSize: 512)
        for block in [0, 1, 4095, 4096, 5119] as [UInt64] { chunks.addBlock(block) }
        chunks.rawBATEntries = [2: 2, 3: 3, 4: 1]
        var fixed = ImageBuilder(
            virtualSize: 64 << 20 | 4096, blockSize: 8 << 20, logicalSectorSize: 4096,
            kind: .fixed)
        fixed.addAllBlocks()
        var regions = ImageBuilder(virtualSize: 8 << 20)
        regions.regions.append(
            .init(
                identifier: "deadbeef-0000-4000-8000-000000000004", offset: 4 << 20,
                length: 1 << 20, required: 0))
        regions.metadataItems.append(
            .init(
                identifier: "deadbeef-0000-4000-8000-000000000005", offset: 70_000, flags: 0,
                content: [1, 2, 3]))
        regions.nextOffset = 5 << 20
        regions.addBlock(3)
        var dirty = ImageBuilder(virtualSize: 8 << 20)
        dirty.addBlock(0)
        let page = [UInt8](0, 4096)
        dirty.useLog(
            logGUID,
            [
                .init(
                    at: 8192, sequenceNumber: 5, logGUID: logGUID, flushedFileOffset: 4 << 20,
                    lastFileOffset: 6 << 20,
                    [.data(at: 3 << 20, page), .zero(at: 3 << 20 | 4096, count: 8192)])
            ])
        var child = ImageBuilder(virtualSize: 5 << 30, kind: .differencing)
        child.addLocator()
        child.addBitmap(ofChunk: 0, sectors: [5..<9])
        child.addBitmap(ofChunk: 1, sectors: [])
        for block in [0, 4095, 4096] as [UInt64] { child.addBlock(block, state: 7) }
        child.addBlock(1)
        return [plain, chunks, fixed, regions, dirty, child].map { $0.build().content }
    }()

    /// Where structures stand that a damage is likely to be noticed in.
    private static let places: [Range<UInt64>] = [
        0..<8, 65536..<65616, 131_072..<131_152, 196_608..<196_720, 262_144..<262_256,
        1 << 20..<1 << 20 | 80, 1 << 20 | 8192..<1 << 20 | 8352,
        2 << 20..<2 << 20 | 256, 2 << 20 | 65536..<2 << 20 | 65576,
        2 << 20 | 69632..<2 << 20 | 69800,
        3 << 20..<3 << 20 | 96, 3 << 20 | 32760..<3 << 20 | 32792,
    ]

    /// What fields are likely to be compared with.
    private static let values: [UInt64] = [
        0, 1, 2, 3, 4, 5, 6, 7, 512, 4096, 65536, 1 << 20, 2 << 20, 3 << 20, 3 << 20 | 6,
        4 << 20 | 6, 4 << 20 | 3, 8 << 20 | 6, 1 << 30, 1 << 40 | 6, 1 << 63, .max,
    ]

    private func damage(_ file: MemoryFile, _ random: inout SeededGenerator) {
        let kind = Int.random(in: 0..<10, using: &random)
        if kind == 0 {
            let size = UInt64.random(in: 0...file.content.byteCount, using: &random)
            return file.content.resize(
                to: Bool.random(using: &random) ? size : size.roundedDown(toMultipleOf: .mebibyte))
        }
        guard let place = Self.places.randomElement(using: &random) else { return }
        let offset = UInt64.random(in: place, using: &random)
        switch kind {
        case 1..<5:
            file.damage(at: offset, bits: 1 << UInt8.random(in: 0..<8, using: &random))
        case 5:
            file.put(random.next(), at: offset)
        default:
            let value = Self.values.randomElement(using: &random) ?? 0
            let aligned = place.lowerBound + (offset - place.lowerBound) / 4 * 4
            if Bool.random(using: &random) {
                file.put(value, at: aligned)
            } else {
                file.put(UInt32(truncatingIfNeeded: value), at: aligned)
            }
        }
        if kind.isMultiple(of: 2) { repairChecksums(of: file) }
    }

    /// Makes headers and region tables count again, whatever they say now.
    private func repairChecksums(of file: MemoryFile) {
        for (place, count) in [(1, 4096), (2, 4096), (3, 65536), (4, 65536)] as [(UInt64, Int)] {
            let bytes = file.peek(at: place << 16, count: count)
            guard file.content.byteCount >= place << 16 + UInt64(count) else { continue }
            file.put(CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: 4), at: place << 16 + 4)
        }
    }

    @Test("The images open, and nothing is wrong with them")
    func undamaged() throws {
        for content in Self.images {
            let file = MemoryFile(content: content)
            let findings = ImageCheck.findings(in: file)
            #expect(disagreement(of: findings, with: readingRefusal(of: file)) == nil)
            #expect(findings?.contains { $0.severity == .error } == false)
        }
    }

    @Test("Images with one to four damages")
    func damaged() {
        var refused = 0
        var rules: Set<FormatRule> = []
        for seed in 0..<3000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let file = MemoryFile(content: Self.images[Int(seed) % Self.images.count])
            for _ in 0...Int.random(in: 0..<4, using: &random) { damage(file, &random) }
            let refusal = readingRefusal(of: file)
            let findings = ImageCheck.findings(in: file)
            let disagreement = disagreement(of: findings, with: refusal)
            #expect(disagreement == nil, "seed \(seed)")
            refused += findings?.contains { $0.severity == .error } == true ? 1 : 0
            rules.formUnion(findings?.map(\.rule) ?? [])
        }
        // Neither all nor none, and of all sorts.
        #expect((1000..<2900).contains(refused), "\(refused)")
        #expect(rules.count > 40, "\(rules.count)")
    }
}
