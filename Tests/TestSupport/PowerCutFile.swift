package import Storage

/// A file that remembers every change, so that a test can look at everything that a power cut
/// could have left on the disk.
///
/// After a cut, all that was written before the last completed flush is there. Of the changes
/// since then, any are there and any are not, in any combination; a write may be there in part, by
/// sectors of 512 bytes. A file system promises more than that, and no one may rely on it.
package final class PowerCutFile: RandomAccessFile {
    /// One thing that may be found on the disk after a cut.
    package struct CrashState {
        /// The disk, to be opened again.
        package let file: MemoryFile
        /// The names of the marks that were set before the cut.
        package let marks: [String]
        /// How many flushes had completed.
        package let flushCount: Int
        /// How to see this state again: the seed, the flush, and what became of each call since.
        package let description: String
    }

    enum Step {
        case write([UInt8], at: UInt64)
        case clear(Range<UInt64>)
        case grow(to: UInt64)
        case resize(to: UInt64)
        case flush
        case mark(String)
        /// From now on the name leads to the file with this number, or to none.
        case name(Int?)
    }

    private struct State {
        var content: SparseBytes
        var steps: [Step] = []
        var flushCount = 0
    }

    /// What to call the file in a message.
    package let name: String
    private let initial: SparseBytes
    private let ignoredFlushes: Set<Int>
    private let state: Lock<State>

    /// A file whose content is durable at first.
    ///
    /// `ignoredFlushes` are the numbers, from 0, of flushes that do nothing, as if the code under
    /// test did not call them. A test that still passes then does not see what they are for.
    package init(
        name: String = "/memory/disk.vhdx", content: SparseBytes = SparseBytes(),
        ignoredFlushes: Set<Int> = []
    ) {
        self.name = name
        initial = content
        self.ignoredFlushes = ignoredFlushes
        state = Lock(State(content: content))
    }

    /// What the file holds while the power stays on.
    package var content: SparseBytes { state.withLock { $0.content } }

    /// How many times `flush` was called.
    package var flushCount: Int { state.withLock { $0.flushCount } }

    /// How many changes were made.
    package var changeCount: Int {
        state.withLock { state in
            state.steps.count { step in
                switch step {
                case .flush, .mark, .name: false
                case .write, .clear, .grow, .resize: true
                }
            }
        }
    }

    /// Notes that something happened, for example that a commit returned: a state after it must
    /// keep what was promised by it.
    package func mark(_ name: String) {
        state.withLock { $0.steps.append(.mark(name)) }
    }

    package func byteCount() throws(FileError) -> UInt64 {
        content.byteCount
    }

    package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        let content = content
        let count = content.read(into: &buffer, at: offset)
        guard count == buffer.byteCount else {
            throw .unexpectedEnd(path: name, at: offset + UInt64(count))
        }
    }

    package func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        guard bytes.byteCount > 0 else { return }
        try checkLimit(offset, UInt64(bytes.byteCount), .write)
        var copy = [UInt8](repeating: 0, count: bytes.byteCount)
        copy.withMutableRawSpan { $0.copy(bytes) }
        perform(.write(copy, at: offset))
    }

    package func deallocate(_ range: Range<UInt64>) throws(FileError) {
        perform(.clear(range))
    }

    package func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        perform(.clear(range))
    }

    package func reserve(_ range: Range<UInt64>) throws(FileError) {
        try checkLimit(range.lowerBound, range.byteCount, .allocate)
        perform(.grow(to: range.isEmpty ? 0 : range.upperBound))
    }

    package func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try checkLimit(byteCount, 0, .resize)
        perform(.resize(to: byteCount))
    }

    package func flush() throws(FileError) {
        state.withLock { state in
            if !ignoredFlushes.contains(state.flushCount) { state.steps.append(.flush) }
            state.flushCount += 1
        }
    }

    package func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        content.nextData(from: offset, limit: limit)
    }

    private func perform(_ step: Step) {
        state.withLock { state in
            state.steps.append(step)
            state.content.apply(step)
        }
    }
}

