internal import Storage

/// The records of a delta stream as knowledge about blocks: read once, in step with the windows of
/// a pass.
struct HeldRecords<File: RandomAccessFile & ~Copyable>: ~Copyable {
    private var reader: DeltaReader<File>
    /// Records from here on are not looked at: they may be younger than this value.
    private let end: UInt64
    private var current: DeltaRecord?

    init(_ reader: consuming DeltaReader<File>, upTo end: UInt64) {
        self.reader = reader
        self.end = end
    }

    /// What is recorded of some blocks.
    ///
    /// - Precondition: they lie behind those of every call before.
    mutating func blocks(in window: Range<UInt64>) throws(ResyncError) -> [HeldBlocks] {
        var held: [HeldBlocks] = []
        while let record = try record(endingBehind: window.lowerBound),
            record.blocks.lowerBound < window.upperBound
        {
            let part = record.blocks.clamped(to: window)
            var digests: [BlockDigest]?
            if record.kind == .data {
                digests = part.map { record.digest(at: Int($0 - record.blocks.lowerBound)) }
            }
            let first = Int(part.lowerBound - window.lowerBound)
            held.append(HeldBlocks(range: first..<first + part.count, digests: digests))
            guard record.blocks.upperBound <= window.upperBound else { break }
            current = nil
        }
        return held
    }

    /// Reads what is left, so that all of the stream was checked.
    mutating func readToEnd() throws(ResyncError) {
        while try reader.next() != nil {}
    }

    private mutating func record(endingBehind start: UInt64) throws(ResyncError) -> DeltaRecord? {
        while true {
            if current == nil { current = try reader.next() }
            guard let record = current, record.blocks.lowerBound < end else { return nil }
            if record.blocks.upperBound > start { return record }
            current = nil
        }
    }
}
