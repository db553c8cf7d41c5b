public import Storage

/// Every rule of [MS-VHDX] that an image breaks, and what is odd about it though it breaks none.
///
/// The check runs the code that opens an image, piece by piece, and goes on where that would stop:
/// there is an error among the findings if and only if nothing here would open the image. It
/// changes no byte of the file. A log that must be replayed is looked through in memory.
public struct ImageCheck: Equatable, Sendable {
    public let path: String
    private var list = FindingList()
    /// What was not looked at, because something that leads to it is damaged.
    public private(set) var unchecked: [Structure] = []

    /// Where a differencing image finds its parent; nil also where that cannot be read.
    private var locator: ParentLocator?
    private var geometry: Geometry?

    /// In the order of the structures in the file: what opening meets first stands first.
    public var findings: [Finding] { list.findings }

    /// How many findings there are of this severity, those that were only counted included.
    public func count(of severity: Finding.Severity) -> UInt64 { list.counts[severity] ?? 0 }

    /// The worst severity that occurs.
    public var worst: Finding.Severity? {
        Finding.Severity.allCases.filter { count(of: $0) > 0 }.max()
    }

    /// Checks an image by itself.
    ///
    /// - Throws: what keeps the file from being read at all, never what is wrong in it.
    public init<File: RandomAccessFile & ~Copyable>(_ file: consuming File) throws(VHDXError) {
        path = file.name
        guard let copies = try checkStart(of: file) else { return }
        let header = checkHeaders(copies)
        try checkReserved(of: copies, in: file)
        let log = try checkLog(of: file, header)
        let imageFile = try ImageFile(file, overlay: log.overlay)
        guard let regions = try checkRegionTable(of: imageFile) else {
            unchecked += [.metadataTable, .blockAllocationTable]
            return
        }
        let space = ImageLayout.space(of: regions, log: log.range, in: path)
        for error in space.errors { list.add(error) }
        let items = try checkMetadata(of: imageFile, regions)
        locator = items?.parentLocator
        geometry = items.map(Geometry.init)
        try checkBlocks(of: imageFile, regions, items, space.value ?? SpaceMap())
    }
}

extension ImageCheck {
    /// Opens an image for reading, and checks it by itself.
    public init(ofImageAt path: String) throws(VHDXError) {
        try self.init(DiskFile.openImage(at: path, for: .reading))
    }

    /// Checks an image and all that it builds on: the image first, then its parent, and so on. A
    /// parent that cannot be found or is another one is an error of its child.
    ///
    /// - Throws: what keeps one of the files from being read at all.
    public static func chain(
        ofImageAt path: String, parents: ParentSearch
    ) throws(VHDXError) -> [ImageCheck] {
        let file = try DiskFile.openImage(at: path, for: .reading)
        var chain = ImageChain(startingWith: file, parents)
        var check = try ImageCheck(file)
        var checks: [ImageCheck] = []
        while let locator = check.locator, locator != .unknown {
            let parent: ImageCheck
            do throws(VHDXError) {
                parent = try ImageCheck(chain.parentFile(of: check.path, locator))
            } catch {
                try check.addParentError(error)
                break
            }
            check.checkSectors(of: parent)
            checks.append(check)
            check = parent
        }
        return checks + [check]
    }

    private mutating func addParentError(_ error: VHDXError) throws(VHDXError) {
        switch error {
        case .file: throw error
        case .parentNotFound, .parentMismatch, .parentOutsideFolders, .parentLoop: list.add(error)
        default: list.add(error, rule: .parentDamaged)
        }
    }

    private mutating func checkSectors(of parent: ImageCheck) {
        guard let geometry, let parentGeometry = parent.geometry else { return }
        do throws(VHDXError) {
            try geometry.checkParent(parentGeometry, of: path, parentPath: parent.path)
        } catch {
            list.add(error)
        }
    }
}

// MARK: Identifier, headers, log

