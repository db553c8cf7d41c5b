internal import Storage
internal import VHDX

/// What occupies the file of an image that was opened for writing and has an empty log, found
/// without the code that is tested.
struct FileLayout {
    let image: RawImage
    let entries: [RawImage.Entry]
    /// The places of the payload blocks.
    let places: [UInt64: Range<UInt64>]
    /// Everything that is in use, in order.
    let occupied: [Range<UInt64>]

    init(_ content: Content) {
        image = RawImage(content)
        entries = image.entries(of: content)
        var places: [UInt64: Range<UInt64>] = [:]
        var occupied = [0..<UInt64.mebibyte, image.log] + image.regions.map(\.range)
        for entry in entries {
            guard let place = image.place(of: entry) else { continue }
            occupied.append(place)
            if let block = entry.block { places[block] = place }
        }
        self.places = places
        self.occupied = occupied.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    }

    /// The end of what is in use.
    var end: UInt64 { occupied.map(\.upperBound).max() ?? 0 }

    /// Checks what every image that opens must keep, and that its blocks read as they stand there.
    func check(_ content: Content, against reading: Reading) throws {
        for (first, second) in zip(occupied, occupied.dropFirst())
        where first.upperBound > second.lowerBound {
            throw Violation("\(first) and \(second) overlap in an image that opens")
        }
        for range in occupied {
            guard range.lowerBound.isMultiple(of: .mebibyte), range.upperBound <= 256 << 40 else {
                throw Violation("\(range) is in use in an image that opens")
            }
        }
        guard image.blockSize == reading.geometry.blockSize,
            image.virtualSize == reading.geometry.virtualSize,
            image.logicalSectorSize == reading.geometry.logicalSectorSize,
            image.entryCount == reading.geometry.entryCount
        else { throw Violation("the geometry is \(reading.geometry), read as \(image)") }
        try checkBlocks(content, reading)
    }

    private func checkBlocks(_ content: Content, _ reading: Reading) throws {
        for entry in entries {
            guard let block = entry.block else {
                guard image.hasParent || entry.state == 0 else {
                    throw Violation("a sector bitmap in an image without a parent that opens")
                }
                continue
            }
            let start = block * image.blockSize
            let range = start..<min(start + image.blockSize, image.virtualSize)
            guard block < image.blockCount else {
                throw Violation("block \(block) past the end of an image that opens")
            }
            guard entry.state != 4, entry.state != 5, entry.raw & 0xF_FFF8 == 0 else {
                throw Violation("entry \(entry.raw) of the table in an image that opens")
            }
            guard entry.state == 6 else { continue }
            for window in reading.windows {
                let part = range.clamped(to: window)
                if part.isEmpty { continue }
                let place = entry.offset + (part.lowerBound - start)
                try compare(content, place, reading.disk, part)
            }
        }
    }

    /// Compares a part of a block in the file with the disk.
    private func compare(
        _ content: Content, _ place: UInt64, _ disk: Content, _ part: Range<UInt64>
    ) throws {
        let inFile = content.dataRanges(in: place..<place + part.byteCount).map { range in
            let start = part.lowerBound + (range.lowerBound - place)
            return start..<start + range.byteCount
        }
        for range in inFile + disk.dataRanges(in: part) {
            for start in stride(from: range.lowerBound, to: range.upperBound, by: 4096) {
                let count = Int(min(4096, range.upperBound - start))
                let stored = content.bytes(at: place + (start - part.lowerBound), count: count)
                guard disk.bytes(at: start, count: count) == stored else {
                    throw Violation("the disk at \(start) is not what its block holds")
                }
            }
        }
    }
}
