internal import Storage

/// A range of virtual bytes of which one thing is known.
public struct ContentRange: Equatable, Sendable {
    public var range: Range<UInt64>
    /// Whether the range reads as zeros, by the block's state or because the file has a hole there.
    public var isZero: Bool
}

/// Content of payload blocks, for readers and writers alike.
enum BlockContents {
    /// A hole shorter than this is not worth the system call that finds it.
    private static let minimumHole: UInt64 = 65536

    static func read(
        into buffer: inout MutableRawSpan, at offset: UInt64,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>, geometry: Geometry,
        entry: (UInt64) throws(VHDXError) -> BATEntry
    ) throws(VHDXError) {
        let end = offset + UInt64(buffer.byteCount)
        precondition(end <= geometry.virtualSize)
        var position = offset
        while position < end {
            let block = position / geometry.blockSize
            let partEnd = min(geometry.virtualRange(ofBlock: block).upperBound, end)
            var part = buffer.part(Int(position - offset)..<Int(partEnd - offset))
            let entry = try entry(block)
            if entry.state == .fullyPresent {
                let place = entry.fileOffset + position % geometry.blockSize
                do throws(FileError) {
                    try file.read(into: &part, at: place)
                } catch {
                    throw .file(error)
                }
            } else {
                part.clear()
            }
            position = partEnd
        }
    }

    static func ranges(
        in range: Range<UInt64>, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        geometry: Geometry, entries: (Range<UInt64>) throws(VHDXError) -> [BATEntry]
    ) throws(VHDXError) -> [ContentRange] {
        var ranges: [ContentRange] = []
        let blocks = geometry.blocks(in: range)
        for (block, entry) in zip(blocks, try entries(blocks)) {
            let part = geometry.virtualRange(ofBlock: block).clamped(to: range)
            if entry.state == .fullyPresent {
                let place = entry.fileOffset + part.lowerBound % geometry.blockSize
                try append(part, at: place, of: file, to: &ranges)
            } else {
                append(part, isZero: true, to: &ranges)
            }
        }
        return ranges
    }

    /// Splits an allocated range by the holes of the file. A file system may know of none.
    private static func append(
        _ range: Range<UInt64>, at place: UInt64,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>,
        to ranges: inout [ContentRange]
    ) throws(VHDXError) {
        let inFile = place..<place + range.byteCount
        guard !file.overlay.intersects(inFile) else {
            return append(range, isZero: false, to: &ranges)
        }
        var position = inFile.lowerBound
        while position < inFile.upperBound {
            let data = try onFile { () throws(FileError) in
                try file.base.nextData(from: position, limit: inFile.upperBound)
            }
            let dataStart = data?.lowerBound ?? inFile.upperBound
            let holeIsShort = dataStart - position < minimumHole
            if dataStart > position {
                append(
                    position..<dataStart, of: inFile, as: range, isZero: !holeIsShort, to: &ranges)
            }
            guard let data else { break }
            // Many short holes would cost more than they save: take the rest as it comes.
            let end = holeIsShort && dataStart > position ? inFile.upperBound : data.upperBound
            append(dataStart..<end, of: inFile, as: range, isZero: false, to: &ranges)
            position = end
        }
    }

    private static func append(
        _ part: Range<UInt64>, of inFile: Range<UInt64>, as range: Range<UInt64>, isZero: Bool,
        to ranges: inout [ContentRange]
    ) {
        let start = range.lowerBound + (part.lowerBound - inFile.lowerBound)
        append(start..<start + part.byteCount, isZero: isZero, to: &ranges)
    }

    private static func append(
        _ range: Range<UInt64>, isZero: Bool, to ranges: inout [ContentRange]
    ) {
        guard !range.isEmpty else { return }
        if let last = ranges.last, last.isZero == isZero {
            ranges[ranges.count - 1].range = last.range.lowerBound..<range.upperBound
        } else {
            ranges.append(ContentRange(range: range, isZero: isZero))
        }
    }
}
