package import BlockIO
internal import Dispatch
internal import Storage
internal import VHDX

/// In what a target breaks the contract, with the seed that shows it.
package struct ContractBreach: Error, CustomStringConvertible {
    package var description: String
}

/// What every `BlockTarget` promises: whatever is written, zeroed and committed, from one thread or
/// several, it reads as an array would to which the same was done.
package struct BlockTargetContract: Sendable {
    /// What random numbers the checks use.
    package var seed: UInt64
    /// Writes start and end at multiples of this.
    package var unit = 1
    /// Whether the target knows of zeros that it was told of.
    package var knowsZeros = true

    package init(seed: UInt64) {
        self.seed = seed
    }

    /// Runs all checks.
    ///
    /// - Parameters:
    ///   - content: What the disk reads as at first.
    ///   - open: Opens the target, each time as the call before left it.
    ///   - close: Closes it after a commit.
    /// - Throws: ``ContractBreach``, or an error of the target.
    package func check<Target: BlockTarget & ~Copyable>(
        _ content: [UInt8], open: () throws -> Target, close: (consuming Target) throws -> Void
    ) throws {
        var model = content
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3 {
            let target = try open()
            try expect(target.virtualSize == UInt64(model.count), "size \(target.virtualSize)")
            try expect(target, readsAs: model, "opened again")
            for _ in 0..<24 { try step(on: target, &model, using: &generator) }
            try expect(target, readsAs: model, "written")
            try shareWork(on: target, &model, using: &generator)
            try expect(target, readsAs: model, "written by several threads")
            try target.commit()
            try expect(target, readsAs: model, "committed")
            try close(target)
        }
        try checkZeroing(try open(), count: model.count, close: close)
        try expect(try open(), readsAs: [UInt8](repeating: 0, count: model.count), "zeroed")
    }

    // MARK: One thread

    /// One random thing that can be done to a target, and to the array.
    private func step<Target: BlockTarget & ~Copyable>(
        on target: borrowing Target, _ model: inout [UInt8],
        using generator: inout SeededGenerator
    ) throws {
        let range = randomRange(model.count, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0, 1, 2:
            let bytes = randomBytes(range.count, using: &generator)
            try target.write(bytes.rawSpan, at: UInt64(range.lowerBound))
            model.replace(at: range.lowerBound, with: bytes)
        case 3, 4:
            try target.writeZeros(UInt64(range.lowerBound)..<UInt64(range.upperBound))
            model.replace(at: range.lowerBound, with: [UInt8](repeating: 0, count: range.count))
        case 5: try target.commit()
        case 6: try target.commitIfBatchIsFull()
        default: try checkExtents(of: target, in: range, model)
        }
        let other = Int.random(in: 0...model.count, using: &generator)
        let count = min(model.count - other, Int.random(in: 0...100_000, using: &generator))
        let found = try bytes(of: target, other..<other + count)
        try expect(found, is: Array(model[other..<other + count]), "read at \(other)")
        try checkMapped(target, other..<other + count, model)
    }

    /// Few bytes, many, or all to the end; neighbouring offsets often come again.
    private func randomRange(_ size: Int, using generator: inout SeededGenerator) -> Range<Int> {
        let unitCount = size / unit
        let longest = [4096, 300_000, 3 << 20].randomElement(using: &generator) ?? 1
        let alignment = Bool.random(using: &generator) ? 1 : max(1, 65536 / unit)
        let start = Int.random(in: 0...unitCount, using: &generator) / alignment * alignment
        let most = max(1, longest / unit)
        let end = min(unitCount, start + Int.random(in: 0...most, using: &generator))
        return start * unit..<end * unit
    }

    /// Bytes of which neighbouring pieces differ, at a small cost.
    private func randomBytes(_ count: Int, using generator: inout SeededGenerator) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: count)
        bytes.withMutableRawSpan { span in
            for start in stride(from: 0, to: count - 8, by: 512) {
                span.store(generator.next(), at: start)
            }
        }
        return bytes
    }

    private func checkExtents<Target: BlockTarget & ~Copyable>(
        of target: borrowing Target, in range: Range<Int>, _ model: [UInt8]
    ) throws {
        let extents = try target.extents(in: UInt64(range.lowerBound)..<UInt64(range.upperBound))
        var position = UInt64(range.lowerBound)
        for extent in extents {
            try expect(extent.range.lowerBound == position, "a gap at \(position) in \(range)")
            try expect(!extent.range.isEmpty, "an empty extent at \(position) in \(range)")
            position = extent.range.upperBound
            guard extent.state == .zero else { continue }
            let bytes = model.rawSpan.extracting(
                Int(extent.range.lowerBound)..<Int(extent.range.upperBound))
            try expect(ZeroScan.isZero(bytes), "\(extent) is not zero")
        }
        try expect(position == UInt64(range.upperBound), "extents of \(range) end at \(position)")
    }

    // MARK: Several threads

    private static let threadCount = 4
    /// Pieces of neighbouring threads lie in one block, and in one page where the unit is small.
    private static let pieceSize = 60 * 1024

    /// Lets several threads write, zero and read, each its own pieces of the disk.
    private func shareWork<Target: BlockTarget & ~Copyable>(
        on target: borrowing Target, _ model: inout [UInt8],
        using generator: inout SeededGenerator
    ) throws {
        let size = model.count / unit * unit
        let pieceSize = max(unit, Self.pieceSize / unit * unit)
        let roundSeed = generator.next()
        let results = Lock<[Int: [UInt8]]>([:])
        let failures = Lock<[any Error]>([])
        DispatchQueue.concurrentPerform(iterations: Self.threadCount) { thread in
            var generator = SeededGenerator(seed: roundSeed &+ UInt64(thread))
            do {
                for start in stride(
                    from: thread * pieceSize, to: size, by: Self.threadCount * pieceSize)
                {
                    let piece = start..<min(start + pieceSize, size)
                    guard let bytes = try work(on: target, piece, using: &generator) else {
                        continue
                    }
                    results.withLock { $0[start] = bytes }
                }
            } catch {
                failures.withLock { $0.append(error) }
            }
        }
        if let failure = failures.withLock({ $0.first }) { throw failure }
        for (start, bytes) in results.withLock({ $0 }) {
            model.replace(at: start, with: bytes)
        }
    }

    /// What one piece holds afterwards; nil where it was left alone.
    private func work<Target: BlockTarget & ~Copyable>(
        on target: borrowing Target, _ piece: Range<Int>, using generator: inout SeededGenerator
    ) throws -> [UInt8]? {
        let range = UInt64(piece.lowerBound)..<UInt64(piece.upperBound)
        var expected = [UInt8](repeating: 0, count: piece.count)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: return nil
        case 1: try target.writeZeros(range)
        case 2:
            expected = randomBytes(piece.count, using: &generator)
            try target.write(expected.rawSpan, at: range.lowerBound)
        default:
            let half = piece.count / 2 / unit * unit
            try target.writeZeros(range)
            let bytes = randomBytes(half, using: &generator)
            try target.write(bytes.rawSpan, at: range.lowerBound)
            expected.replace(at: 0, with: bytes)
        }
        try expect(try bytes(of: target, piece), is: expected, "a thread's own \(piece)")
        _ = try target.extents(in: range)
        return expected
    }

    // MARK: Zeros

    /// The whole disk can be zeroed, piece by piece, and then a target can know it.
    private func checkZeroing<Target: BlockTarget & ~Copyable>(
        _ target: consuming Target, count: Int, close: (consuming Target) throws -> Void
    ) throws {
        let size = UInt64(count)
        for start in stride(from: 0, to: size, by: 65536) {
            try target.writeZeros(start..<min(start + 65536, size))
        }
        try target.commit()
        let zeros = [UInt8](repeating: 0, count: count)
        try checkExtents(of: target, in: 0..<count, zeros)
        let states = try target.extents(in: 0..<size).map(\.state)
        try expect(!knowsZeros || states == [.zero], "zeroed, and \(states)")
        try close(target)
    }

    // MARK: Judging

    private func bytes<Target: BlockTarget & ~Copyable>(
        of target: borrowing Target, _ range: Range<Int>
    ) throws(VHDXError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        try bytes.withMutableRawSpan { (span) throws(VHDXError) in
            try target.read(into: &span, at: UInt64(range.lowerBound))
        }
        return bytes
    }

    /// Where content can be looked at without reading, it is the same.
    private func checkMapped<Target: BlockTarget & ~Copyable>(
        _ target: borrowing Target, _ range: Range<Int>, _ model: [UInt8]
    ) throws {
        let inDisk = UInt64(range.lowerBound)..<UInt64(range.upperBound)
        guard let mapped = try target.mappedBytes(in: inDisk) else { return }
        let isRight = ZeroScan.isEqual(mapped.bytes, model.rawSpan.extracting(range))
        try expect(isRight && mapped.isIntact, "\(range) is mapped wrong")
    }

    private func expect<Target: BlockTarget & ~Copyable>(
        _ target: borrowing Target, readsAs model: [UInt8], _ when: String
    ) throws {
        try expect(try bytes(of: target, 0..<model.count), is: model, when)
        try checkExtents(of: target, in: 0..<model.count, model)
    }

    private func expect(_ found: [UInt8], is expected: [UInt8], _ when: String) throws {
        guard !ZeroScan.isEqual(found.rawSpan, expected.rawSpan) else { return }
        let index = zip(found, expected).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
        throw ContractBreach(description: "seed \(seed): \(when): byte \(index) of it is wrong")
    }

    private func expect(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        guard !condition else { return }
        throw ContractBreach(description: "seed \(seed): \(what())")
    }
}

extension [UInt8] {
    /// Puts bytes in the place of as many; fast also in a debug build.
    fileprivate mutating func replace(at offset: Int, with bytes: [UInt8]) {
        withMutableRawSpan { $0.copy(bytes.rawSpan, at: offset) }
    }
}
