import Storage
import TestSupport
import Testing

@Suite("PowerCutFile")
struct PowerCutFileTests {
    private func states(of file: PowerCutFile, limit: Int = 64) -> [PowerCutFile.CrashState] {
        var states: [PowerCutFile.CrashState] = []
        file.forEachCrashState(seed: 1, limit: limit) { states.append($0) }
        return states
    }

    private func write(_ value: UInt8, count: Int = 1, at offset: UInt64, to file: PowerCutFile)
        throws
    {
        try file.write([UInt8](repeating: value, count: count).rawSpan, at: offset)
    }

    @Test("Two writes without a flush between them arrive in both orders")
    func order() throws {
        let file = PowerCutFile(content: SparseBytes(byteCount: 8192))
        try write(1, at: 0, to: file)
        try write(2, at: 4096, to: file)
        let seen = Set(
            states(of: file).map {
                [
                    $0.file.peek(at: 0, count: 1)[0],
                    $0.file.peek(at: 4096, count: 1)[0],
                ]
            })
        #expect(seen == [[0, 0], [1, 0], [0, 2], [1, 2]])
    }

    @Test("With a flush between them they arrive in one")
    func flushOrders() throws {
        let file = PowerCutFile(content: SparseBytes(byteCount: 8192))
        try write(1, at: 0, to: file)
        try file.flush()
        try write(2, at: 4096, to: file)
        let seen = Set(
            states(of: file).map {
                [
                    $0.file.peek(at: 0, count: 1)[0],
                    $0.file.peek(at: 4096, count: 1)[0],
                ]
            })
        #expect(seen == [[0, 0], [1, 0], [1, 2]])
        #expect(file.flushCount == 1 && file.changeCount == 2)
    }

    @Test("The later of two writes to one place wins where both arrived")
    func sameplace() throws {
        let file = PowerCutFile()
        try write(1, at: 0, to: file)
        try write(2, at: 0, to: file)
        try file.flush()
        let seen = states(of: file).map { ($0.flushCount, $0.file.peek(at: 0, count: 1)[0]) }
        #expect(Set(seen.filter { $0.0 == 0 }.map(\.1)) == [0, 1, 2])
        #expect(Set(seen.filter { $0.0 == 1 }.map(\.1)) == [2])
    }

    @Test("A write is torn at sectors of 512 bytes of the file, and nowhere else")
    func tearing() throws {
        let file = PowerCutFile(content: SparseBytes(byteCount: 8192))
        try write(1, count: 2048, at: 256, to: file)
        let borders = [256, 512, 1024, 1536, 2048, 2304]
        var seen: Set<[UInt8]> = []
        for state in states(of: file, limit: 200) {
            let bytes = state.file.peek(at: 0, count: 4096)
            var sectors: [UInt8] = []
            for (start, end) in zip(borders, borders.dropFirst()) {
                #expect(Set(bytes[start..<end]).count == 1, "\(state.description)")
                sectors.append(bytes[start])
            }
            #expect(bytes[..<256].allSatisfy { $0 == 0 } && bytes[2304...].allSatisfy { $0 == 0 })
            seen.insert(sectors)
        }
        // 32 outcomes are possible; a hundred draws must have found most of them.
        #expect(seen.count > 20)
    }

    @Test("A size is like a write: it can be lost, and a write past the end brings its own")
    func sizes() throws {
        let file = PowerCutFile(content: SparseBytes(byteCount: 100))
        try file.setByteCount(1000)
        try write(1, at: 499, to: file)
        try file.setByteCount(50)
        let sizes = Set(try states(of: file).map { try $0.file.byteCount() })
        #expect(sizes == [100, 1000, 500, 50])
    }

    @Test("Cleared ranges can be lost or torn too")
    func clearing() throws {
        let file = PowerCutFile(
            content: MemoryFile(content: SparseBytes(byteCount: 16384)).filled(with: 1))
        try file.deallocate(0..<16384)
        let seen = Set(
            states(of: file).map { state in
                (0..<4).map { state.file.peek(at: UInt64($0) * 4096, count: 1)[0] }
            })
        #expect(seen.contains([1, 1, 1, 1]) && seen.contains([0, 0, 0, 0]))
        #expect(seen.count > 4)
    }