extension ImageCheck {
    /// Reads the identifier and both headers.
    ///
    /// - Returns: nil where the file is something else altogether.
    private mutating func checkStart(
        of file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> [Examination<ImageHeader>]? {
        var errors: [VHDXError] = []
        _ = try errors.collect { () throws(VHDXError) in try ImageLayout.readIdentifier(from: file)
        }
        let copies = try CurrentHeader.copies(in: file)
        for error in errors { list.add(error) }
        return errors.isEmpty || copies.contains { $0.value != nil } ? copies : nil
    }

    /// - Returns: the header that counts, or nil where none does.
    private mutating func checkHeaders(_ copies: [Examination<ImageHeader>]) -> CurrentHeader? {
        let someCopyIsValid = copies.contains { $0.value != nil }
        for (number, copy) in copies.enumerated() {
            addCopy(copy.errors, number, someCopyIsValid)
        }
        do throws(VHDXError) {
            let current = try CurrentHeader.current(among: copies, of: path)
            noteNumbers(copies, current)
            return current
        } catch {
            list.add(error)
            return nil
        }
    }

    /// What is wrong with one of two copies: the other one may make up for it.
    private mutating func addCopy(
        _ errors: [VHDXError], _ number: Int, _ someCopyIsValid: Bool
    ) {
        let which = number == 0 ? "first" : "second"
        for error in errors {
            list.add(
                error, as: someCopyIsValid ? .warning : .error,
                subject: someCopyIsValid
                    ? "\(which) copy, for which the other one stands in: " : "\(which) copy: ")
        }
    }

    private mutating func noteNumbers(
        _ copies: [Examination<ImageHeader>], _ current: CurrentHeader
    ) {
        let numbers = copies.compactMap(\.value?.sequenceNumber)
        if numbers.count == 2, numbers[0] == numbers[1] {
            list.add(
                .notice, .headerSequence, .header, at: current.position, value: numbers[0],
                "both copies have this number; they are the same, so that either may count")
        }
        do throws(VHDXError) {
            try current.checkSequenceNumber(of: path)
        } catch {
            list.add(
                .warning, .headerExhausted, .header, at: current.position,
                value: current.header.sequenceNumber,
                "the number cannot be raised any more, so that nothing can write to the image")
        }
    }

    /// Notes bytes that nothing reads, and that are not zero.
    private mutating func checkReserved(
        of copies: [Examination<ImageHeader>],
        in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) {
        for (position, copy) in zip(CurrentHeader.positions, copies) where copy.value != nil {
            let bytes = try onFile { () throws(FileError) in
                try file.bytes(at: position, count: ImageHeader.byteCount)
            }
            noteReserved(.headerReserved, .header, bytes, [80..<ImageHeader.byteCount], position)
        }
    }

    private mutating func noteReserved(
        _ rule: FormatRule, _ structure: Structure, _ bytes: [UInt8], _ ranges: [Range<Int>],
        _ position: UInt64
    ) {
        for range in ranges {
            guard let place = bytes.firstNonzero(in: range) else { continue }
            list.add(
                .notice, rule, structure, at: position + UInt64(place), value: UInt64(bytes[place]),
                "a reserved byte is not zero; it means nothing to software of today")
        }
    }

    /// What is known of the log.
    private struct Log {
        var range: Range<UInt64>?
        var overlay = LogOverlay()
    }

    private mutating func checkLog(
        of file: borrowing some RandomAccessFile & ~Copyable, _ current: CurrentHeader?
    ) throws(VHDXError) -> Log {
        guard let current else {
            unchecked.append(.log)
            return Log()
        }
        let fileSize = try onFile { () throws(FileError) in try file.byteCount() }
        let header = current.header
        var errors = header.logErrors(of: path, fileSize: fileSize, at: current.position)
        var log = Log()
        if errors.isEmpty {
            log.range = header.logRange
            if header.logLength == 0 {
                list.add(
                    .notice, .logAbsent, .log, at: header.logOffset,
                    "there is no room for a log, so that nothing can write to the image")
            }
            let sequence = try errors.collect { () throws(VHDXError) in
                try LogSequence.active(in: file, header: current)
            }
            if let sequence = sequence.flatMap(\.self) {
                noteReplay(sequence)
                let overlay = try errors.collect { () throws(VHDXError) in
                    try LogOverlay(replaying: sequence, in: file)
                }
                log.overlay = overlay ?? LogOverlay()
            }
        } else {
            unchecked.append(.log)
        }
        for error in errors { list.add(error) }
        return log
    }

    private mutating func noteReplay(_ sequence: LogSequence) {
        let count = sequence.entries.count
        list.add(
            .warning, .logDirty, .log, at: sequence.region.fileOffset, value: UInt64(count),
            "the image was not closed: readers must look through "
                + (count == 1 ? "1 entry" : "\(count) entries")
                + " of the log, which the next writer applies")
    }
}

// MARK: Regions

extension ImageCheck {
    /// - Returns: the regions to go on with, or nil where there are none.
    private mutating func checkRegionTable<File: RandomAccessFile & ~Copyable>(
        of file: borrowing ImageFile<File>
    ) throws(VHDXError) -> RegionTable? {
        let copies = try RegionTable.copies(in: file)
        let someCopyIsValid = copies.contains { $0.value != nil && $0.errors.isEmpty }
        for (number, copy) in copies.enumerated() {
            addCopy(copy.errors, number, someCopyIsValid)
        }
        let table: RegionTable
        var position = RegionTable.positions[0]
        do throws(VHDXError) {
            let reading = try RegionTable.current(among: copies, of: path)
            table = reading.table
            position = reading.position
        } catch {
            list.add(error)
            guard let index = copies.firstIndex(where: { $0.value != nil }),
                let rest = copies[index].value
            else { return nil }
            table = rest
            position = RegionTable.positions[index]
        }
        for error in table.errors(in: file, at: position) { addRegionError(error) }
        let bytes = try file.structure(.regionTable, at: position, count: RegionTable.byteCount)
        // Without its wrong entries the table does not say where the right ones stand.
        guard table.entries.count == bytes.rawSpan.load(UInt32.self, at: 8) else { return table }
        noteRegions(table, position)
        let end = RegionTable.entryOffset(table.entries.count)
        noteReserved(
            .regionTableReserved, .regionTable, bytes, [12..<16, end..<RegionTable.byteCount],
            position)
        return table
    }

