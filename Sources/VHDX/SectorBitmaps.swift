internal import Storage

/// The sector bitmap blocks of a differencing image, [MS-VHDX] 2.4: one bit for each sector of a
/// chunk, set where the sector stands in the image and not in the parent. They count for partially
/// present payload blocks only. Not thread-safe.
struct SectorBitmaps: Sendable {
    private(set) var pages = MetadataPages(of: .sectorBitmap)

    private static let bitsInAPage = MetadataPages.wordCount * 64

    /// Neighbouring sectors with the same bit.
    struct Run: Equatable {
        var sectors: Range<UInt64>
        var isPresent: Bool
    }

    /// The bits of some sectors of a chunk, as runs that cover them in order.
    mutating func runs(
        of sectors: Range<UInt64>, inBitmapAt bitmap: UInt64,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> [Run] {
        var runs: [Run] = []
        var sector = sectors.lowerBound
        while sector < sectors.upperBound {
            let pageEnd = (sector / Self.bitsInAPage + 1) * Self.bitsInAPage
            let words = try pages.words(at: Self.position(of: sector, bitmap), from: file)
            let end = min(pageEnd, sectors.upperBound)
            while sector < end {
                let word = words[Int(sector % Self.bitsInAPage / 64)] >> (sector % 64)
                let isPresent = word & 1 == 1
                let same = isPresent ? (~word).trailingZeroBitCount : word.trailingZeroBitCount
                let next = min(sector + min(UInt64(same), 64 - sector % 64), end)
                if let last = runs.last, last.isPresent == isPresent {
                    runs[runs.count - 1].sectors = last.sectors.lowerBound..<next
                } else {
                    runs.append(Run(sectors: sector..<next, isPresent: isPresent))
                }
                sector = next
            }
        }
        return runs
    }

    /// Sets the bits of some sectors of a chunk, in memory.
    mutating func set(
        _ sectors: Range<UInt64>, to isPresent: Bool, inBitmapAt bitmap: UInt64,
        from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        var sector = sectors.lowerBound
        while sector < sectors.upperBound {
            let position = Self.position(of: sector, bitmap)
            let pageEnd = (sector / Self.bitsInAPage + 1) * Self.bitsInAPage
            let end = min(pageEnd, sectors.upperBound)
            var words = try pages.words(at: position, from: file)
            let before = words
            while sector < end {
                let wordEnd = min((sector / 64 + 1) * 64, end)
                let bits = (UInt64.max >> (64 - (wordEnd - sector))) << (sector % 64)
                let index = Int(sector % Self.bitsInAPage / 64)
                words[index] = isPresent ? words[index] | bits : words[index] & ~bits
                sector = wordEnd
            }
            if words != before { pages.setWords(at: position, to: words) }
        }
    }

    /// Says that all changed pages are on their way to disk, in order behind the log.
    mutating func markUnchanged() {
        pages.markUnchanged()
    }

    /// Where the page with a sector's bit stands in the file.
    private static func position(of sector: UInt64, _ bitmap: UInt64) -> UInt64 {
        bitmap + sector / bitsInAPage * MetadataPages.byteCount
    }
}
