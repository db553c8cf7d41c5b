internal import Storage

/// A range of virtual bytes of which one thing is known.
public struct ContentRange: Equatable, Sendable {
    public var range: Range<UInt64>
    /// Whether the range reads as zeros, by the block's state or because the file has a hole there.
    public var isZero: Bool
}

/// Content of the disk, for readers and writers alike, from the places where it stands.
enum BlockContents {
    /// A hole shorter than this is not worth the system call that finds it.
    private static let minimumHole: UInt64 = 65536

    /// Fills the buffer with the content of the range that the places cover.
    static func read<File: RandomAccessFile & ~Copyable>(
        into buffer: inout MutableRawSpan, from places: [PlacedRange],
        of file: borrowing ImageFile<File>, parent: ImageParent<File>?
    ) throws(VHDXError) {
        guard let first = places.first else { return }
        for place in places {
            let start = Int(place.range.lowerBound - first.range.lowerBound)
            var part = buffer.part(start..<start + Int(place.range.byteCount))
            switch (place.placement, parent) {
            case (.file(let position), _):
                do throws(FileError) {
                    try file.read(into: &part, at: position)
                } catch {
                    throw .file(error)
                }
            case (.parent, let parent?):
                try parent.read(into: &part, at: place.range.lowerBound)
            case (.zeros, _), (.parent, nil):
                part.clear()
            }
        }
    }

    /// The content of the range that the places cover where the kernel keeps it, if it lies in one piece.
    static func mappedBytes<File: RandomAccessFile & ~Copyable>(
        from places: [PlacedRange], of file: borrowing ImageFile<File>, parent: ImageParent<File>?
    ) throws(VHDXError) -> MappedBytes? {
        guard let place = places.first, places.count == 1 else { return nil }
        switch place.placement {
        case .file(let position):
            return file.mappedBytes(in: position..<position + place.range.byteCount)
        case .parent: return try parent?.mappedBytes(in: place.range)
        case .zeros: return nil
        }
    }

    /// The first byte at or after `offset` that may be something other than zero, where this is the first
    /// block from there on for which the image's own file has content.
    static func nextData<File: RandomAccessFile & ~Copyable>(
        from offset: UInt64, storedBlock: UInt64?, _ geometry: Geometry,
        parent: ImageParent<File>?
    ) throws(VHDXError) -> UInt64 {
        var next = geometry.virtualSize
        if let storedBlock {
            next = max(offset, geometry.virtualRange(ofBlock: storedBlock).lowerBound)
        }
        guard let parent, next > offset else { return next }
        return min(next, try parent.nextData(from: offset))
    }

    /// What is known of the range that the places cover.
    static func ranges<File: RandomAccessFile & ~Copyable>(
        of places: [PlacedRange], of file: borrowing ImageFile<File>, parent: ImageParent<File>?
    ) throws(VHDXError) -> [ContentRange] {
        var ranges: [ContentRange] = []
        for place in places {
            switch (place.placement, parent) {
            case (.file(let position), _):
                try append(place.range, at: position, of: file, to: &ranges)
            case (.parent, let parent?):
                for range in try parent.contents(in: place.range) {
                    append(range.range, isZero: range.isZero, to: &ranges)
                }
            case (.zeros, _), (.parent, nil):
                append(place.range, isZero: true, to: &ranges)
            }
        }
        return ranges
    }

    /// Where content of the range that the places cover is stored, as far as that is known.
    static func storedRanges<File: RandomAccessFile & ~Copyable>(
        of places: [PlacedRange], of file: borrowing ImageFile<File>, parent: ImageParent<File>?
    ) throws(VHDXError) -> [StoredRange] {
        var ranges: [StoredRange] = []
        for place in places {
            switch (place.placement, parent) {
            case (.file(let position), _):
                let stored = file.storedRanges(in: position..<position + place.range.byteCount)
                ranges += stored.map { stored in
                    stored.moved(
                        to: place.range.lowerBound + (stored.range.lowerBound - position))
                }
            case (.parent, let parent?):
                ranges += try parent.storedRanges(in: place.range)
            case (.zeros, _), (.parent, nil): break
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
