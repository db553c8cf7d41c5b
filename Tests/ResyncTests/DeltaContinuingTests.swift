import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: cut and continued")
struct DeltaContinuingTests {
    /// Goes on with what is left of a stream, up to its end.
    private func complete(_ model: DeltaModel, _ rest: [UInt8]) throws -> MemoryFile {
        var generator = SeededGenerator(seed: 1)
        var writer = try DeltaWriter(continuing: MemoryFile(delta: rest))
        #expect(writer.header == model.header)
        let kept = DeltaModel(
            header: model.header, entries: Array(model.entries[..<Int(writer.recordCount)]))
        #expect(writer.dataBlockCount == kept.blockCounts.data)
        #expect(writer.zeroBlockCount == kept.blockCounts.zeros)
        #expect(writer.endBlock == (kept.entries.last?.blocks.upperBound ?? 0))
        try model.append(
            model.entries[Int(writer.recordCount)...], to: &writer, using: &generator)
        return try writer.finish(baseRoot: model.roots.base, resultRoot: model.roots.result)
    }

    @Test("Cut at each byte, with or without rubbish behind it, a stream becomes what it was")
    func eachLength() throws {
        var generator = SeededGenerator(seed: 2)
        let model = DeltaModel(smallWithSeed: 2)
        let whole = try model.written(using: &generator).allBytes()
        let rubbish = generator.bytes(count: 300)
        for count in 0..<whole.count {
            let rest = Array(whole[..<count]) + (count % 3 == 0 ? [] : rubbish.prefix(count % 300))
            guard count >= DeltaHeader.byteCount else {
                #expect(throws: ResyncError.self) { try complete(model, rest) }
                continue
            }
            let isEqual = try complete(model, rest).allBytes() == whole
            #expect(isEqual, "\(count) bytes")
        }
    }

    @Test("What follows a record that is not right is dropped")
    func eachByteWrong() throws {
        var generator = SeededGenerator(seed: 3)
        let model = DeltaModel(smallWithSeed: 3)
        let whole = try model.written(using: &generator).allBytes()
        for index in 200..<whole.count - 144 {
            var rest = Array(whole.dropLast(144))
            rest[index] ^= 0x10
            let isEqual = try complete(model, rest).allBytes() == whole
            #expect(isEqual, "byte \(index)")
        }
    }

    @Test("A stream that is whole up to its end is not touched")
    func nothingToDrop() throws {
        var generator = SeededGenerator(seed: 4)
        let model = DeltaModel(smallWithSeed: 4)
        let rest = try model.written(using: &generator).allBytes().dropLast(144)
        let file = MemoryFile(delta: Array(rest))
        file.resetCounts()
        let writer = try DeltaWriter(continuing: file)
        #expect(writer.byteCount == UInt64(rest.count))
        #expect(file.counts.changes == 0 && file.counts.flushes == 0)
        #expect(writer.intoFile() === file)
    }

    @Test("A finished stream is not continued")
    func finished() throws {
        var generator = SeededGenerator(seed: 5)
        let file = try DeltaModel(smallWithSeed: 5).written(using: &generator)
        let content = file.content
        let error = ResyncError.damagedDelta(
            path: "delta", what: "a trailer, where more is to follow",
            at: content.byteCount - 144)
        #expect(throws: error) { _ = try DeltaWriter(continuing: file) }
        #expect(file.content == content)
    }

    @Test("Content that ends as a trailer does is no trailer of the stream it is in")
    func contentLikeATrailer() throws {
        var generator = SeededGenerator(seed: 6)
        let other = try DeltaModel(smallWithSeed: 6).written(using: &generator).allBytes()
        var model = DeltaModel(smallWithSeed: 7)
        model.entries[0] = .data(
            first: 0, content: generator.bytes(count: 4096 - 144) + other.suffix(144))
        let whole = try model.written(using: &generator).allBytes()
        let rest = Array(whole[..<(200 + 24 + 32 + 4096)])
        #expect(rest.suffix(144) == other.suffix(144))
        #expect(try DeltaReader(reading: MemoryFile(delta: rest)).trailer == nil)
        #expect(try complete(model, rest).allBytes() == whole)
    }
}

extension DeltaEntry {
    /// The blocks of the entry, in a stream with blocks of 4096 bytes.
    var blocks: Range<UInt64> {
        switch self {
        case .zeros(let blocks): blocks
        case .data(let first, let content):
            first..<first + UInt64(content.count).dividedRoundingUp(by: 4096)
        }
    }
}
