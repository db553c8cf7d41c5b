package import Storage

/// Files of one folder that remember every change on one time line, so that a test can look at
/// everything that a power cut could have left of all of them.
///
/// A flush makes durable what was written to its own file, and nothing else: what was written to two
/// files is lost or kept independently, whatever was first. A name that was made or removed is durable
/// when the folder was flushed; before that it may be there or not. The rest is as with
/// ``PowerCutFile``.
package final class PowerCutDisk: Sendable {
    /// One thing that may be found after a cut.
    package struct CrashState {
        /// What the files hold, by the names that are there.
        package let files: [String: SparseBytes]
        /// The names of the marks that were set before the cut.
        package let marks: [String]
        /// How many flushes were done.
        package let flushCount: Int
        /// How to see this state again.
        package let description: String
    }

    /// One file, under whatever name or none.
    package final class File: RandomAccessFile {
        package let name: String
        fileprivate let disk: PowerCutDisk
        fileprivate let number: Int

        fileprivate init(_ name: String, on disk: PowerCutDisk, number: Int) {
            self.name = name
            self.disk = disk
            self.number = number
        }
    }

    private struct Change {
        /// Of which file; nil: of the folder.
        var file: Int?
        var name: String
        var step: PowerCutFile.Step
    }

    private enum Event {
        case change(Change)
        /// Of a file; nil: of the folder.
        case flush(Int?)
        case mark(String)
    }

    private struct State {
        var contents: [SparseBytes]
        var numberByName: [String: Int]
        var events: [Event] = []
        var flushes: [String] = []
    }

    private let initial: (contents: [SparseBytes], numberByName: [String: Int])
    private let ignoredFlushes: Set<Int>
    private let state: Lock<State>

    /// A folder with files, all of them durable.
    ///
    /// `ignoredFlushes` are the numbers, from 0 and in the order of time, of flushes that do nothing.
    package init(_ files: [String: SparseBytes], ignoredFlushes: Set<Int> = []) {
        let names = files.keys.sorted()
        let numbers = Dictionary(
            uniqueKeysWithValues: names.enumerated().map { ($0.element, $0.offset) })
        initial = (names.map { files[$0] ?? SparseBytes() }, numbers)
        self.ignoredFlushes = ignoredFlushes
        state = Lock(State(contents: initial.contents, numberByName: numbers))
    }

    // MARK: Names

    /// The file with a name.
    package func open(_ name: String) -> File? {
        state.withLock { $0.numberByName[name] }.map { File(name, on: self, number: $0) }
    }

    /// The file with a name, or a new one.
    package func openOrCreate(_ name: String) -> File {
        if let file = open(name) { return file }
        let number = state.withLock { state in
            let number = state.contents.count
            state.contents.append(SparseBytes())
            state.numberByName[name] = number
            state.events.append(.change(Change(name: name, step: .name(number))))
            return number
        }
        return File(name, on: self, number: number)
    }

    /// Takes a name away. Who has the file open keeps it.
    ///
    /// - Returns: whether it was there.
    package func remove(_ name: String) -> Bool {
        state.withLock { state in
            guard state.numberByName.removeValue(forKey: name) != nil else { return false }
            state.events.append(.change(Change(name: name, step: .name(nil))))
            return true
        }
    }

    /// Makes all names durable as they are.
    package func flushNames() { flush(nil, of: "folder") }

    // MARK: What happened

    /// What the files hold while the power stays on.
    package var files: [String: SparseBytes] {
        state.withLock { state in state.numberByName.mapValues { state.contents[$0] } }
    }

    /// What was flushed, in the order of time: names of files, or "folder".
    package var flushes: [String] { state.withLock { $0.flushes } }

    package var changeCount: Int {
        state.withLock { state in
            state.events.count { if case .change = $0 { true } else { false } }
        }
    }

    /// Notes that something happened: a state after it must keep what was promised by it.
    package func mark(_ name: String) {
        state.withLock { $0.events.append(.mark(name)) }
    }

    fileprivate func content(of file: Int) -> SparseBytes {
        state.withLock { $0.contents[file] }
    }

    fileprivate func perform(_ step: PowerCutFile.Step, on file: File) {
        state.withLock { state in
            state.events.append(
                .change(Change(file: file.number, name: file.name, step: step)))
            state.contents[file.number].apply(step)
        }
    }

    fileprivate func flush(_ file: Int?, of name: String) {
        state.withLock { state in
            if !ignoredFlushes.contains(state.flushes.count) { state.events.append(.flush(file)) }
            state.flushes.append(name)
        }
    }
}

