import Foundation
import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: the page and the reference")
struct DeltaVectorTests {
    private func digest(_ bytes: [UInt8]) throws -> BlockDigest {
        var context = try SHA256Context()
        return context.digest(of: bytes.rawSpan)
    }

    @Test("The vector of docs/delta-stream.md")
    func vector() throws {
        let header = DeltaHeader(
            virtualSize: 12289, blockSize: 4096,
            streamID: try #require(GUID("00112233-4455-6677-8899-aabbccddeeff")),
            source: DiskState(
                virtualDiskID: try #require(GUID("01234567-89ab-cdef-0123-456789abcdef")),
                dataWriteGUID: .zero, fileState: .zero))
        let first = [UInt8](repeating: 1, count: 4096)
        let last: [UInt8] = [0xFF]
        var base = try DigestTreeBuilder(virtualSize: 12289, blockSize: 4096)
        base.append(zeroBlocks: 4)
        var result = try DigestTreeBuilder(virtualSize: 12289, blockSize: 4096)
        result.append(try digest(first))
        result.append(zeroBlocks: 2)
        result.append(try digest(last))

        var writer = try DeltaWriter(header, to: MemoryFile(name: "delta"))
        var buffer = try DeltaRecordBuffer(contentByteCount: 4096, blockSize: 4096)
        buffer.append(first: 0, digests: [try digest(first)], content: first.rawSpan)
        try writer.append(buffer)
        try writer.append(zeros: 1..<3)
        buffer.removeAll()
        buffer.append(first: 3, digests: [try digest(last)], content: last.rawSpan)
        try writer.append(buffer)
        let file = try writer.finish(baseRoot: base.root(), resultRoot: result.root())

        let documented = try documentedVector(in: "delta-stream.md")
        #expect(documented.count == 507)
        #expect(try file.allBytes() == documented)
        var reader = try DeltaReader(reading: MemoryFile(delta: documented))
        #expect(
            try reader.entries() == [
                .data(first: 0, content: first), .zeros(1..<3), .data(first: 3, content: last),
            ])
    }

    @Test("The reference finds every rule kept, and reads what was written")
    func reference() throws {
        let directory = try TemporaryDirectory()
        for seed in 0..<4 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var model = DeltaModel(smallWithSeed: seed)
            if seed % 2 == 0 {
                // Compressed, stored, and with short matches.
                for (index, texture) in DeltaModel.Texture.allCases.enumerated() {
                    let content = DeltaModel.content(texture, count: 8192, using: &generator)
                    model.entries[2 * index] = .data(first: 6 * UInt64(index), content: content)
                }
            }
            model.header.hasRootDigests = seed < 2
            let bytes = try model.written(using: &generator).allBytes()
            let path = directory.path("delta")
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            var expected = try model.entries.map { entry in
                switch entry {
                case .zeros(let blocks):
                    return "zeros \(blocks.lowerBound) \(blocks.byteCount)"
                case .data(let first, let content):
                    return "data \(first) \(entry.blocks.byteCount) \(try digest(content))"
                }
            }
            expected.append("trailer \(model.roots.base) \(model.roots.result)")
            let output = try runReference([path], script: "delta_stream.py")
            #expect(output == expected.joined(separator: "\n"), "seed \(seed)")
        }
    }
}
