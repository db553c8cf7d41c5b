internal import CSystem

/// What becomes of the page cache when a file is read and written.
public enum CacheUse: String, Sendable, CaseIterable {
    /// What was read stays in it, as the kernel sees fit. The default.
    case keep
    /// What was not in it before is given back once it was used.
    case drop
}

/// The part of the page cache that one open file has filled, to be given back.
///
/// The file is looked at in regions. Before the kernel can have read ahead into a region, it is asked
/// which of its pages are there: these belong to whoever else works with the file, and stay. All others go
/// when the file is some regions further on, and at its end. What was written goes once it is flushed.
///
/// What others read of the file meanwhile is taken for this file's own.
final class CacheFootprint: Sendable {
    /// A multiple of the largest piece in which a kernel keeps a file.
    private static let regionByteCount: UInt64 = 8 << 20
    /// How many regions behind the one that is read the kernel may already be in: it reads two pieces
    /// ahead, of 8 MiB on the fastest disks.
    private static let regionsAhead: UInt64 = 3
    /// Regions that are not given back yet, of those that were only read, and how many go at once.
    private static let recentCount = 24
    private static let recentCountAtOnce = 8
    /// The same of those that were written and are not flushed. What is beyond is given up as it is.
    private static let writtenCount = 16384
    /// Beyond it no file has bytes.
    private static let largestOffset = UInt64(Int64.max) / 2

    private struct Region {
        /// Bytes of the file whose pages were not there.
        var added: [Range<UInt64>]
        var isWritten = false
    }

    private struct State {
        /// By number.
        var regions: [UInt64: Region] = [:]
        /// The numbers of those that were begun last, and of older ones that wait for a flush.
        var recent: [UInt64] = []
        var written: [UInt64] = []

        /// Takes regions out, and gives the bytes that are to be dropped.
        mutating func take(_ numbers: some Sequence<UInt64>) -> [Range<UInt64>] {
            numbers.flatMap { regions.removeValue(forKey: $0)?.added ?? [] }
        }

        /// Takes out what is done with where there are too many regions; of those that wait for a flush
        /// the device may begin to write what is dropped.
        mutating func takeOldest() -> [Range<UInt64>] {
            guard recent.count > CacheFootprint.recentCount else { return [] }
            let old = recent.prefix(CacheFootprint.recentCountAtOnce)
            recent.removeFirst(old.count)
            let waiting = old.filter { regions[$0]?.isWritten == true }
            var dropped = waiting.flatMap { regions[$0]?.added ?? [] }
            written += waiting
            dropped += take(old.filter { regions[$0]?.isWritten == false })
            if written.count > CacheFootprint.writtenCount {
                dropped += take(written.prefix(CacheFootprint.writtenCount / 2))
                written.removeFirst(CacheFootprint.writtenCount / 2)
            }
            return dropped
        }

        mutating func takeAll() -> [Range<UInt64>] {
            let all = take(recent + written)
            recent = []
            written = []
            return all
        }
    }

    private let state = Lock(State())

    /// Notes, before it is done, that bytes are read or written, and drops what was used long before.
    func note(_ bytes: Range<UInt64>, isWritten: Bool = false, of descriptor: Int32) {
        guard !bytes.isEmpty, bytes.upperBound <= Self.largestOffset else { return }
        let first = bytes.lowerBound / Self.regionByteCount
        let last = (bytes.upperBound - 1) / Self.regionByteCount
        let old = state.withLock { state in
            for number in first...last + Self.regionsAhead {
                if state.regions[number] == nil {
                    state.regions[number] = Region(added: Self.missing(in: number, of: descriptor))
                    state.recent.append(number)
                }
                if isWritten, number <= last { state.regions[number]?.isWritten = true }
            }
            return state.takeOldest()
        }
        Self.drop(old, of: descriptor)
    }

    /// Drops all that there is: after a flush, which has made it clean, and at the end.
    func giveBack(_ descriptor: Int32) {
        Self.drop(state.withLock { $0.takeAll() }, of: descriptor)
    }

    private static func drop(_ ranges: [Range<UInt64>], of descriptor: Int32) {
        for range in ranges {
            csystem_drop_cache(descriptor, range.lowerBound, range.byteCount)
        }
    }

    /// The bytes of a region whose pages are not in the cache; all where the kernel does not tell.
    private static func missing(in number: UInt64, of descriptor: Int32) -> [Range<UInt64>] {
        let start = number * regionByteCount
        let pageByteCount = csystem_page_byte_count()
        var pages = [UInt8](repeating: 0, count: Int(regionByteCount / pageByteCount))
        // Safe: the call writes one byte for each page.
        let error = unsafe csystem_cached_pages(descriptor, start, UInt64(pages.count), &pages)
        guard error == 0 else { return [start..<start + regionByteCount] }
        var missing: [Range<UInt64>] = []
        var index = 0
        while let first = pages[index...].firstIndex(of: 0) {
            let end = pages[first...].firstIndex(of: 1) ?? pages.count
            missing.append(
                start + UInt64(first) * pageByteCount..<start + UInt64(end) * pageByteCount)
            index = end
        }
        return missing
    }
}
