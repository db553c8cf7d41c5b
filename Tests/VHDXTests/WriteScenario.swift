import Storage
import TestSupport
import Testing

@testable import VHDX

/// What a disk may read as after a crash: for each cell, everything that was ever written to it,
/// and how much of that is promised to be durable.
struct ContentHistory {
    /// A cell is a virtual sector that is written as a whole.
    private var values: [UInt64: [UInt8]] = [:]
    private var durableIndices: [[UInt64: Int]] = [[:]]

    /// Tracks a cell with its value before the session.
    mutating func track(_ cell: UInt64, _ value: UInt8) { values[cell] = [value] }

    /// Notes a write to every tracked cell in a range.
    mutating func write(_ value: UInt8, _ range: Range<UInt64>) {
        for cell in values.keys where range.contains(cell) { values[cell]?.append(value) }
    }

    /// Notes that everything written so far is durable.
    mutating func commit() {
        durableIndices.append(values.mapValues { $0.count - 1 })
    }

    var commitCount: Int { durableIndices.count - 1 }
    var cells: [UInt64] { values.keys.sorted() }

    /// Whether a cell may read so after this many commits.
    func allows(_ value: UInt8, at cell: UInt64, afterCommits count: Int) -> Bool {
        (values[cell] ?? []).dropFirst(durableIndices[count][cell] ?? 0).contains(value)
    }

    /// Whether a value is the cell's first.
    func isOriginal(_ value: UInt8, at cell: UInt64) -> Bool { values[cell]?.first == value }

    /// What is wrong with a disk, or nil.
    ///
    /// The image must open, for reading and for writing, and read as one that may be there.
    func fault(
        in file: MemoryFile, parent: ImageParent<MemoryFile>? = nil, afterCommits count: Int,
        original: GUID
    ) -> String? {
        do {
            if let fault = try errorFound(in: file) { return fault }
            let reader = try ImageReader(file, parent: parent)
            if let fault = try fault(afterCommits: count, original, reader) { return fault }
            // A writer changes a clean image only when it writes.
            guard reader.info.logIsDirty else { return nil }
            let before = try cells.map { try reader.bytes(at: $0, count: 512) }
            try ImageWriter(file, parent: parent).close()
            let second = try ImageReader(file, parent: parent)
            guard try cells.map({ try second.bytes(at: $0, count: 512) }) == before else {
                return "replay on disk and in memory differ"
            }
            return second.info.logIsDirty ? "the log stays dirty after a writer" : nil
        } catch {
            return "\(error)"
        }
    }

    private func fault(
        afterCommits count: Int, _ original: GUID,
        _ reader: borrowing ImageReader<MemoryFile>
    ) throws -> String? {
        for cell in cells {
            let bytes = try reader.bytes(at: cell, count: 512)
            guard bytes.consists(of: bytes[0]) else { return "a torn sector at \(cell)" }
            guard allows(bytes[0], at: cell, afterCommits: count) else {
                return "\(bytes[0]) at \(cell) after \(count) commits"
            }
            if !isOriginal(bytes[0], at: cell), reader.dataWriteGUID == original {
                return "content changed at \(cell) under the old DataWriteGuid"
            }
        }
        return nil
    }
}

extension ContentHistory {
    /// Runs a session to its end; abandons it where a step fails.
    mutating func session<File: RandomAccessFile>(
        _ writer: consuming ImageWriter<File>, _ onCommit: () -> Void,
        _ steps: (inout ContentHistory, borrowing ImageWriter<File>) throws(VHDXError) -> Void
    ) throws(VHDXError) {
        do throws(VHDXError) {
            try steps(&self, writer)
        } catch {
            writer.abandon()
            throw error
        }
        try writer.close()
        commit()
        onCommit()
    }

    /// Writes one value, and notes it.
    mutating func fill(
        _ value: UInt8, _ range: Range<UInt64>,
        _ writer: borrowing ImageWriter<some RandomAccessFile>
    ) throws(VHDXError) {
        write(value, range)
        try writer.fill(value, count: Int(range.byteCount), at: range.lowerBound)
    }

    /// Makes a range read as zeros, and notes it.
    mutating func zero(
        _ range: Range<UInt64>, _ writer: borrowing ImageWriter<some RandomAccessFile>
    ) throws(VHDXError) {
        write(0, range)
        try writer.writeZeros(range)
    }