    private mutating func addRegionError(_ error: VHDXError) {
        switch error {
        case .overlap: list.add(error, rule: .regionDuplicate)
        case .truncated: list.add(error, rule: .regionCut)
        case .unsupported(let what, _):
            list.add(
                .error, .regionUnknown, .regionTable, at: nil,
                "\(what), without which nothing may open the image, is not known here")
        default: list.add(error)
        }
    }

    private mutating func noteRegions(_ table: RegionTable, _ position: UInt64) {
        for (index, entry) in table.entries.enumerated() {
            if entry.isKnown && !entry.isRequired {
                list.add(
                    .notice, .regionNotRequired, .regionTable,
                    at: position + UInt64(RegionTable.entryOffset(index)),
                    "a region that every image must have is not marked as required, as QEMU "
                        + "leaves it")
            } else if !entry.isKnown && !entry.isRequired {
                list.add(
                    .notice, .regionUnknown, .regionTable, at: entry.fileOffset,
                    value: UInt64(entry.length),
                    "region \(entry.identifier) is not known here, and may be passed over")
            }
        }
    }
}

// MARK: Metadata

extension ImageCheck {
    /// - Returns: the items, where they say how the disk is laid out.
    private mutating func checkMetadata<File: RandomAccessFile & ~Copyable>(
        of file: borrowing ImageFile<File>, _ regions: RegionTable
    ) throws(VHDXError) -> MetadataItems? {
        let region: RegionTableEntry
        do throws(VHDXError) {
            region = try ImageLayout.metadataRegion(in: regions, of: path)
        } catch {
            list.add(error)
            unchecked.append(.metadataTable)
            return nil
        }
        guard region.fileOffset < file.byteCount else {
            // The region was said to be cut, with all that is in it.
            unchecked.append(.metadataTable)
            return nil
        }
        let table = try MetadataItems.examineTable(file, in: region)
        for error in table.errors { list.add(error) }
        guard let value = table.value else { return nil }
        let items = try MetadataItems.examine(value, in: region, of: file)
        for error in items.errors { addItemError(error) }
        if let mark = items.value?.mark { list.add(.unfinishedApply(path: path, mark: mark)) }
        let bytes = try file.structure(
            .metadataTable, at: region.fileOffset, count: MetadataTable.byteCount)
        // As for the table of regions.
        if value.entries.count == bytes.rawSpan.load(UInt16.self, at: 10) {
            noteItems(value, region, hasParent: items.value?.hasParent ?? true)
            noteReserved(of: value, bytes, at: region.fileOffset)
        }
        return items.value
    }

