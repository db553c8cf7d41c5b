import Storage
import TestSupport
import Testing

@Suite("MemoryFile and SparseBytes")
struct MemoryFileTests {
    @Test("The files of the tests keep the promises of every RandomAccessFile")
    func contract() throws {
        try RandomAccessFileContract.check(MemoryFile())
        try RandomAccessFileContract.check(FailingFile(MemoryFile()))
        try RandomAccessFileContract.check(PowerCutFile())
    }

    @Test("It crosses 4 GiB, and many TiB, for the cost of what is written")
    func large() throws {
        let file = MemoryFile()
        let bytes = SeededGenerator(seed: 1).withBytes(count: 10_000)
        for offset in [(1 << 32) - 5_000, (1 << 46) - 1, (1 << 62)] as [UInt64] {
            try file.write(bytes.rawSpan, at: offset)
            #expect(try file.bytes(at: offset, count: 10_000) == bytes)
        }
        #expect(try file.bytes(at: (1 << 32) - 5_000, count: 10_000) == bytes)
        #expect(try file.byteCount() == 1 << 62 + 10_000)
        try file.setByteCount(1 << 32)
        try file.setByteCount(1 << 33)
        #expect(try file.bytes(at: 1 << 32, count: 5_000).allSatisfy { $0 == 0 })
        #expect(try file.bytes(at: (1 << 32) - 5_000, count: 5_000) == Array(bytes.prefix(5_000)))
    }

    @Test("Random calls leave what they leave in an array")
    func model() throws {
        for seed in 0..<30 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let file = MemoryFile()
            var model: [UInt8] = []
            for _ in 0..<60 {
                let start = Int.random(in: 0..<30_000, using: &generator)
                let count = Int.random(in: 0..<9_000, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0:
                    let bytes = generator.bytes(count: count)
                    try file.write(bytes.rawSpan, at: UInt64(start))
                    guard count > 0 else { break }
                    model += [UInt8](repeating: 0, count: max(0, start + count - model.count))
                    model.replaceSubrange(start..<(start + count), with: bytes)
                case 1:
                    try file.deallocate(UInt64(start)..<UInt64(start + count))
                    for index in start..<(start + count) where index < model.count {
                        model[index] = 0
                    }
                case 2:
                    try file.setByteCount(UInt64(start))
                    model = Array(model.prefix(start))
                    model += [UInt8](repeating: 0, count: start - model.count)
                default:
                    try file.reserve(UInt64(start)..<UInt64(start + count))
                    guard count > 0 else { break }
                    model += [UInt8](repeating: 0, count: max(0, start + count - model.count))
                }
                #expect(try file.byteCount() == UInt64(model.count), "seed \(seed)")
            }
            #expect(try file.bytes(at: 0, count: model.count) == model, "seed \(seed)")
            try checkHint(file, model)
        }
    }

    /// All that lies outside of what `nextData` names is zero.
    private func checkHint(_ file: MemoryFile, _ model: [UInt8]) throws {
        var position: UInt64 = 0
        while position < UInt64(model.count) {
            let data = try file.nextData(from: position, limit: UInt64(model.count))
            let end = data?.lowerBound ?? UInt64(model.count)
            #expect(model[Int(position)..<Int(end)].allSatisfy { $0 == 0 })
            position = data?.upperBound ?? end
        }
    }

    @Test("Calls and bytes are counted, and a second holder sees the same file")
    func counts() throws {
        let file = MemoryFile(name: "/x")
        let same = file
        try file.write(([1, 2, 3] as [UInt8]).rawSpan, at: 0)
        try file.flush()
        try file.setByteCount(100)
        try file.reserve(0..<200)
        try file.deallocate(0..<1)
        try file.writeZeros(1..<2)
        #expect(try same.bytes(at: 0, count: 3) == [0, 0, 3])
        var expected = MemoryFile.Counts()
        expected.writes = 1
        expected.bytesWritten = 3
        expected.flushes = 1
        expected.resizes = 1
        expected.reservations = 1
        expected.clearings = 2
        expected.reads = 1
        expected.bytesRead = 3
        #expect(same.counts == expected)
        #expect(same.counts.changes == 5)
        same.resetCounts()
        #expect(file.counts == MemoryFile.Counts())
    }

    @Test("Two contents are equal when they read the same, and else say where they differ")
    func equality() {
        var first = SparseBytes(byteCount: 100_000)
        var second = first
        #expect(first == second)
        second.write([UInt8](repeating: 0, count: 10).rawSpan, at: 50_000)
        #expect(first == second, "written zeros equal a hole")
        second.write(([1] as [UInt8]).rawSpan, at: 50_009)
        #expect(first.firstDifference(from: second) == 50_009)
        #expect(second.firstDifference(from: first) == 50_009)
        second.clear(50_000..<50_010)
        first.resize(to: 100_001)
        #expect(first.firstDifference(from: second) == 100_000)
    }

    @Test("A seed always gives the same numbers")
    func generator() {
        // SplitMix64's published output for seed 1234567.
        var generator = SeededGenerator(seed: 1_234_567)
        let numbers = (0..<3).map { _ in generator.next() }
        #expect(
            numbers == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            ])
        #expect(generator.seed == 1_234_567)
        #expect(generator.bytes(count: 13).count == 13)
    }
}

extension SeededGenerator {
    fileprivate func withBytes(count: Int) -> [UInt8] {
        var copy = self
        return copy.bytes(count: count)
    }
}
