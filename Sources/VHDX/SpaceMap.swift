internal import Storage

/// Which mebibytes of the file something occupies: one bit each, since VHDX places everything in
/// units of 1 MiB. 32 MiB of memory for a file of 256 TiB, the largest that is accepted.
struct SpaceMap: Equatable, Sendable {
    /// No structure may lie past this: 256 TiB, four times the largest disk.
    static let maximumByteCount: UInt64 = 256 << 40

    private var words: [UInt64] = []
    /// No free run for a block starts below this unit; a lower bound that makes searches short.
    private var searchStart: UInt64 = 0
    /// Where the last occupied range ends, in bytes.
    private(set) var end: UInt64 = 0

    /// Marks a range as occupied. Both ends are rounded outward to whole mebibytes.
    ///
    /// - Returns: false, and marks nothing, where part of it is occupied already or lies past
    ///   ``maximumByteCount``.
    mutating func occupy(_ range: Range<UInt64>) -> Bool {
        guard range.upperBound <= Self.maximumByteCount else { return false }
        let units = Self.units(range)
        let isFree = Self.words(of: units).allSatisfy { index, bits in
            index >= words.count || words[index] & bits == 0
        }
        guard isFree else { return false }
        let wordCount = Int(units.upperBound.dividedRoundingUp(by: 64))
        if words.count < wordCount {
            words.append(contentsOf: repeatElement(0, count: wordCount - words.count))
        }
        for (index, bits) in Self.words(of: units) { words[index] |= bits }
        end = max(end, units.upperBound << 20)
        return true
    }

    /// Marks a range as free again.
    mutating func release(_ range: Range<UInt64>) {
        let units = Self.units(range)
        for (index, bits) in Self.words(of: units) where index < words.count {
            words[index] &= ~bits
        }
        searchStart = min(searchStart, units.lowerBound)
        while let last = words.last, last == 0 { words.removeLast() }
        end =
            (words.last).map { last in
                (UInt64(words.count) * 64 - UInt64(last.leadingZeroBitCount)) << 20
            } ?? 0
    }

    /// Occupies a run of free space for a block: the first that is long enough, or the end.
    ///
    /// - Returns: where it starts, in bytes; nil past ``maximumByteCount``.
    mutating func allocate(_ byteCount: UInt64) -> UInt64? {
        let wanted = byteCount >> 20
        var start = searchStart
        var unit = start
        let limit = end >> 20
        while unit < limit, unit - start < wanted {
            if isOccupied(unit) {
                start = unit + 1
                // A full word has no free unit: step over the rest of it.
                let word = words[Int(unit / 64)]
                if word == .max { start = (unit / 64 + 1) * 64 }
                unit = start
            } else {
                unit += 1
            }
        }
        // A run that reaches the end of what is occupied may go on past it.
        start = min(start, limit)
        let range = start << 20..<(start + wanted) << 20
        guard occupy(range) else { return nil }
        // Most runs have the size of a block, so nothing shorter before this one is of use.
        searchStart = start + wanted
        return range.lowerBound
    }

    /// Bytes that are free before ``end``.
    var freeByteCount: UInt64 {
        end - words.reduce(0) { $0 + UInt64($1.nonzeroBitCount) } << 20
    }

    /// Where the first of them is.
    var firstFree: UInt64? {
        guard let index = words.firstIndex(where: { $0 != .max }) else { return nil }
        let place = (UInt64(index) * 64 + UInt64((~words[index]).trailingZeroBitCount)) << 20
        return place < end ? place : nil
    }

    private func isOccupied(_ unit: UInt64) -> Bool {
        let index = unit / 64
        return index < words.count && words[Int(index)] & 1 << (unit % 64) != 0
    }

    /// The words that hold the bits of some units, each with these bits.
    private static func words(
        of units: Range<UInt64>
    ) -> some Sequence<(index: Int, bits: UInt64)> {
        (units.lowerBound / 64..<units.upperBound.dividedRoundingUp(by: 64)).lazy.map { index in
            let first = index * 64
            let start = max(units.lowerBound, first) - first
            let end = min(units.upperBound, first + 64) - first
            return (Int(index), UInt64.max << start & UInt64.max >> (64 - end))
        }
    }

    private static func units(_ range: Range<UInt64>) -> Range<UInt64> {
        range.lowerBound >> 20..<range.upperBound.dividedRoundingUp(by: .mebibyte)
    }
}
