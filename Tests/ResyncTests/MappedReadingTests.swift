import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("One side, looked at where the kernel keeps it")
struct MappedReadingTests {
    private static let blockSize = 65536

    init() {
        MappedReading.allow()
    }

    /// The image at a path, which may be looked at like that on any file system.
    private func image(_ path: String) throws -> ReadOnlyTarget<ImageReader<DiskFile>> {
        var file = try DiskFile(opening: path, for: .reading)
        file.mapContentAnywhere()
        return ReadOnlyTarget(try ImageReader(file))
    }

    /// Of which ranges there are bytes without reading.
    private func areMapped(
        _ disk: borrowing some BlockSource & ~Copyable, _ ranges: Range<UInt64>...
    ) throws -> [Bool] {
        var found: [Bool] = []
        for range in ranges { found.append(try disk.mappedBytes(in: range) != nil) }
        return found
    }

    private struct Outcome {
        var roots: ComparisonEngine.Roots?
        var counts: ResyncCounts
    }

    /// A pass over one disk, or over one and another.
    private func run(
        _ pass: Pass, _ path: String, against other: String? = nil, _ probe: Probe = Probe(),
        _ otherProbe: Probe = Probe(), comparison: Comparison = .hash,
        sink: (any DifferenceSink)? = nil, workerCount: Int = 2
    ) throws -> Outcome {
        var options = ResyncOptions(workerCount: workerCount)
        options.blockSize = Self.blockSize
        options.comparison = comparison
        let monitor = ResyncMonitor()
        let disk = ProbeDisk(try image(path), probe)
        monitor.setDisk(disk.virtualSize, blockSize: options.blockSize)
        let engine = try ComparisonEngine(
            virtualSize: disk.virtualSize, options: options, pass: pass, monitor: monitor)
        guard let other else {
            let roots = try engine.run(alone: disk, sink: sink)
            return Outcome(roots: roots, counts: monitor.counts)
        }
        let replica = ProbeDisk(try image(other), otherProbe)
        let roots = try engine.run(primary: disk, replica: replica)
        return Outcome(roots: roots, counts: monitor.counts)
    }

