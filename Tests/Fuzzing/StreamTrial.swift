internal import Resync
internal import Storage
internal import TestSupport

/// Delta streams and digest maps that are damaged on purpose, and what must hold for any file that is
/// read as one.
struct StreamTrial: ByteTrial {
    let format: StreamFormat
    let noun = "files"

    func bytes(using generator: inout SeededGenerator) throws -> [UInt8] {
        let seed =
            switch format {
            case .delta: try Self.delta(&generator)
            case .map: try Self.map(&generator)
            }
        var mutator = StreamMutator(pieces: StreamPieces(format, seed), generator: generator)
        return mutator.mutated()
    }

    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws {
        switch format {
        case .delta: try DeltaOracle(bytes).judge(&reach)
        case .map: try MapOracle(bytes).judge(&reach)
        }
    }

    // MARK: Right ones to start from

    private static func delta(_ generator: inout SeededGenerator) throws -> [UInt8] {
        let blockSize =
            generator.once(in: 32) ? 4096 << generator.below(11) : 4096 << generator.below(2)
        let blockCount = [1, 9, 300, 1 << 38][generator.below(4)] as UInt64
        let short = UInt64(generator.below(blockSize))
        let header = DeltaHeader(
            virtualSize: blockCount * UInt64(blockSize) - (generator.once(in: 2) ? short : 0),
            blockSize: blockSize, streamID: .random(using: &generator),
            hasRootDigests: !generator.once(in: 4))
        let file = FuzzFile(Content())
        var writer = try DeltaWriter(header, to: file)
        var context = try SHA256Context()
        let most = max(1, 65536 / blockSize)
        var buffer = try DeltaRecordBuffer(
            contentByteCount: most * blockSize, blockSize: blockSize)
        for _ in 0..<generator.below(7) where writer.endBlock < blockCount {
            let left = blockCount - writer.endBlock
            let gap = generator.once(in: 2) ? 0 : UInt64(generator.below(3))
            let first = writer.endBlock + min(gap, left - 1)
            if generator.once(in: 3) {
                let count = generator.next() >> UInt64(generator.below(64))
                try writer.append(zeros: first..<first + min(max(1, count), blockCount - first))
            } else {
                let count = min(UInt64(1 + generator.below(most)), blockCount - first)
                let size = Int(header.contentByteCount(of: first..<first + count))
                let content = content(size, &generator)
                let digests = stride(from: 0, to: size, by: blockSize).map { start in
                    let end = min(start + blockSize, size)
                    return context.digest(of: content.rawSpan.extracting(start..<end))
                }
                buffer.append(first: first, digests: digests, content: content.rawSpan)
                try writer.append(buffer)
                buffer.removeAll()
            }
        }
        let root = header.hasRootDigests ? digest(&generator) : .zero
        let done = try writer.finish(baseRoot: root, resultRoot: root)
        return done.content.bytes(at: 0, count: Int(done.content.byteCount))
    }

    /// Content of which LZ4 makes runs, short matches, or nothing.
    private static func content(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let period = [1, 1, 7, 600, 100_000][generator.below(5)]
        let tile = generator.bytes(count: min(period, count))
        var content: [UInt8] = []
        content.reserveCapacity(count)
        while content.count < count { content += tile.prefix(count - content.count) }
        return content
    }

    private static func digest(_ generator: inout SeededGenerator) -> BlockDigest {
        BlockDigest(decoding: generator.bytes(count: 32).rawSpan, at: 0)
    }

    private static func map(_ generator: inout SeededGenerator) throws -> [UInt8] {
        // The digests of large zero blocks take milliseconds.
        let blockSize = 4096 << generator.below(generator.once(in: 32) ? 13 : 3)
        let blockCount = [0, 1, 9, 300, 5000, 1 << 38][generator.below(6)] as UInt64
        let short = blockCount == 0 ? 0 : UInt64(generator.below(blockSize))
        let header = DigestMapHeader(
            virtualSize: blockCount * UInt64(blockSize) - short, blockSize: blockSize,
            virtualDiskID: .random(using: &generator), dataWriteGUID: .zero,
            fileState: generator.once(in: 2) ? digest(&generator) : nil)
        var encoder = try DigestMapEncoder(header: header)
        var left = blockCount
        while left > 0 {
            if generator.once(in: 2) || left > 1 << 20 {
                let count = min(max(1, generator.next() >> UInt64(generator.below(64))), left)
                encoder.append(zeroBlocks: count)
                left -= count
            } else {
                let count = min(UInt64(1 + generator.below(40)), left)
                for _ in 0..<count { encoder.append(digest(&generator)) }
                left -= count
            }
        }
        _ = encoder.finish()
        return encoder.output
    }
}

/// What must hold for a file that is read as a digest map.
struct MapOracle {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func judge(_ reach: inout Reach) throws {
        let raw = RawMap(bytes)
        let file = FuzzFile(bytes)
        do {
            let (header, runs, again) = try read(file)
            reach.noted("read, \(runs.count) runs", isOpened: true)
            guard raw.isRight else { throw Violation("a map was read that breaks a rule") }
            guard runs == raw.runs else { throw Violation("other runs were read than are there") }
            guard header.fileState?.bytes == raw.fileState else {
                throw Violation("another state of the files was read than is there")
            }
            // What was read makes a map that says the same, and makes itself.
            let (_, _, third) = try read(FuzzFile(again))
            guard third == again else { throw Violation("a map that was read makes another") }
        } catch let error as ResyncError {
            guard !raw.isRight else { throw Violation("a right map was refused: \(error)") }
            switch error {
            case .notADigestMap, .unsupportedDigestMap, .damagedDigestMap: reach.noted(error)
            default: throw Violation("a damaged map ended with: \(error)")
            }
        }
        guard file.bytesRead <= 2 * UInt64(bytes.count) + 1 << 20 else {
            throw Violation("\(file.bytesRead) bytes were read of \(bytes.count)")
        }
    }

    /// Reads a map to its end: its header, the runs, and the map that is made of them.
    private func read(
        _ file: FuzzFile
    ) throws -> (DigestMapHeader, [RawMap.Run], [UInt8]) {
        var reader = try DigestMapReader(reading: file)
        var encoder = try DigestMapEncoder(header: reader.header)
        var runs: [RawMap.Run] = []
        while let run = try reader.nextRun(upTo: .max) {
            switch run {
            case .zeros(let count):
                runs.append(.zeros(count))
                encoder.append(zeroBlocks: count)
            case .digests(let digests):
                runs.append(.digests(digests.map(\.bytes)))
                for digest in digests { encoder.append(digest) }
            }
        }
        guard encoder.finish() == reader.rootDigest else {
            throw Violation("a map was read whose root digest its digests do not make")
        }
        return (reader.header, runs, encoder.output)
    }
}

extension FuzzFile {
    convenience init(_ bytes: [UInt8]) {
        var content = Content()
        content.resize(to: UInt64(bytes.count))
        content.write(bytes.rawSpan, at: 0)
        self.init(content)
    }
}