// MARK: After the cut

extension PowerCutFile {
    /// Shows the body what a cut at any moment could have left.
    ///
    /// Between two flushes, a cut after the last change can leave whatever an earlier one can, so
    /// each such stretch is looked at once, with all marks in it set: the hardest case.
    ///
    /// Between two flushes at most `limit` combinations of whole changes are looked at. Where there
    /// are more: each prefix, each change missing alone, each alone, and a random rest. Half as
    /// many again are looked at with torn writes. What is random repeats itself with the seed.
    ///
    /// In the range `garbling`, a sector of a torn write may also hold garbage, as a device leaves
    /// it that loses power while it writes.
    ///
    /// Where a name is given, a line on standard output says how much was looked at.
    package func forEachCrashState(
        of subject: String? = nil, seed: UInt64, limit: Int = 64,
        garbling: Range<UInt64> = 0..<0, _ body: (CrashState) throws -> Void
    ) rethrows {
        var imageCount = 0
        defer {
            if let subject {
                print(
                    "power cuts: \(subject): \(changeCount) changes between \(flushCount) flushes, "
                        + "\(imageCount) images")
            }
        }
        let steps = state.withLock { $0.steps }
        var durable = initial
        var marks: [String] = []
        var position = 0
        var flushCount = 0
        while position <= steps.count {
            let end = steps[position...].firstIndex { if case .flush = $0 { true } else { false } }
            var changes: [Step] = []
            for step in steps[position..<(end ?? steps.count)] {
                if case .mark(let name) = step { marks.append(name) } else { changes.append(step) }
            }
            var generator = SeededGenerator(seed: seed ^ UInt64(flushCount) << 32)
            let outcomes = Self.outcomes(of: changes, limit: limit, using: &generator)
            for (index, outcome) in outcomes.enumerated() {
                var content = durable
                for (step, fate) in zip(changes, outcome) {
                    content.apply(step, fate, garbling)
                }
                imageCount += 1
                try body(
                    CrashState(
                        file: MemoryFile(name: name, content: content), marks: marks,
                        flushCount: flushCount,
                        description: "seed \(seed), cut \(index) after flush \(flushCount): "
                            + Self.describe(changes, outcome)))
            }
            guard let end else { return }
            for step in changes { durable.apply(step) }
            position = end + 1
            flushCount += 1
        }
    }

    enum Fate: Equatable {
        case lost
        case whole
        /// In parts, drawn from the seed.
        case torn(seed: UInt64)
    }

    static func outcomes(
        of changes: [Step], limit: Int, using generator: inout SeededGenerator
    ) -> [[Fate]] {
        let count = changes.count
        var outcomes: [[Fate]] = []
        if count < Int.bitWidth - 2, 1 << count <= limit {
            for bits in 0..<(1 << count) {
                outcomes.append((0..<count).map { bits >> $0 & 1 == 1 ? .whole : .lost })
            }
        } else {
            outcomes += (0...count).map { whole in (0..<count).map { $0 < whole ? .whole : .lost } }
            outcomes += (0..<count).map { one in (0..<count).map { $0 == one ? .lost : .whole } }
            outcomes += (0..<count).map { one in (0..<count).map { $0 == one ? .whole : .lost } }
            if outcomes.count > limit {
                // Nothing and everything, and a choice of the rest.
                let (none, all) = (outcomes[0], outcomes[count])
                outcomes = [none, all] + outcomes.shuffled(using: &generator).prefix(limit - 2)
            }
            while outcomes.count < limit {
                outcomes.append(
                    (0..<count).map { _ in Bool.random(using: &generator) ? .whole : .lost })
            }
        }
        let tearable = changes.indices.filter { changes[$0].pieces.count > 1 }
        guard !tearable.isEmpty else { return outcomes }
        for turn in 0..<max(limit / 2, min(tearable.count, limit)) {
            let torn = tearable[turn % tearable.count]
            // Of the others: those before are there; all; any; or parts of all.
            let others = Int.random(in: 0..<4, using: &generator)
            outcomes.append(
                (0..<count).map { index in
                    if index == torn { return .torn(seed: generator.next()) }
                    switch (others, Int.random(in: 0..<3, using: &generator)) {
                    case (0, _): return index < torn ? .whole : .lost
                    case (1, _), (2, 0): return .whole
                    case (3, _): return .torn(seed: generator.next())
                    default: return .lost
                    }
                })
        }
        return outcomes
    }

