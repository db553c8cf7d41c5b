internal import Storage

/// Pages of the file that change through the log only, with the changes that are not on disk yet:
/// those of the block allocation table, and those of sector bitmaps.
///
/// A page is what the log writes at once: 4096 bytes, here 512 words. Clean pages are dropped when
/// there are too many, so memory does not grow with the disk; changed pages stay until they are
/// durable. Not thread-safe.
struct MetadataPages: Sendable {
    static let wordCount: UInt64 = 512
    static let byteCount = UInt64(LogEntryHeader.sectorSize)
    /// 4 MiB: the table entries of 512 GiB at payload blocks of 1 MiB, the sector bitmaps of
    /// 16 GiB.
    private static let maximumCleanPageCount = 1024

    let structure: Structure
    /// By where they stand in the file.
    private var pages: [UInt64: [UInt64]] = [:]
    private(set) var changed: Set<UInt64> = []

    init(of structure: Structure) {
        self.structure = structure
    }

    /// The words of a page, loaded if need be; `check` sees those that come from the file.
    mutating func words(
        at position: UInt64, from file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        check: ([UInt64]) throws(VHDXError) -> Void = { (_) throws(VHDXError) in }
    ) throws(VHDXError) -> [UInt64] {
        if let page = pages[position] { return page }
        if pages.count - changed.count >= Self.maximumCleanPageCount {
            pages = pages.filter { changed.contains($0.key) }
        }
        let bytes = try file.structure(structure, at: position, count: Int(Self.byteCount))
        var words: [UInt64] = []
        words.reserveCapacity(Int(Self.wordCount))
        for index in 0..<Int(Self.wordCount) {
            words.append(bytes.rawSpan.load(UInt64.self, at: index * 8))
        }
        try check(words)
        pages[position] = words
        return words
    }

    /// Changes a page in memory.
    mutating func setWords(at position: UInt64, to words: [UInt64]) {
        precondition(words.count == Int(Self.wordCount))
        pages[position] = words
        changed.insert(position)
    }

    /// The words of the changed pages, by where they stand in the file.
    var changedPages: [(position: UInt64, words: [UInt64])] {
        changed.map { ($0, pages[$0] ?? []) }
    }

    /// The changed pages as they are to stand on disk, in the order of the file.
    func logged() -> [LoggedPage] {
        changed.sorted().map { position in
            var bytes = [UInt8](repeating: 0, count: Int(Self.byteCount))
            let words = pages[position] ?? []
            bytes.withMutableRawSpan { span in
                for (index, word) in words.enumerated() { span.store(word, at: index * 8) }
            }
            return LoggedPage(fileOffset: position, bytes: bytes)
        }
    }

    /// Says that all changed pages are on their way to disk, in order behind the log.
    mutating func markUnchanged() {
        changed = []
    }
}
