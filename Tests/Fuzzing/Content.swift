internal import Storage

/// Pages of 4096 bytes that never change: what many contents start from.
final class BasePages: Sendable {
    static let none = BasePages(pages: [:])

    let pages: [UInt64: [UInt8]]
    /// The numbers of the pages, in order.
    let numbers: [UInt64]

    init(pages: [UInt64: [UInt8]]) {
        self.pages = pages
        numbers = pages.keys.sorted()
    }

    /// The pages with numbers in a range.
    func numbers(in range: Range<UInt64>) -> ArraySlice<UInt64> {
        numbers[firstIndex(notBelow: range.lowerBound)..<firstIndex(notBelow: range.upperBound)]
    }

    private func firstIndex(notBelow number: UInt64) -> Int {
        var lower = 0
        var upper = numbers.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if numbers[middle] < number { lower = middle + 1 } else { upper = middle }
        }
        return lower
    }
}

/// The bytes of a file or a disk as a sparse value: a base that is shared, and the pages that
/// differ from it. A copy costs little, and so does a comparison of two that share their base.
struct Content: Sendable {
    static let pageSize: UInt64 = 4096
    private static let zeroPage = [UInt8](repeating: 0, count: Int(pageSize))

    private let base: BasePages
    /// Pages that may differ from the base; an empty one is a hole.
    private var changed: [UInt64: [UInt8]] = [:]
    /// The size in bytes.
    private(set) var byteCount: UInt64

    /// As many zeros as told.
    init(byteCount: UInt64 = 0) {
        base = .none
        self.byteCount = byteCount
    }

    /// The same bytes, with everything in the base of future copies.
    init(asBase content: Content) {
        var pages: [UInt64: [UInt8]] = [:]
        for number in content.existingPages(in: 0..<UInt64.max) {
            guard let page = content.page(number), !page.rawSpan.isZero else { continue }
            pages[number] = page
        }
        base = BasePages(pages: pages)
        byteCount = content.byteCount
    }

    /// How many pages the base has.
    var basePageCount: Int { base.numbers.count }

    private func page(_ number: UInt64) -> [UInt8]? {
        guard let page = changed[number] else { return base.pages[number] }
        return page.isEmpty ? nil : page
    }

    /// The pages that are no holes, in no order.
    private func existingPages(in range: Range<UInt64>) -> [UInt64] {
        base.numbers(in: range).filter { changed[$0] == nil }
            + changed.filter { range.contains($0.key) && !$0.value.isEmpty }.map(\.key)
    }
}

// MARK: Reading

extension Content {
    /// Fills the buffer; what lies past the end reads as zeros.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) {
        guard buffer.byteCount > 0 else { return }
        let end = offset + UInt64(buffer.byteCount)
        let numbers = offset / Self.pageSize..<(end - 1) / Self.pageSize + 1
        buffer.clear()
        let found = numbers.count < 64 ? Array(numbers) : existingPages(in: numbers)
        for number in found {
            guard let page = page(number) else { continue }
            let start = number * Self.pageSize
            let part = max(start, offset)..<min(start + Self.pageSize, end)
            let inPage = Int(part.lowerBound - start)..<Int(part.upperBound - start)
            buffer.copy(page.rawSpan.extracting(inPage), at: Int(part.lowerBound - offset))
        }
    }

    func bytes(at offset: UInt64, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withMutableRawSpan { read(into: &$0, at: offset) }
        return bytes
    }

    /// A little-endian integer.
    func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: UInt64) -> T {
        bytes(at: offset, count: T.bitWidth / 8).rawSpan.load(type, at: 0)
    }

    /// The next run of pages that are no holes, within `offset ..< limit`.
    func nextData(from offset: UInt64, limit: UInt64) -> Range<UInt64>? {
        let limit = min(limit, byteCount)
        guard offset < limit else { return nil }
        let numbers = offset / Self.pageSize..<(limit - 1) / Self.pageSize + 1
        var number = numbers.lowerBound
        if page(number) == nil {
            guard let first = existingPages(in: numbers).min() else { return nil }
            number = first
        }
        let start = max(offset, number * Self.pageSize)
        while number < numbers.upperBound, page(number) != nil { number += 1 }
        return start..<min(number * Self.pageSize, limit)
    }

    /// The ranges within `range` that are no holes.
    func dataRanges(in range: Range<UInt64>) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var position = range.lowerBound
        while let next = nextData(from: position, limit: range.upperBound) {
            ranges.append(next)
            position = next.upperBound
        }
        return ranges
    }

    /// The numbers of the pages that read differently, in order.
    ///
    /// - Precondition: both have the same base.
    func differingPages(from other: Content) -> [UInt64] {
        precondition(base === other.base)
        return Set(changed.keys).union(other.changed.keys).sorted().filter { number in
            (page(number) ?? Self.zeroPage) != (other.page(number) ?? Self.zeroPage)
        }
    }
}

// MARK: Changing

extension Content {
    /// Puts bytes at an offset and grows where they reach past the end.
    mutating func write(_ bytes: RawSpan, at offset: UInt64) {
        guard bytes.byteCount > 0 else { return }
        let end = offset + UInt64(bytes.byteCount)
        for number in offset / Self.pageSize..<(end - 1) / Self.pageSize + 1 {
            let start = number * Self.pageSize
            let part = max(start, offset)..<min(start + Self.pageSize, end)
            let source = bytes.extracting(
                Int(part.lowerBound - offset)..<Int(part.upperBound - offset))
            if changed[number]?.isEmpty ?? true {
                changed[number] =
                    changed[number] == nil ? base.pages[number] ?? Self.zeroPage : Self.zeroPage
            }
            changed[number]?.withMutableRawSpan { page in
                page.copy(source, at: Int(part.lowerBound - start))
            }
        }
        byteCount = max(byteCount, end)
    }

    mutating func write(_ bytes: [UInt8], at offset: UInt64) {
        write(bytes.rawSpan, at: offset)
    }

    /// Makes a range read as zeros; whole pages in it become holes. The size stays.
    mutating func clear(_ range: Range<UInt64>) {
        let range = range.clamped(to: 0..<byteCount)
        guard !range.isEmpty else { return }
        let numbers = range.lowerBound / Self.pageSize..<(range.upperBound - 1) / Self.pageSize + 1
        for number in existingPages(in: numbers) {
            let start = number * Self.pageSize
            let part = range.clamped(to: start..<start + Self.pageSize)
            if part.byteCount == Self.pageSize
                || part.upperBound == byteCount && part.lowerBound == start
            {
                changed[number] = base.pages[number] == nil ? nil : []
            } else {
                write(
                    Self.zeroPage.rawSpan.extracting(0..<Int(part.byteCount)), at: part.lowerBound)
            }
        }
    }

    /// Cuts, or adds zeros.
    mutating func resize(to newByteCount: UInt64) {
        if newByteCount < byteCount { clear(newByteCount..<byteCount) }
        byteCount = newByteCount
    }
}