    /// Commits, and notes when that has returned.
    mutating func commit(
        _ writer: borrowing ImageWriter<some RandomAccessFile>, _ onCommit: () -> Void
    ) throws(VHDXError) {
        try writer.commit()
        commit()
        onCommit()
    }
}

/// The first error that a check finds in an image; nil where it has none.
func errorFound(in file: MemoryFile) throws -> String? {
    let check = try ImageCheck(file)
    guard check.worst == .error else { return nil }
    return check.findings.first { $0.severity == .error }?.message
}

/// A session that does everything a writer does, on any file.
struct WriteScenario {
    private(set) var history = ContentHistory()
    let base: SparseBytes
    /// Headers, log, metadata and table: all that has a second copy, a checksum or the log.
    static let protectedRange: Range<UInt64> = 65536..<4 << 20
    let dataWriteGUID: GUID

    private static let blockCount: UInt64 = 12
    /// From one used block to the next: their table entries stand in different sectors, so that a
    /// torn page of the table shows, and on two pages.
    private static let stride: UInt64 = 48 << 20

    private static func range(_ block: UInt64, _ part: Range<UInt64>) -> Range<UInt64> {
        block * stride + part.lowerBound..<block * stride + part.upperBound
    }

    /// Blocks 0 to 3 hold 0x10 to 0x13, in reverse order; 4 is unmapped with its place.
    init() throws {
        var builder = ImageBuilder(virtualSize: Self.blockCount * Self.stride)
        for block in (0..<4 as Range<UInt64>).reversed() {
            let content = [UInt8](0x10 + UInt8(block), 1 << 20)
            builder.addBlock(block * 48, content: content)
        }
        builder.addBlock(4 * 48, state: 3, content: [UInt8](0xEE, 1 << 20))
        builder.fileSize = builder.nextOffset
        let file = builder.build()
        base = file.content
        dataWriteGUID = try ImageReader(file).dataWriteGUID
        for block in 0..<Self.blockCount {
            let value = block < 4 ? 0x10 + UInt8(block) : 0
            for cell in [0, 512, 8192, (1 << 20) - 512] as [UInt64] {
                history.track(block * Self.stride + cell, value)
            }
        }
    }

    /// Runs the session; `onCommit` is called when a commit has returned.
    mutating func run<File: RandomAccessFile>(
        on file: File, onCommit: () -> Void = {}
    ) throws(VHDXError) {
        try history.session(ImageWriter(file), onCommit) { (history, writer) throws(VHDXError) in
            try Self.steps(writer, noting: &history, onCommit)
        }
    }

    private static func steps(
        _ writer: borrowing ImageWriter<some RandomAccessFile>,
        noting history: inout ContentHistory, _ onCommit: () -> Void
    ) throws(VHDXError) {
        // New blocks, one of them in space it kept; an overwrite; a block that is freed.
        try history.fill(0x21, range(5, 0..<1024), writer)
        try history.fill(0x22, range(4, 0..<512), writer)
        try history.fill(0x23, range(1, 512..<16384), writer)
        try history.zero(range(2, 0..<1 << 20), writer)
        // Not where that block was, which durable entries still name.
        try history.fill(0x24, range(7, 0..<1 << 20), writer)
        try history.commit(writer, onCommit)
        // The freed space is used again; the block that had it comes back elsewhere.
        try history.fill(0x31, range(6, 0..<1024), writer)
        try history.fill(0x32, range(2, 0..<512), writer)
        try history.fill(0x33, range(5, 0..<512), writer)
        try history.zero(range(1, 8192..<12288), writer)
        try history.zero(range(0, 0..<524_288), writer)
        try history.commit(writer, onCommit)
        // A write across two new blocks; blocks that are freed, one of them by its second half.
        try history.fill(0x41, range(10, (1 << 20) - 1024..<(1 << 20) + 1024), writer)
        try history.zero(range(6, 0..<1 << 20), writer)
        try history.zero(range(3, 0..<1 << 20), writer)
        try history.zero(range(0, 524_288..<1 << 20), writer)
        try history.commit(writer, onCommit)
        // What closing has to commit, on the table's second page too.
        try history.fill(0x51, range(11, 0..<1024), writer)
        try history.fill(0x52, range(3, 512..<1024), writer)
    }
}