    static func describe(_ changes: [Step], _ outcome: [Fate]) -> String {
        guard !changes.isEmpty else { return "nothing since" }
        return zip(changes, outcome).prefix(24).map { step, fate in
            switch fate {
            case .lost: "-\(step)"
            case .whole: "+\(step)"
            case .torn(let seed): "~\(step) (\(seed))"
            }
        }.joined(separator: ", ")
    }
}

extension PowerCutFile.Step: CustomStringConvertible {
    var description: String {
        switch self {
        case .write(let bytes, let offset): "write \(bytes.count)@\(offset)"
        case .clear(let range): "clear \(range.byteCount)@\(range.lowerBound)"
        case .grow(let size): "reserve to \(size)"
        case .resize(let size): "resize to \(size)"
        case .flush: "flush"
        case .mark(let name): name
        case .name(let file): file == nil ? "remove" : "create"
        }
    }

    /// The parts of which a cut may leave any: the sectors of a write, pages of a cleared range,
    /// in at most about a hundred pieces.
    var pieces: [Range<UInt64>] {
        switch self {
        case .write(let bytes, let offset):
            Self.split(offset..<(offset + UInt64(bytes.count)), by: 512)
        case .clear(let range): Self.split(range, by: 4096)
        case .grow, .resize, .flush, .mark, .name: []
        }
    }

    private static func split(_ range: Range<UInt64>, by sectorSize: UInt64) -> [Range<UInt64>] {
        let sectorCount = range.byteCount / sectorSize + 2
        let size = sectorSize * sectorCount.dividedRoundingUp(by: 100)
        var pieces: [Range<UInt64>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min((start / size + 1) * size, range.upperBound)
            pieces.append(start..<end)
            start = end
        }
        return pieces
    }
}

extension SparseBytes {
    mutating func apply(_ step: PowerCutFile.Step) {
        switch step {
        case .write(let bytes, let offset): write(bytes.rawSpan, at: offset)
        case .clear(let range): clear(range)
        case .grow(let size): resize(to: max(size, byteCount))
        case .resize(let size): resize(to: size)
        case .flush, .mark, .name: break
        }
    }

    mutating func apply(
        _ step: PowerCutFile.Step, _ fate: PowerCutFile.Fate, _ garbling: Range<UInt64> = 0..<0
    ) {
        switch fate {
        case .lost: break
        case .whole: apply(step)
        case .torn(let seed):
            var generator = SeededGenerator(seed: seed)
            let isMostlyGarbage = Bool.random(using: &generator)
            for piece in step.pieces where isMostlyGarbage || Bool.random(using: &generator) {
                if isMostlyGarbage, piece.clamped(to: garbling) == piece {
                    let garbage = generator.bytes(count: Int(piece.byteCount))
                    write(garbage.rawSpan, at: piece.lowerBound)
                } else if isMostlyGarbage, Bool.random(using: &generator) {
                    continue
                } else if case .write(let bytes, let offset) = step {
                    let part = Int(piece.lowerBound - offset)..<Int(piece.upperBound - offset)
                    write(bytes.rawSpan.extracting(part), at: piece.lowerBound)
                } else {
                    clear(piece)
                }
            }
            // What has no parts is there or not.
            if step.pieces.isEmpty, Bool.random(using: &generator) { apply(step) }
        }
    }
}
