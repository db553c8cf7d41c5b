import Resync
import Storage
import TestSupport
import Testing

@Suite("Delta stream: written and read")
struct DeltaStreamTests {
    @Test("What was written is read, for each block size and content of each kind")
    func roundTrip() throws {
        for seed in 0..<39 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let model = DeltaModel(
                blockSize: 4096 << Int(seed % 13), blockCount: [3, 900, 1 << 33][Int(seed / 13)],
                entryCount: seed % 13 > 8 ? 3 : 10, using: &generator)
            let file = try model.written(using: &generator)
            #expect(try DeltaStream.isDelta(file))

            var reader = try DeltaReader(reading: file)
            #expect(reader.header == model.header)
            let trailer = try reader.requiredTrailer()
            #expect(
                trailer.baseRoot == model.roots.base && trailer.resultRoot == model.roots.result)
            #expect(trailer.recordCount == UInt64(model.entries.count))
            #expect(trailer.dataBlockCount == model.blockCounts.data)
            #expect(trailer.zeroBlockCount == model.blockCounts.zeros)
            for _ in 0..<2 {
                let isEqual = try reader.entries() == model.entries
                #expect(isEqual, "seed \(seed)")
                #expect(try reader.next() == nil)
                try reader.rewind()
            }
        }
    }

    @Test("A record of another stream is copied as it stands")
    func copying() throws {
        var generator = SeededGenerator(seed: 3)
        let model = DeltaModel(
            blockSize: 65536, blockCount: 300, entryCount: 30, using: &generator)
        let original = try model.written(using: &generator)
        var reader = try DeltaReader(reading: original)
        var writer = try DeltaWriter(model.header, to: MemoryFile(name: "delta"))
        while let record = try reader.next() { try writer.append(copying: record) }
        #expect(writer.endBlock == reader.counts.endBlock)
        #expect(writer.recordCount == reader.counts.records)
        let copy = try writer.finish(baseRoot: model.roots.base, resultRoot: model.roots.result)
        #expect(copy.content == original.content)
    }

    @Test("Content that does not become smaller by 1/32 is stored, and takes 56 bytes more")
    func sizes() throws {
        var generator = SeededGenerator(seed: 4)
        var buffer = try DeltaRecordBuffer(contentByteCount: 65536, blockSize: 65536)
        for (texture, expected) in [
            (.incompressible, 65592...65592), (.compressible, 4096...8192), (.mixed, 33000...45000),
        ] as [(DeltaModel.Texture, ClosedRange<Int>)] {
            let content = DeltaModel.content(texture, count: 65536, using: &generator)
            buffer.append(first: 0, digests: [.zero], content: content.rawSpan)
            #expect(expected.contains(buffer.byteCount), "\(texture)")
            buffer.removeAll()
        }
        #expect(buffer.byteCount == 0 && buffer.recordCount == 0)
    }

    @Test("The records of a buffer take one write, small ones are gathered, reads are large")
    func calls() throws {
        var generator = SeededGenerator(seed: 5)
        let file = MemoryFile(name: "delta")
        let header = DeltaHeader(virtualSize: 64 << 40, blockSize: 65536, streamID: .zero)
        var writer = try DeltaWriter(header, to: file)
        var buffer = try DeltaRecordBuffer(contentByteCount: 16 << 20, blockSize: 65536)
        let content = DeltaModel.content(.incompressible, count: 1 << 20, using: &generator)
        let digests = [BlockDigest](repeating: .zero, count: 16)
        for run in 0..<16 as Range<UInt64> {
            buffer.append(first: run * 20, digests: digests, content: content.rawSpan)
        }
        file.resetCounts()
        try writer.append(buffer)
        #expect(file.counts.writes == 1)
        for index in 500..<1500 as Range<UInt64> {
            try writer.append(zeros: 2 * index..<2 * index + 1)
        }
        #expect(file.counts.writes == 1)
        let whole = writer.byteCount
        let finished = try writer.finish(baseRoot: .zero, resultRoot: .zero)
        #expect(file.counts.writes == 3 && file.counts.flushes == 2)

        file.resetCounts()
        var reader = try DeltaReader(reading: finished)
        while try reader.next() != nil {}
        #expect(reader.position == whole)
        #expect(file.counts.reads <= 2 + Int(whole >> 18))
    }

    @Test("64 TiB of zeros are one record")
    func zeros() throws {
        let header = DeltaHeader(virtualSize: 64 << 40, blockSize: 4096, streamID: .zero)
        var writer = try DeltaWriter(header, to: MemoryFile(name: "delta"))
        try writer.append(zeros: 5..<5)
        try writer.append(zeros: 0..<1 << 34)
        #expect(writer.endBlock == 1 << 34 && writer.zeroBlockCount == 1 << 34)
        let file = try writer.finish(baseRoot: .zero, resultRoot: .zero)
        #expect(try file.byteCount() == 200 + 24 + 144)
        var reader = try DeltaReader(reading: file)
        #expect(try reader.next()?.contentByteCount == 64 << 40)
        #expect(try reader.next() == nil)
    }

    @Test("A disk without blocks has a header and a trailer")
    func empty() throws {
        let header = DeltaHeader(virtualSize: 0, blockSize: 4096, streamID: .zero)
        let file = try DeltaWriter(header, to: MemoryFile(name: "delta"))
            .finish(baseRoot: .zero, resultRoot: .zero)
        var reader = try DeltaReader(reading: file)
        #expect(try reader.next() == nil)
        #expect(try reader.requiredTrailer().recordCount == 0)
    }

    @Test("A file that holds something else is emptied durably before the header is written")
    func otherContent() throws {
        var generator = SeededGenerator(seed: 6)
        let model = DeltaModel(blockSize: 4096, blockCount: 50, entryCount: 9, using: &generator)
        let file = try model.written(using: &generator)
        file.resetCounts()
        let again = try model.written(to: file, using: &generator)
        #expect(file.counts.resizes == 1 && file.counts.flushes == 3)
        var reader = try DeltaReader(reading: again)
        #expect(try reader.entries() == model.entries)
    }
}
