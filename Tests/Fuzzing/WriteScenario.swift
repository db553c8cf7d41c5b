internal import Storage
internal import TestSupport
internal import VHDX

/// Some writes to an image that opened, with a check that they change what they should and nothing
/// else.
struct WriteScenario {
    let reading: Reading
    let parents: Parents
    /// What occupied the file before the first write.
    let layout: FileLayout
    /// What the file held before the first write.
    let opened: Content
    var generator: SeededGenerator
    /// What was done.
    private(set) var steps: [String] = []

    /// The disk as the writes make it.
    private var disk = Content()
    /// The disk at the last commit and after each change since.
    private var versions: [Content] = []
    /// Blocks that were written to.
    private var touched: Set<UInt64> = []
    /// How often space for a block may have been taken.
    private var allocations: UInt64 = 0

    init(
        reading: Reading, parents: Parents, layout: FileLayout, opened: Content,
        generator: SeededGenerator
    ) {
        self.reading = reading
        self.parents = parents
        self.layout = layout
        self.opened = opened
        self.generator = generator
        disk = reading.disk
        versions = [reading.disk]
    }

    /// Runs and judges some operations.
    mutating func run(_ writer: consuming ImageWriter<FuzzFile>, on file: FuzzFile) throws {
        try reading.compare(disk, with: writer, "through the writer")
        if generator.once(in: 200) {
            try commitOften(writer)
        } else {
            for _ in 0..<generator.below(6) { try step(writer) }
        }
        try reading.compare(disk, with: writer, "after the writes")
        let newSize = generator.once(in: 6) ? largerSize(isFixed: writer.isFixed) : nil
        let abandons = newSize == nil && generator.once(in: 4)
        if let newSize {
            steps.append("grow to \(newSize)")
            try writer.grow(to: newSize)
        } else if abandons {
            steps.append("abandon")
            writer.abandon()
        } else {
            steps.append("close")
            try writer.close()
        }
        let reader = try parents.reopen(file, "after \(steps)")
        guard !reader.info.logIsDirty else { throw Violation("dirty after \(steps)") }
        if let newSize {
            try checkGrown(reader, to: newSize)
        } else if abandons {
            try checkAbandoned(reader)
        } else {
            try reading.compare(disk, with: reader, "after \(steps)")
        }
        try checkFile(file.content, isGrown: newSize != nil)
    }

    /// A size that the disk may grow to: within its last block, by some blocks, or so far that the
    /// table has to move.
    private mutating func largerSize(isFixed: Bool) -> UInt64? {
        let geometry = reading.geometry
        let sectors: UInt64 =
            switch generator.below(3) {
            case 0: UInt64(1 + generator.below(200))
            case 1: UInt64(1 + generator.below(9)) * geometry.blockSize / 512
            default: UInt64(generator.below(isFixed ? 1 << 15 : 1 << 28)) + 1
            }
        let size = geometry.virtualSize + sectors * geometry.logicalSectorSize
        // As much as fits into a table of some mebibytes.
        guard size <= 64 << 40, size / geometry.blockSize < 1 << 19 else { return nil }
        allocations += size / geometry.blockSize - geometry.virtualSize / geometry.blockSize + 8
        touched.insert(geometry.payloadBlockCount - 1)
        return size
    }

    private mutating func step(_ writer: borrowing ImageWriter<FuzzFile>) throws {
        let range = somewhere()
        switch generator.below(8) {
        case 0..<4:
            let bytes = generator.bytes(count: Int(range.byteCount))
            steps.append("write \(range)")
            count(range)
            try writer.write(bytes.rawSpan, at: range.lowerBound)
            disk.write(bytes, at: range.lowerBound)
            versions.append(disk)
        case 4, 5:
            let block = range.lowerBound / reading.geometry.blockSize
            let start = block * reading.geometry.blockSize
            let whole = start..<min(start + reading.geometry.blockSize, disk.byteCount)
            let zeroed = generator.once(in: 2) ? whole : range
            steps.append("zero \(zeroed)")
            count(zeroed)
            try writer.writeZeros(zeroed)
            disk.clear(zeroed)
            versions.append(disk)
        case 6:
            steps.append("commit if full")
            try writer.commitIfBatchIsFull()
        default:
            steps.append("commit")
            try writer.commit()
            versions = [disk]
        }
    }

    /// Commits until the log wraps around.
    private mutating func commitOften(_ writer: borrowing ImageWriter<FuzzFile>) throws {
        let window = reading.windows.first ?? 0..<4096
        guard window.byteCount >= 4096 else { return }
        let whole = window.lowerBound..<min(reading.geometry.blockSize, window.upperBound)
        for round in 0..<70 as Range<UInt8> {
            let bytes = [UInt8](repeating: round + 1, count: 4096)
            count(whole)
            try writer.write(bytes.rawSpan, at: whole.lowerBound)
            try writer.commit()
            disk.write(bytes, at: whole.lowerBound)
            try writer.writeZeros(whole)
            try writer.commit()
            disk.clear(whole)
        }
        steps.append("commit often")
        versions = [disk]
    }

