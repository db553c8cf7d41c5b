import Foundation
import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("What differs, as it is recorded")
struct DifferenceRecorderTests {
    private static let blockSize = 4096

    /// What a test says of a block.
    private enum Block: Character {
        /// Equal content, and new content.
        case equal = "=", new = "n"
        /// Zero on both sides, and on the primary alone.
        case zero = ".", cleared = "c"
    }

    private func findings(_ blocks: some Sequence<Block>) -> [BlockComparison.Finding] {
        blocks.map { block in
            BlockComparison.Finding(
                primaryDigest: .zero, replicaDigest: .zero,
                differs: block == .new || block == .cleared,
                primaryIsZero: block == .zero || block == .cleared)
        }
    }

    private func blocks(_ text: String) -> [Block] { text.compactMap(Block.init) }

    // MARK: One item

    @Test("The runs of an item: content, zeros between content, and the zeros at its ends")
    func shapes() {
        typealias Zeros = ItemDifferences.Zeros
        typealias Run = ItemDifferences.Run
        func data(_ blocks: Range<Int>) -> Run { Run(blocks: blocks, isZero: false) }
        func zeros(_ blocks: Range<Int>) -> Run { Run(blocks: blocks, isZero: true) }
        let none = Zeros()
        let cases: [(String, leading: Zeros, runs: [Run], trailing: Zeros)] = [
            ("=", none, [], none),
            ("n", none, [data(0..<1)], none),
            ("nnn", none, [data(0..<3)], none),
            ("=n=nn", none, [data(1..<2), data(3..<5)], none),
            (".", Zeros(count: 1), [], none),
            ("c", Zeros(count: 1, differs: true), [], none),
            (".c.", Zeros(count: 3, differs: true), [], none),
            ("..=", Zeros(count: 2), [], none),
            (".c=", Zeros(count: 2, differs: true), [], none),
            ("=..", none, [], Zeros(count: 2)),
            ("n.c", none, [data(0..<1)], Zeros(count: 2, differs: true)),
            ("=..=", none, [], none),
            ("=.c.=", none, [zeros(1..<4)], none),
            ("ncn", none, [data(0..<1), zeros(1..<2), data(2..<3)], none),
            ("n.n", none, [data(0..<1), data(2..<3)], none),
            (
                "c.=nc.cn=.c", Zeros(count: 2, differs: true),
                [data(3..<4), zeros(4..<7), data(7..<8)], Zeros(count: 2, differs: true)
            ),
        ]
        for (text, leading, runs, trailing) in cases {
            let found = ItemDifferences(findings(blocks(text)), from: 7)
            #expect(found.blocks == 7..<7 + UInt64(text.count), "\(text)")
            #expect(found.leadingZeros == leading, "\(text)")
            #expect(found.runs == runs, "\(text)")
            #expect(found.trailingZeros == trailing, "\(text)")
            #expect(found.isZero == !text.contains { "=n".contains($0) }, "\(text)")
        }
    }

    // MARK: Many items

