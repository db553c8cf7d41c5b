internal import Storage
internal import TestSupport
internal import VHDX

/// A disk that can be read, through a reader or a writer.
protocol ReadableDisk: ~Copyable {
    var geometry: Geometry { get }

    func contents(in range: Range<UInt64>) throws(VHDXError) -> [ContentRange]

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError)
}

extension ImageReader: ReadableDisk where File == FuzzFile {}
extension ImageWriter: ReadableDisk where File == FuzzFile {}

extension ReadableDisk where Self: ~Copyable {
    func bytes(at offset: UInt64, count: Int) throws(VHDXError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withMutableRawSpan { (span) throws(VHDXError) in
            try read(into: &span, at: offset)
        }
        return bytes
    }
}

/// What a reader sees of an image.
struct Reading {
    let info: ImageInfo
    let geometry: Geometry
    /// The parts of the disk that are looked at: all of a small one.
    let windows: [Range<UInt64>]
    /// The disk, as far as the windows go.
    let disk: Content
    /// What the parent holds there.
    let parentDisk: Content

    /// A disk up to this size is looked at as a whole.
    private static let smallDisk: UInt64 = 32 << 20

    init(
        of reader: borrowing ImageReader<FuzzFile>, _ parents: Parents,
        _ generator: inout SeededGenerator
    ) throws {
        info = reader.info
        geometry = reader.geometry
        windows = Self.windows(reader.geometry, &generator)
        disk = try Self.disk(windows, reader)
        parentDisk = geometry.hasParent ? try parents.disk(windows) : Content()
    }

    /// What lies around the starts of some blocks: the first, the last, those next to the first
    /// entry for a sector bitmap, and a few more.
    private static func windows(
        _ geometry: Geometry, _ generator: inout SeededGenerator
    ) -> [Range<UInt64>] {
        let whole = 0..<geometry.virtualSize
        if geometry.virtualSize <= smallDisk { return [whole] }
        let last = geometry.payloadBlockCount - 1
        let border = geometry.chunkRatio
        var blocks: Set = [0, 1, 2, 3, last / 2, last &- 1, last, border - 1, border, border + 1]
        for _ in 0..<4 { blocks.insert(generator.next() % (last + 1)) }
        var windows: [Range<UInt64>] = []
        for block in blocks.sorted() where block <= last {
            let start = block * geometry.blockSize
            let window = (start < 65536 ? 0 : start - 65536)..<start + (256 << 10)
            windows.append(window.clamped(to: (windows.last?.upperBound ?? 0)..<whole.upperBound))
        }
        return windows.filter { !$0.isEmpty }
    }

    /// Reads the windows; of what is said to be zeros only the ends.
    static func disk(
        _ windows: [Range<UInt64>], _ source: borrowing some ReadableDisk & ~Copyable
    ) throws -> Content {
        var disk = Content(byteCount: source.geometry.virtualSize)
        let whole = 0..<source.geometry.virtualSize
        for window in windows.map({ $0.clamped(to: whole) }) where !window.isEmpty {
            var position = window.lowerBound
            for part in try source.contents(in: window) {
                guard part.range.lowerBound == position, !part.range.isEmpty else {
                    throw Violation("contents(in: \(window)) leave a gap at \(position)")
                }
                position = part.range.upperBound
                try copy(part, from: source, to: &disk)
            }
            guard position == window.upperBound else {
                throw Violation("contents(in: \(window)) end at \(position)")
            }
        }
        return disk
    }

    private static func copy(
        _ part: ContentRange, from source: borrowing some ReadableDisk & ~Copyable,
        to disk: inout Content
    ) throws {
        let end = part.range.upperBound
        if part.isZero {
            for start in [part.range.lowerBound, end - min(512, part.range.byteCount)] {
                let bytes = try source.bytes(at: start, count: Int(min(512, end - start)))
                guard bytes.rawSpan.isZero else {
                    throw Violation("\(part.range) is said to be zeros, and at \(start) is not")
                }
            }
            return
        }
        for start in stride(from: part.range.lowerBound, to: end, by: 1 << 20) {
            let bytes = try source.bytes(at: start, count: Int(min(1 << 20, end - start)))
            // Page by page, so that what is zero stays a hole.
            for offset in stride(from: 0, to: bytes.count, by: 4096) {
                let page = bytes.rawSpan.extracting(offset..<min(offset + 4096, bytes.count))
                if !isZero(page) { disk.write(page, at: start + UInt64(offset)) }
            }
        }
    }

    private static func isZero(_ bytes: RawSpan) -> Bool {
        let words = bytes.byteCount / 8
        for index in 0..<words where bytes.load(UInt64.self, at: index * 8) != 0 { return false }
        return bytes.extracting(words * 8..<bytes.byteCount).isZero
    }

    /// Compares what another source reads.
    func compare(
        with source: borrowing some ReadableDisk & ~Copyable, _ occasion: String
    ) throws {
        try compare(disk, with: source, occasion)
    }

    /// Compares the windows of another source with what they should be.
    func compare(
        _ expected: Content, with source: borrowing some ReadableDisk & ~Copyable,
        _ occasion: String
    ) throws {
        guard source.geometry == geometry else {
            throw Violation("\(occasion) the geometry is \(source.geometry), was \(geometry)")
        }
        let found = try Self.disk(windows, source)
        if let page = found.differingPages(from: expected).first {
            throw Violation("\(occasion) the disk differs at \(page * Content.pageSize)")
        }
    }

    /// What a source reads in the windows.
    func disk(of source: borrowing some ReadableDisk & ~Copyable) throws -> Content {
        try Self.disk(windows, source)
    }
}