    @Test("Many changes are sampled: all, none, each missing, each alone")
    func sampling() throws {
        let file = PowerCutFile(content: SparseBytes(byteCount: 1 << 20))
        for index in 0..<20 as Range<UInt64> { try write(1, at: index * 4096, to: file) }
        let seen = states(of: file, limit: 100).map { state in
            (0..<20).map { state.file.peek(at: UInt64($0) * 4096, count: 1)[0] }
        }
        #expect(seen.count == 100)
        #expect(Set(seen).count > 90)
        for index in 0..<20 {
            #expect(seen.contains((0..<20).map { $0 == index ? 0 : 1 }))
            #expect(seen.contains((0..<20).map { $0 == index ? 1 : 0 }))
            #expect(seen.contains((0..<20).map { $0 < index ? 1 : 0 }))
        }
        #expect(seen.contains([UInt8](repeating: 1, count: 20)))
        let again = states(of: file, limit: 100).map(\.description)
        #expect(again == states(of: file, limit: 100).map(\.description), "a seed repeats")
        #expect(states(of: file, limit: 10).count == 10)
    }

    @Test("Marks tell what had happened before the cut")
    func marks() throws {
        let file = PowerCutFile()
        try write(1, at: 0, to: file)
        try file.flush()
        file.mark("done")
        for state in states(of: file) {
            #expect(state.marks == (state.flushCount == 1 ? ["done"] : []))
        }
    }

    // MARK: A protocol that is right, and its mistakes

    private enum Mistake: CaseIterable {
        case none, swappedWrites, noFlushBetween, noFlushAfter, tornRecord
    }

    /// Replaces the value at 4096 by way of a copy at 8192, which a flag at 0 makes valid.
    private func commit(to file: PowerCutFile, _ mistake: Mistake) throws {
        let copy = mistake == .tornRecord ? 1024 : 512
        if mistake == .swappedWrites {
            try write(1, count: 512, at: 0, to: file)
            try file.flush()
            try write(7, count: copy, at: 8192, to: file)
        } else {
            try write(7, count: copy, at: 8192, to: file)
            if mistake != .noFlushBetween && mistake != .tornRecord { try file.flush() }
            try write(1, count: 512, at: 0, to: file)
        }
        if mistake != .noFlushAfter { try file.flush() }
        file.mark("committed")
    }

    /// Whether every cut leaves the old value, or all of the new one, and the new one for good.
    private func isSafe(_ mistake: Mistake, ignoring ignoredFlushes: Set<Int> = []) throws -> Bool {
        let file = PowerCutFile(
            content: SparseBytes(byteCount: 16384), ignoredFlushes: ignoredFlushes)
        try commit(to: file, mistake)
        var isSafe = true
        file.forEachCrashState(seed: 3) { state in
            let isNew = state.file.peek(at: 0, count: 1) == [1]
            let copy = state.file.peek(at: 8192, count: 512)
            if isNew && !copy.allSatisfy({ $0 == 7 }) { isSafe = false }
            if !isNew && state.marks == ["committed"] { isSafe = false }
        }
        return isSafe
    }

    @Test("The right protocol passes and each mistake in it is found")
    func mistakes() throws {
        for mistake in Mistake.allCases {
            #expect(try isSafe(mistake) == (mistake == .none), "\(mistake)")
        }
    }

    @Test("A flush that does nothing is found")
    func ignoredFlushes() throws {
        #expect(try isSafe(.none, ignoring: []))
        #expect(try !isSafe(.none, ignoring: [0]))
        #expect(try !isSafe(.none, ignoring: [1]))
    }
}

extension MemoryFile {
    fileprivate func filled(with value: UInt8) -> SparseBytes {
        put([UInt8](repeating: value, count: Int(content.byteCount)), at: 0)
        return content
    }
}
