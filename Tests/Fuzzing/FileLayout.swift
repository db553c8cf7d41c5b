internal import Storage
internal import VHDX

/// What occupies the file of an image that was opened for writing and has an empty log, found
/// without the code that is tested.
struct FileLayout {
    let image: RawImage
    let entries: [RawImage.Entry]
    /// The places of the payload blocks.
    let places: [UInt64: Range<UInt64>]
    /// The places of the sector bitmaps, by chunk.
    let bitmaps: [UInt64: Range<UInt64>]
    /// Everything that is in use, in order.
    let occupied: [Range<UInt64>]

    init(_ content: Content) {
        image = RawImage(content)
        entries = image.entries(of: content)
        var places: [UInt64: Range<UInt64>] = [:]
        var bitmaps: [UInt64: Range<UInt64>] = [:]
        var occupied = [0..<UInt64.mebibyte, image.log] + image.regions.map(\.range)
        for entry in entries {
            guard let place = image.place(of: entry) else { continue }
            occupied.append(place)
            if let block = entry.block {
                places[block] = place
            } else {
                bitmaps[entry.index / (image.chunkRatio + 1)] = place
            }
        }
        self.bitmaps = bitmaps
        self.places = places
        self.occupied = occupied.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    }

    /// The limit for logs that the package sets itself.
    static let longestLog: UInt64 = 256 << 20

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
        for range in [image.log] + image.regions.map(\.range) + bitmaps.values.map(\.self) {
            guard range.upperBound <= content.byteCount else {
                throw Violation("\(range) passes the end of an image that opens")
            }
        }
        for (block, place) in places {
            let used = min(image.blockSize, image.virtualSize - block * image.blockSize)
            guard place.lowerBound + used <= content.byteCount else {
                throw Violation("block \(block) passes the end of an image that opens")
            }
        }
        guard image.log.byteCount <= Self.longestLog else {
            throw Violation("an image opens with a log of \(image.log.byteCount) bytes")
        }
        guard image.blockSize == reading.geometry.blockSize,
            image.virtualSize == reading.geometry.virtualSize,
            image.logicalSectorSize == reading.geometry.logicalSectorSize,
            image.entryCount == reading.geometry.entryCount
        else { throw Violation("the geometry is \(reading.geometry), read as \(image)") }
        try checkBlocks(content, reading)
    }

    private func checkBlocks(_ content: Content, _ reading: Reading) throws {
        var byBlock: [UInt64: RawImage.Entry] = [:]
        for entry in entries {
            guard let block = entry.block, block < image.blockCount else {
                guard image.hasParent || entry.state == 0 else {
                    throw Violation("entry \(entry) in an image without a parent that opens")
                }
                continue
            }
            guard entry.state != 4, entry.state != 5, entry.state != 7 || image.hasParent,
                entry.raw & 0xF_FFF8 == 0
            else { throw Violation("entry \(entry) in an image that opens") }
            byBlock[block] = entry
        }
        let size = image.blockSize
        for window in reading.windows {
            for block in window.lowerBound / size...(window.upperBound - 1) / size {
                let part = (block * size..<(block + 1) * size).clamped(to: window)
                try checkBlock(byBlock[block], block, part, content, reading)
            }
        }
    }

    /// Compares a part of a block with what stands in the file and in the parent.
    private func checkBlock(
        _ entry: RawImage.Entry?, _ block: UInt64, _ part: Range<UInt64>, _ content: Content,
        _ reading: Reading
    ) throws {
        let state = entry?.state ?? 0
        let place = state < 6 ? 0 : (entry?.offset ?? 0) + part.lowerBound % image.blockSize
        var ranges = reading.disk.dataRanges(in: part)
        if state == 0 || state == 7 { ranges += reading.parentDisk.dataRanges(in: part) }
        if state >= 6 {
            ranges += content.dataRanges(in: place..<place + part.byteCount).map { range in
                let start = part.lowerBound + (range.lowerBound - place)
                return start..<start + range.byteCount
            }
        }
        let step = state == 7 ? image.logicalSectorSize : 4096
        for range in ranges {
            let first = range.lowerBound.roundedDown(toMultipleOf: step)
            for start in stride(from: first, to: range.upperBound, by: Int(step)) {
                let count = Int(min(step, part.upperBound - start))
                let isHere = state == 6 || state == 7 && isPresent(start, content)
                let expected =
                    isHere
                    ? content.bytes(at: place + (start - part.lowerBound), count: count)
                    : state == 0 || state == 7
                        ? reading.parentDisk.bytes(at: start, count: count)
                        : [UInt8](repeating: 0, count: count)
                guard reading.disk.bytes(at: start, count: count) == expected else {
                    throw Violation(
                        "the disk at \(start), in block \(block) of state \(state), "
                            + "is not what is stored")
                }
            }
        }
    }

    /// The bit of a sector, [MS-VHDX] 2.4.
    private func isPresent(_ start: UInt64, _ content: Content) -> Bool {
        let chunkSize = image.blockSize * image.chunkRatio
        guard let bitmap = bitmaps[start / chunkSize] else { return false }
        let sector = start % chunkSize / image.logicalSectorSize
        let byte = content.bytes(at: bitmap.lowerBound + sector / 8, count: 1)[0]
        return byte >> UInt8(sector % 8) & 1 == 1
    }
}