    private static func content(_ block: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(block % 255 + 1), count: blockSize)
    }

    /// What has to be recorded of a disk: content that is new, and runs of zeros that hold a block
    /// which was not zero.
    private func expected(_ disk: [Block]) -> [DeltaEntry] {
        var entries: [DeltaEntry] = []
        var index = 0
        while index < disk.count {
            let isZero = disk[index] == .zero || disk[index] == .cleared
            guard isZero else {
                if disk[index] == .new {
                    entries.append(.data(first: UInt64(index), content: Self.content(index)))
                }
                index += 1
                continue
            }
            let end = disk[index...].firstIndex { $0 != .zero && $0 != .cleared } ?? disk.count
            if disk[index..<end].contains(.cleared) {
                entries.append(.zeros(UInt64(index)..<UInt64(end)))
            }
            index = end
        }
        return entries.joined(blockSize: Self.blockSize)
    }

    private static func take(
        _ disk: [Block], _ range: Range<Int>, at index: Int, _ findings: [BlockComparison.Finding],
        _ recorder: DifferenceRecorder<DeltaWriter<MemoryFile>>
    ) throws {
        var records = try DeltaRecordBuffer(
            contentByteCount: range.count * blockSize, blockSize: blockSize)
        let differences = ItemDifferences(findings, from: UInt64(range.lowerBound))
        for run in differences.runs {
            let blocks =
                range.lowerBound + run.blocks.lowerBound..<range.lowerBound
                + run.blocks.upperBound
            guard !run.isZero else {
                records.append(zeros: UInt64(blocks.lowerBound)..<UInt64(blocks.upperBound))
                continue
            }
            let bytes = blocks.flatMap { Self.content($0) }
            let digests = [BlockDigest](repeating: .zero, count: blocks.count)
            records.append(
                first: UInt64(blocks.lowerBound), digests: digests, content: bytes.rawSpan)
        }
        _ = try recorder.take(differences, at: index, records: RecordBox(records))
    }

    private func recorder(
        _ blockCount: Int, _ monitor: ResyncMonitor = ResyncMonitor()
    ) -> DifferenceRecorder<DeltaWriter<MemoryFile>> {
        let header = DeltaHeader(
            virtualSize: UInt64(blockCount * Self.blockSize), blockSize: Self.blockSize,
            streamID: .random())
        return DifferenceRecorder(continuing: nil, monitor) { () throws(ResyncError) in
            try DeltaWriter(header, to: MemoryFile(name: "delta"))
        }
    }

    /// Windows of a disk, and in them items, which leave out blocks that are zero on both sides.
    private func windows(
        _ disk: [Block], using generator: inout SeededGenerator
    ) -> [[Range<Int>]] {
        var windows: [[Range<Int>]] = []
        var index = 0
        while index < disk.count {
            let end = min(index + Int.random(in: 1...30, using: &generator), disk.count)
            var items: [Range<Int>] = []
            while index < end {
                let itemEnd = min(index + Int.random(in: 1...7, using: &generator), end)
                let isLeftOut = disk[index..<itemEnd].allSatisfy { $0 == .zero }
                if !isLeftOut { items.append(index..<itemEnd) }
                index = itemEnd
            }
            windows.append(items)
        }
        return windows
    }

    @Test(
        "Zeros are joined over items, windows and gaps, whatever the order in which items come",
        arguments: [false, true])
    func joins(_ isParallel: Bool) throws {
        for seed in 0..<(isParallel ? 40 : 200) as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let letters: [Block] =
                seed % 2 == 0
                ? [.equal, .new, .zero, .cleared] : [.zero, .zero, .zero, .cleared, .new]
            let disk = (0..<Int.random(in: 1...120, using: &generator)).map { _ in
                letters.randomElement(using: &generator) ?? .equal
            }
            let recorder = recorder(disk.count)
            let windows = windows(disk, using: &generator)
            for items in windows {
                recorder.beginWindow(itemCount: items.count)
                let findings = items.map { self.findings(disk[$0]) }
                if isParallel {
                    let order = items.indices.shuffled(using: &generator)
                    try inThreads(order) { index in
                        try Self.take(disk, items[index], at: index, findings[index], recorder)
                    }
                } else {
                    for (index, item) in items.enumerated() {
                        try Self.take(disk, item, at: index, findings[index], recorder)
                    }
                }
            }
            // Behind the last item nothing is known to be joined.
            let end = windows.last { !$0.isEmpty }?.last?.upperBound ?? 0
            let expected = expected(Array(disk[..<end]))
            guard let writer = try recorder.finish() else {
                #expect(expected.isEmpty, "seed \(seed)")
                continue
            }
            let file = try writer.finish(baseRoot: .zero, resultRoot: .zero)
            var reader = try DeltaReader(reading: file)
            var entries: [DeltaEntry] = []
            while let record = try reader.next() {
                // The digests are not looked at here.
                if record.kind == .data {
                    let content = record.blocks.flatMap { Self.content(Int($0)) }
                    entries.append(.data(first: record.blocks.lowerBound, content: content))
                } else {
                    entries.append(.zeros(record.blocks))
                }
            }
            // The reader has checked that the blocks are in order. No run of zeros is cut.
            #expect(entries.joined(blockSize: Self.blockSize) == expected, "seed \(seed)")
            let zeros = entries.count { if case .zeros = $0 { true } else { false } }
            let expectedZeros = expected.count { if case .zeros = $0 { true } else { false } }
            #expect(zeros == expectedZeros, "seed \(seed)")
        }
    }

    /// Runs the body for each of some values, each in a thread of its own.
    private func inThreads(
        _ values: [Int], _ body: @escaping @Sendable (Int) throws -> Void
    ) throws {
        let failure = Lock<(any Error)?>(nil)
        let group = DispatchGroup()
        for value in values {
            group.enter()
            Thread {
                do { try body(value) } catch { failure.withLock { $0 = error } }
                group.leave()
            }.start()
        }
        group.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    @Test("Equal disks leave no stream")
    func equal() throws {
        let recorder = recorder(8)
        let disk = blocks("..==..=.")
        recorder.beginWindow(itemCount: 1)
        try Self.take(disk, 0..<8, at: 0, findings(disk), recorder)
        let isThere = try recorder.finish() != nil
        #expect(!isThere)
    }

    @Test("Who waits for its turn is let go after an error, and records nothing")
    func cancel() throws {
        let monitor = ResyncMonitor()
        let recorder = recorder(4, monitor)
        let disk = blocks("nnnn")
        recorder.beginWindow(itemCount: 4)
        let findings = findings(disk[0..<1])
        let group = DispatchGroup()
        let failed = Lock(false)
        for index in 1..<4 {
            group.enter()
            Thread {
                do {
                    try Self.take(disk, index..<index + 1, at: index, findings, recorder)
                } catch {
                    failed.withLock { $0 = true }
                }
                group.leave()
            }.start()
        }
        recorder.cancel()
        group.wait()
        #expect(!failed.withLock { $0 } && monitor.counts.bytesRecorded == 0)
        let isThere = try recorder.finish() != nil
        #expect(!isThere)
    }

    // MARK: What is held

    @Test("What is held of each window, of records that span several")
    func held() throws {
        for seed in 0..<40 as Range<UInt64> {
            var generator = SeededGenerator(seed: 900 + seed)
            let model = DeltaModel(
                blockSize: 4096, blockCount: 200, entryCount: 12, using: &generator)
            let file = try model.written(using: &generator)
            let end = UInt64.random(in: 0...220, using: &generator)
            var records = HeldRecords(try DeltaReader(reading: file), upTo: end)
            var digestByBlock: [UInt64: BlockDigest?] = [:]
            let count = model.header.blockCount
            var first: UInt64 = 0
            while first < count {
                let next = min(first + UInt64.random(in: 1...50, using: &generator), count)
                // Some windows are not asked for.
                if generator.next() % 5 > 0 {
                    for held in try records.blocks(in: first..<next) {
                        for index in held.range {
                            #expect(first + UInt64(index) < next, "seed \(seed)")
                            digestByBlock[first + UInt64(index)] = .some(
                                held.digests?[index - held.range.lowerBound])
                        }
                    }
                } else {
                    for block in first..<next { digestByBlock[block] = .some(.some(.zero)) }
                }
                first = next
            }
            var reader = try DeltaReader(reading: file)
            while let record = try reader.next() {
                for block in record.blocks {
                    guard let found = digestByBlock.removeValue(forKey: block) else {
                        #expect(record.blocks.lowerBound >= end, "seed \(seed), block \(block)")
                        continue
                    }
                    if found == .zero { continue }
                    let index = Int(block - record.blocks.lowerBound)
                    let expected = record.kind == .data ? record.digest(at: index) : nil
                    #expect(found == expected, "seed \(seed), block \(block)")
                }
            }
            #expect(digestByBlock.values.allSatisfy { $0 == .zero }, "seed \(seed)")
        }
    }
}