    private mutating func count(_ range: Range<UInt64>) {
        let size = reading.geometry.blockSize
        let blocks = range.lowerBound / size...(range.upperBound - 1) / size
        touched.formUnion(blocks)
        allocations += UInt64(blocks.count)
    }

    /// A few sectors in a window, often near the border of two blocks.
    private mutating func somewhere() -> Range<UInt64> {
        let window = reading.windows.randomElement(using: &generator) ?? 0..<512
        let size = reading.geometry.blockSize
        let blocks = window.lowerBound / size...(window.upperBound - 1) / size
        var start = UInt64.random(in: blocks, using: &generator) * size
        switch generator.below(3) {
        case 0: start &-= 512 * UInt64(1 + generator.below(4))
        case 1: start += UInt64(generator.below(2000)) * 512
        default: break
        }
        let sector = reading.geometry.logicalSectorSize
        start = min(max(start, window.lowerBound), window.upperBound - sector)
        start = start.roundedDown(toMultipleOf: sector)
        let count = UInt64(1 + generator.below(24)) * 512
        return
            start..<min(
                start + (count.roundedUp(toMultipleOf: sector) ?? count), window.upperBound)
    }

    // MARK: What must hold

    /// Each sector is that of the last commit, or of some moment since.
    private func checkAbandoned(_ reader: borrowing ImageReader<FuzzFile>) throws {
        let found = try reading.disk(of: reader)
        for page in found.differingPages(from: versions[0]) {
            for sector in 0..<UInt64(8) {
                let start = page * Content.pageSize + sector * 512
                let bytes = found.bytes(at: start, count: 512)
                let isKnown = versions.contains { $0.bytes(at: start, count: 512) == bytes }
                guard isKnown else {
                    throw Violation("after \(steps) the sector at \(start) is neither old nor new")
                }
            }
        }
    }

    /// The old disk reads as before, and what is new as zeros; new blocks of a child as the parent.
    private func checkGrown(
        _ reader: borrowing ImageReader<FuzzFile>, to size: UInt64
    ) throws {
        let (old, new) = (reading.geometry, reader.geometry)
        guard new.virtualSize == size, new.blockSize == old.blockSize,
            new.hasParent == old.hasParent, new.logicalSectorSize == old.logicalSectorSize
        else { throw Violation("after \(steps) the geometry is \(new)") }
        if let page = try reading.disk(of: reader).differingPages(from: disk).first {
            throw Violation("after \(steps) the disk differs at \(page * Content.pageSize)")
        }
        let blockEnd = old.virtualSize.roundedUp(toMultipleOf: old.blockSize) ?? size
        let newBlocks = min(blockEnd, size)
        let windows = [
            old.virtualSize..<newBlocks, newBlocks..<min(size, newBlocks + (2 << 20)),
            max(newBlocks, size - min(size, 65536))..<size,
        ]
        for window in windows where !window.isEmpty {
            let found = try Reading.disk([window], reader)
            // The rest of a last block that was fully present reads as zeros, above a parent too.
            let isRest = window.lowerBound < newBlocks
            if isRest, found.differingPages(from: Content()).isEmpty { continue }
            let expected = new.hasParent ? try parents.disk([window]) : Content()
            if let page = found.differingPages(from: expected).first {
                throw Violation("after \(steps) new space differs at \(page * Content.pageSize)")
            }
        }
    }

    /// Outside headers, log, table and written blocks the file is as it was, and it has grown by no
    /// more than was written.
    private func checkFile(_ content: Content, isGrown: Bool) throws {
        let image = layout.image
        let wasWritten = content.differingPages(from: opened).isEmpty == false
        let limit = max(
            opened.byteCount, layout.end + allocations * (reading.geometry.blockSize + .mebibyte))
        guard content.byteCount <= limit, content.byteCount >= opened.byteCount else {
            throw Violation(
                "the file of \(opened.byteCount) bytes has \(content.byteCount) after \(steps)")
        }
        guard wasWritten else { return }
        var writable = RawImage.headerPositions.map { $0..<$0 + 4096 } + [image.log, image.table]
        writable += image.damagedTables.map { $0..<$0 + UInt64(RawImage.tableSize) }
        writable += touched.compactMap { layout.places[$0] }
        writable += touched.compactMap { layout.bitmaps[$0 / image.chunkRatio] }
        if isGrown {
            writable += RawImage.tablePositions.map { $0..<$0 + UInt64(RawImage.tableSize) }
            let size = image.items.first { $0.identifier == GUID(ImageBuilder.virtualDiskSize) }
            if let size { writable.append(size.range) }
        }
        for page in content.differingPages(from: opened) {
            let range = page * Content.pageSize..<(page + 1) * Content.pageSize
            if writable.contains(where: { $0.overlaps(range) }) { continue }
            guard !layout.occupied.contains(where: { $0.overlaps(range) }) else {
                throw Violation("byte \(range.lowerBound) of the file changed by \(steps)")
            }
        }
        let after = FileLayout(content)
        guard after.image.items.map(\.range) == image.items.map(\.range),
            isGrown || after.image.regions.map(\.range) == image.regions.map(\.range)
        else { throw Violation("metadata or regions changed by \(steps)") }
    }
}