    @Test("The digests are those of the content, and little is read")
    func digests() throws {
        var (read, mapped) = (0 as UInt64, 0 as UInt64)
        for seed in 500..<516 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            let probe = Probe()
            let outcome = try run(.digest, files.primary, probe)
            let expected = try naiveRoot(of: pair.primary, blockSize: Self.blockSize)
            #expect(outcome.roots?.primary == expected, "seed \(seed)")
            read += probe.counts.bytesRead
            mapped += probe.counts.bytesMapped
            let sum = probe.counts.bytesRead + probe.counts.bytesMapped
            #expect(sum == outcome.counts.bytesRead, "seed \(seed)")
        }
        // What lies in two payload blocks is read.
        #expect(mapped > read)
    }

    @Test("A disk larger than 4 GiB, whose payload blocks lie anywhere")
    func large() throws {
        var generator = SeededGenerator(seed: 520)
        let shape = DiskShape(virtualSize: 6 << 30, blockSize: 1 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        for start in [0, 5 << 20, 4 << 30, (6 << 30) - (3 << 20)] as [UInt64] {
            pair.primary.fill(start..<start + 3 << 20, using: &generator)
        }
        let files = try DiskFiles(pair, using: &generator)
        let probe = Probe()
        let outcome = try run(.digest, files.primary, probe)
        #expect(
            try outcome.roots?.primary == naiveRoot(of: pair.primary, blockSize: Self.blockSize))
        #expect(probe.counts.bytesMapped == 12 << 20 && probe.counts.reads == 0)
    }

    @Test("Where both sides are compared, content is held still", arguments: Comparison.allCases)
    func pairs(_ comparison: Comparison) throws {
        for seed in 530..<534 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            let (primary, replica) = (Probe(), Probe())
            let outcome = try run(
                .compare, files.primary, against: files.replica, primary, replica,
                comparison: comparison)
            let expected = ExpectedDifference(
                pair.primary, pair.replica, blockSize: Self.blockSize)
            #expect(outcome.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(replica.counts.bytesMapped == 0, "seed \(seed)")
            let read = primary.counts.bytesRead + primary.counts.bytesMapped
            #expect(
                outcome.counts.bytesRead == read + replica.counts.bytesRead, "seed \(seed)")
        }
        let (files, copy) = (try filled(535).files, try filled(535).files)
        let probe = Probe()
        let outcome = try run(
            .compare, files.primary, against: copy.primary, probe, comparison: comparison)
        #expect(outcome.counts.blocksDiffering == 0)
        #expect(probe.counts.bytesMapped == 0 && probe.counts.bytesRead == 8 << 20)
    }

    /// Takes what differs, and keeps nothing.
    private struct Sink: DifferenceSink {
        func beginWindow(itemCount: Int) {}

        func take(
            _ differences: ItemDifferences, at index: Int, records: RecordBox
        ) -> RecordBox { records }

        func cancel() {}
    }

    @Test("What is recorded is read: its digest is that of what is written")
    func recording() throws {
        let (files, content) = try filled(536)
        let probe = Probe()
        let outcome = try run(.record, files.primary, probe, sink: Sink())
        let expected = try naiveRoot(of: content, blockSize: Self.blockSize)
        #expect(outcome.roots?.primary == expected)
        #expect(probe.counts.bytesMapped == 0 && probe.counts.bytesRead == 8 << 20)
    }

    @Test("What proves what was written reads it")
    func proof() throws {
        var generator = SeededGenerator(seed: 540)
        let pair = DiskPair(using: &generator)
        let files = try DiskFiles(pair, using: &generator)
        let probe = Probe()
        let outcome = try run(.verify, files.primary, probe)
        #expect(
            try outcome.roots?.primary == naiveRoot(of: pair.primary, blockSize: Self.blockSize))
        #expect(probe.counts.bytesMapped == 0)
        #expect(probe.counts.bytesRead == outcome.counts.bytesRead)
    }

    /// A disk of 8 MiB, all of it stored.
    private func filled(_ seed: UInt64) throws -> (files: DiskFiles, content: DiskContent) {
        var generator = SeededGenerator(seed: seed)
        let shape = DiskShape(virtualSize: 8 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<8 << 20, using: &generator)
        return (try DiskFiles(pair, using: &generator), pair.primary)
    }

    @Test("A file that is cut while it is looked at ends the run, as one does that is read")
    func cut() throws {
        let files = try filled(550).files
        let path = files.primary
        let size = try DiskFile(opening: path, for: .reading).byteCount()
        let probe = Probe(whenMapped: { _ throws(VHDXError) in
            do throws(FileError) {
                try DiskFile(opening: path, for: .writing).setByteCount(size - 2 << 20)
            } catch {
                throw .file(error)
            }
        })
        let error = resyncError { _ = try run(.digest, path, probe) }
        guard case .disk(.primary, .file(.unexpectedEnd(path, let offset)))? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(offset >= size - 2 << 20)
    }

    @Test("What was not to be had for a moment is read again")
    func again() throws {
        let (files, content) = try filled(551)
        let path = files.primary
        let bytes = [UInt8](try files.bytes(of: path))
        let isFirst = Lock(true)
        let probe = Probe(whenMapped: { mapped throws(VHDXError) in
            try isFirst.withLock { isFirst throws(VHDXError) in
                guard isFirst else { return }
                isFirst = false
                do throws(FileError) {
                    let file = try DiskFile(opening: path, for: .writing)
                    try file.setByteCount(0)
                    _ = ZeroScan.isZero(mapped.bytes)
                    try file.write(bytes.rawSpan, at: 0)
                } catch {
                    throw .file(error)
                }
            }
        })
        // Another worker would find the file cut.
        let outcome = try run(.digest, path, probe, workerCount: 1)
        #expect(try outcome.roots?.primary == naiveRoot(of: content, blockSize: Self.blockSize))
        #expect(!isFirst.withLock { $0 } && probe.counts.reads > 0)
    }

    @Test("What a dirty log holds is read, and the rest is not")
    func log() throws {
        let files = try DiskFiles()
        var builder = ImageBuilder(virtualSize: 2 << 20)
        builder.addBlock(0, at: 4 << 20, content: [UInt8](repeating: 1, count: 1 << 20))
        builder.addBlock(1, at: 5 << 20, content: [UInt8](repeating: 2, count: 1 << 20))
        builder.fileSize = 8 << 20
        let guid = "0a0b0c0d-1111-4222-8333-444455556666"
        builder.useLog(
            guid,
            [
                ImageBuilder.LogEntry(
                    at: 0, sequenceNumber: 1, logGUID: guid, flushedFileOffset: 8 << 20,
                    lastFileOffset: 8 << 20,
                    [.data(at: (4 << 20) + 8192, [UInt8](repeating: 9, count: 4096))])
            ])
        try builder.build().save(to: files.primary)
        let disk = try image(files.primary)
        let found = try areMapped(
            disk, 0..<8192, 12288..<1 << 20, 0..<8193, 12287..<12289)
        #expect(found == [true, true, false, false])
        let probe = Probe()
        let outcome = try run(.digest, files.primary, probe)
        var content = DiskContent(byteCount: 2 << 20)
        content.put([UInt8](repeating: 1, count: 1 << 20), at: 0)
        content.put([UInt8](repeating: 2, count: 1 << 20), at: 1 << 20)
        content.put([UInt8](repeating: 9, count: 4096), at: 8192)
        #expect(try outcome.roots?.primary == naiveRoot(of: content, blockSize: Self.blockSize))
        #expect(probe.counts.bytesMapped == 1 << 20 && probe.counts.bytesRead == 1 << 20)
    }

    @Test("What a parent has beyond its end, and what lies in two places, is read")
    func chains() throws {
        let files = try DiskFiles()
        var parent = ImageBuilder(virtualSize: 3 << 20)
        parent.addBlock(0, content: [UInt8](repeating: 1, count: 1 << 20))
        parent.addBlock(2, content: [UInt8](repeating: 2, count: 1 << 20))
        try parent.build().save(to: files.replica)
        var child = ImageBuilder(virtualSize: 5 << 20, kind: .differencing)
        child.addLocator()
        child.addBlock(1, content: [UInt8](repeating: 3, count: 1 << 20))
        try child.build().save(to: files.primary)
        func open(_ path: String) throws -> DiskFile {
            var file = try DiskFile(opening: path, for: .reading)
            file.mapContentAnywhere()
            return file
        }
        let reader = try ImageReader(
            try open(files.primary),
            parent: ImageParent(try ImageReader(try open(files.replica))))
        for (block, value) in [1, 3, 2].enumerated() {
            let start = UInt64(block) << 20
            let found = try reader.mappedBytes(in: start..<start + 1 << 20)
            let mapped = try #require(found)
            let expected = [UInt8](repeating: UInt8(value), count: 1 << 20)
            let isRight = ZeroScan.isEqual(mapped.bytes, expected.rawSpan)
            #expect(isRight, "\(block)")
        }
        let found = try areMapped(
            reader, 3 << 20..<4 << 20, (3 << 20) - 512..<(3 << 20) + 512,
            (1 << 20) - 1..<(1 << 20) + 1)
        #expect(found == [false, false, false])
    }
}