    private mutating func addItemError(_ error: VHDXError) {
        guard case .unsupported(let what, _) = error else { return list.add(error) }
        list.add(
            .error, .itemUnknown, .metadataItem, at: nil,
            "\(what): nothing may open the image that does not know what this means")
    }

    private mutating func noteItems(
        _ table: MetadataTable, _ region: RegionTableEntry, hasParent: Bool
    ) {
        for (index, entry) in table.entries.enumerated() {
            let place = region.fileOffset + UInt64(MetadataTable.entryOffset(index))
            let known = KnownMetadataItem.all.first { $0.itemID == entry.itemID }
            if !entry.isKnown, !entry.isRequired {
                list.add(
                    .notice, .itemUnknown, .metadataItem, at: place, value: UInt64(entry.length),
                    "\(entry.isUser ? "a user's " : "")metadata item \(entry.itemID) is not known "
                        + "here, and may be passed over")
            } else if let known, !entry.isUser, entry.flags != known.flags {
                list.add(
                    .notice, .itemFlags, .metadataTable, at: place, value: UInt64(entry.flags),
                    "the \(known.structure.rawValue) is not marked as the format has it, and is "
                        + "used all the same")
            } else if entry.itemID == KnownMetadataItem.parentLocator, !entry.isUser, !hasParent {
                list.add(
                    .notice, .parentLocator, .metadataItem, at: place,
                    value: UInt64(entry.length),
                    "the image says where its parent is, and has none")
            }
        }
    }

    private mutating func noteReserved(
        of table: MetadataTable, _ bytes: [UInt8], at position: UInt64
    ) {
        var ranges = [8..<10, 12..<32]
        for index in table.entries.indices {
            let end = MetadataTable.entryOffset(index + 1)
            ranges.append(end - 4..<end)
        }
        noteReserved(.metadataReserved, .metadataTable, bytes, ranges, position)
    }
}

// MARK: Blocks

extension ImageCheck {
    private mutating func checkBlocks<File: RandomAccessFile & ~Copyable>(
        of file: borrowing ImageFile<File>, _ regions: RegionTable, _ items: MetadataItems?,
        _ space: SpaceMap
    ) throws(VHDXError) {
        let region: RegionTableEntry
        do throws(VHDXError) {
            region = try ImageLayout.tableRegion(in: regions, of: path)
        } catch {
            list.add(error)
            unchecked.append(.blockAllocationTable)
            return
        }
        guard let items else {
            unchecked.append(.blockAllocationTable)
            return
        }
        let geometry = Geometry(items)
        do throws(VHDXError) {
            try ImageLayout.checkLength(of: region, for: geometry, of: path)
        } catch {
            list.add(error)
        }
        let table = BlockAllocationTable(geometry: geometry, region: region)
        var blocks = BlockCheck(table: table, space: space)
        try blocks.run(on: file, &list)
        blocks.finish(isFixed: items.kind == .fixed, in: file, &list)
    }
}

extension [UInt8] {
    /// Where the first byte is that is not 0.
    fileprivate func firstNonzero(in range: Range<Int>) -> Int? {
        var place = range.lowerBound
        while place < range.upperBound {
            if range.upperBound - place >= 8, rawSpan.load(UInt64.self, at: place) == 0 {
                place += 8
            } else if self[place] != 0 {
                return place
            } else {
                place += 1
            }
        }
        return nil
    }
}