// MARK: After the cut

extension PowerCutDisk {
    /// Shows the body what a cut at any moment could have left: as with
    /// ``PowerCutFile/forEachCrashState(of:seed:limit:garbling:_:)``, and what was written to a file
    /// since its own last flush goes on to be lost or kept past the flushes of others.
    package func forEachCrashState(
        of subject: String? = nil, seed: UInt64, limit: Int = 64,
        _ body: (CrashState) throws -> Void
    ) rethrows {
        var imageCount = 0
        defer {
            if let subject {
                print(
                    "power cuts: \(subject): \(changeCount) changes between \(flushes.count) flushes, "
                        + "\(imageCount) images")
            }
        }
        let events = state.withLock { $0.events }
        var durable = initial
        durable.contents += Array(
            repeating: SparseBytes(),
            count: state.withLock { $0.contents.count } - durable.contents.count)
        var pending: [Change] = []
        var marks: [String] = []
        var flushCount = 0
        func look() throws {
            var generator = SeededGenerator(seed: seed ^ UInt64(flushCount) << 32)
            let steps = pending.map(\.step)
            let outcomes = PowerCutFile.outcomes(of: steps, limit: limit, using: &generator)
            for (index, outcome) in outcomes.enumerated() {
                var left = durable
                for (change, fate) in zip(pending, outcome) { Self.apply(change, fate, to: &left) }
                imageCount += 1
                try body(
                    CrashState(
                        files: left.numberByName.mapValues { left.contents[$0] }, marks: marks,
                        flushCount: flushCount,
                        description: "seed \(seed), cut \(index) after flush \(flushCount): "
                            + PowerCutFile.describe(steps, outcome)))
            }
        }
        for event in events {
            switch event {
            case .mark(let name): marks.append(name)
            case .change(let change): pending.append(change)
            case .flush(let file):
                try look()
                for change in pending where change.file == file {
                    Self.apply(change, .whole, to: &durable)
                }
                pending.removeAll { $0.file == file }
                flushCount += 1
            }
        }
        try look()
    }

    private static func apply(
        _ change: Change, _ fate: PowerCutFile.Fate,
        to left: inout (contents: [SparseBytes], numberByName: [String: Int])
    ) {
        if let file = change.file {
            left.contents[file].apply(change.step, fate)
        } else if case .name(let file) = change.step {
            // It has no parts: torn says no more than there or not.
            if case .torn(let seed) = fate, seed % 2 == 0 { return }
            if fate != .lost { left.numberByName[change.name] = file }
        }
    }
}

extension PowerCutDisk.File {
    package func byteCount() throws(FileError) -> UInt64 { disk.content(of: number).byteCount }

    package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        let count = disk.content(of: number).read(into: &buffer, at: offset)
        guard count == buffer.byteCount else {
            throw .unexpectedEnd(path: name, at: offset + UInt64(count))
        }
    }

    package func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        guard bytes.byteCount > 0 else { return }
        try checkLimit(offset, UInt64(bytes.byteCount), .write)
        var copy = [UInt8](repeating: 0, count: bytes.byteCount)
        copy.withMutableRawSpan { $0.copy(bytes) }
        disk.perform(.write(copy, at: offset), on: self)
    }

    package func deallocate(_ range: Range<UInt64>) throws(FileError) {
        disk.perform(.clear(range), on: self)
    }

    package func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        disk.perform(.clear(range), on: self)
    }

    package func reserve(_ range: Range<UInt64>) throws(FileError) {
        try checkLimit(range.lowerBound, range.byteCount, .allocate)
        disk.perform(.grow(to: range.isEmpty ? 0 : range.upperBound), on: self)
    }

    package func setByteCount(_ byteCount: UInt64) throws(FileError) {
        try checkLimit(byteCount, 0, .resize)
        disk.perform(.resize(to: byteCount), on: self)
    }

    package func flush() throws(FileError) { disk.flush(number, of: name) }

    package func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        disk.content(of: number).nextData(from: offset, limit: limit)
    }
}
