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

    /// How many payload blocks are looked at in one piece.
    private static let blocksInAWindow: UInt64 = 64

    init(
        of reader: borrowing ImageReader<FuzzFile>, _ generator: inout SeededGenerator
    ) throws {
        info = reader.info
        geometry = reader.geometry
        windows = Self.windows(reader.geometry, &generator)
        disk = try Self.disk(windows, reader)
    }

    /// The first blocks, the last, those around the first entry for a sector bitmap, and some more.
    private static func windows(
        _ geometry: Geometry, _ generator: inout SeededGenerator
    ) -> [Range<UInt64>] {
        let count = geometry.payloadBlockCount
        let size = geometry.blockSize
        let whole = 0..<geometry.virtualSize
        if count <= 4 * blocksInAWindow { return [whole] }
        let last = count - blocksInAWindow
        let firsts = [
            0, last, min(geometry.chunkRatio - 8, last), generator.next() % last, count / 2 - 4,
        ].sorted()
        var windows: [Range<UInt64>] = []
        for first in firsts {
            let start = max(first * size, windows.last?.upperBound ?? 0)
            let end = max(start, (first + blocksInAWindow) * size)
            windows.append((start..<end).clamped(to: whole))
        }
        return windows.filter { !$0.isEmpty }
    }

    /// Reads the windows; of what is said to be zeros only the ends.
    private static func disk(
        _ windows: [Range<UInt64>], _ source: borrowing some ReadableDisk & ~Copyable
    ) throws -> Content {
        var disk = Content(byteCount: source.geometry.virtualSize)
        for window in windows {
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
                let page = bytes[offset..<min(offset + 4096, bytes.count)]
                if page.contains(where: { $0 != 0 }) {
                    disk.write(Array(page), at: start + UInt64(offset))
                }
            }
        }
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
