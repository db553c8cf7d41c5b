import BlockIO
import Storage
import TestSupport
import VHDX

/// What a run that did not end left of a disk, sector by sector: its old content or the new one.
struct Leftover {
    private static let sectorSize: UInt64 = 512

    /// Offsets of sectors that are neither what they were nor what they were to become.
    private(set) var foreignSectors: [UInt64] = []
    /// Blocks that are old in part and new in part.
    private(set) var mixedBlocks: Set<UInt64> = []

    /// Sectors that are the old ones alone, or the new ones alone.
    private var old: Set<UInt64> = []
    private var new: Set<UInt64> = []

    init(of file: MemoryFile, old: DiskContent, new: DiskContent, blockSize: Int) throws {
        try self.init(of: content(of: file), old: old, new: new, blockSize: blockSize)
    }

    init(of content: DiskContent, old: DiskContent, new: DiskContent, blockSize: Int) {
        let pages = content.pagesThatDiffer(from: old).union(content.pagesThatDiffer(from: new))
        for page in pages {
            let end = min(page + SparseBytes.pageSize, content.byteCount)
            for sector in stride(from: page, to: end, by: Int(Self.sectorSize)) {
                let range = sector..<sector + Self.sectorSize
                let isOld = Self.agree(content, old, range)
                let isNew = Self.agree(content, new, range)
                if isOld, !isNew { self.old.insert(sector) }
                if isNew, !isOld { self.new.insert(sector) }
                if !isOld, !isNew { foreignSectors.append(sector) }
            }
        }
        mixedBlocks = mixed(in: UInt64(blockSize))
    }

    /// Blocks of some size that are old in part and new in part.
    func mixed(in blockSize: UInt64) -> Set<UInt64> {
        Set(old.map { $0 / blockSize }).intersection(new.map { $0 / blockSize })
    }

    private static func agree(
        _ first: DiskContent, _ second: DiskContent, _ range: Range<UInt64>
    ) -> Bool {
        let (first, second) = (first.bytes(in: range), second.bytes(in: range))
        return ZeroScan.isEqual(first.rawSpan, second.rawSpan)
    }
}
