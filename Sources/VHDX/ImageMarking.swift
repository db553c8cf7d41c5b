public import Storage

extension ImageWriter where File: ~Copyable {
    /// What the image bears now where it is half-written.
    public var mark: ApplyMark? { session.withLock(\.mark) }

    /// The identity of this state of the content; another one from the session's first change on.
    public var dataWriteGUID: GUID { session.withLock(\.dataWriteGUID) }

    /// Chooses the DataWriteGuid that the session's first change gives the image, in place of a random
    /// one. Equal ones say that the content is the same: it is for a copy that will be whole.
    ///
    /// - Precondition: nothing was changed yet.
    public func chooseDataWriteGUID(_ guid: GUID) {
        session.withLock { $0.chooseDataWriteGUID(guid) }
    }

    /// Commits, then marks the image as half-written, in place of a mark that is there.
    ///
    /// When it returns the mark is durable, and not in the log alone: no content that is written
    /// afterwards is ever there without it. A crash before that leaves the image with the mark or
    /// as it was.
    ///
    /// - Throws: ``VHDXError/unsupported(_:path:)`` where the image has no room for a mark, or the path
    ///   of the journal is none; then nothing was marked.
    public func setMark(_ mark: ApplyMark) throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in
            try session.setMark(mark, in: file)
        }
    }

    /// Checks that the image has room for a mark, and changes nothing.
    ///
    /// - Throws: ``VHDXError/unsupported(_:path:)`` as ``setMark(_:)`` would.
    public func checkRoom(for mark: ApplyMark) throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in
            _ = try session.change(to: mark, in: file)
        }
    }

    /// Commits, then takes the mark away; does nothing where there is none.
    ///
    /// All that was written is durable before the mark goes. A crash leaves either both.
    public func removeMark() throws(VHDXError) {
        try session.withLock { (session) throws(VHDXError) in try session.setMark(nil, in: file) }
    }
}

extension WriteSession {
    /// Sets the mark, or removes it for nil.
    mutating func setMark(
        _ mark: ApplyMark?, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        guard mark != nil || self.mark != nil else { return }
        try commit(in: file)
        let change = try change(to: mark, in: file)
        try begin(in: file)
        try commitInPlace(change.pages, in: file)
        self.mark = mark
    }

    /// What setting a mark, or removing it, changes in the metadata.
    fileprivate func change(
        to mark: ApplyMark?, in file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) -> MetadataChange {
        guard let region = regions.table.entry(RegionTableEntry.metadata) else {
            throw .missing(.metadataTable, path: file.name)
        }
        var change = MetadataChange(in: region)
        var table = try MetadataItems.examineTable(file, in: region).valid()
        try change.removeMark(from: &table, of: file)
        if let mark {
            try change.add(mark.encoded(for: file.name), to: table, of: file)
        }
        return change
    }
}

/// Pages of the metadata region as they are to become: table entries and the bytes of items, with
/// everything around them as it is.
private struct MetadataChange {
    private let region: RegionTableEntry
    /// By where they stand in the file.
    private var bytesByPage: [UInt64: [UInt8]] = [:]

    private static let pageByteCount = Int(MetadataPages.byteCount)

    init(in region: RegionTableEntry) {
        self.region = region
    }

    /// The changed pages, in the order of the file.
    var pages: [LoggedPage] {
        bytesByPage.sorted { $0.key < $1.key }.map { LoggedPage(fileOffset: $0, bytes: $1) }
    }

    /// Takes the mark's entry out of the table, moves up those behind it, and clears its bytes.
    mutating func removeMark(
        from table: inout MetadataTable,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        guard let index = table.entries.firstIndex(where: \.isApplyMark) else { return }
        let entry = table.entries.remove(at: index)
        let start = MetadataTable.entryOffset(index + 1)
        let end = MetadataTable.entryOffset(table.entries.count + 1)
        // As they stand in the file: reserved bytes too.
        let following = try file.structure(
            .metadataTable, at: region.fileOffset + UInt64(start), count: end - start)
        let freeSlot = [UInt8](repeating: 0, count: MetadataTableEntry.byteCount)
        try replace(
            with: following + freeSlot, at: MetadataTable.entryOffset(index), of: file)
        try replace(
            with: [UInt8](repeating: 0, count: Int(entry.length)), at: Int(entry.offset), of: file)
        try setCount(table.entries.count, of: file)
    }

    /// Adds a mark with this content behind the last entry of the table.
    mutating func add(
        _ content: [UInt8], to table: MetadataTable,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        guard table.entries.count < Int(MetadataTable.maximumEntryCount) else {
            throw .unsupported("its metadata table has no room for a mark", path: file.name)
        }
        guard let place = table.place(for: content.count, regionLength: region.length) else {
            throw .unsupported("its metadata region has no room for a mark", path: file.name)
        }
        let entry = MetadataTableEntry(
            itemID: ApplyMark.itemID, offset: place, length: UInt32(content.count),
            flags: ApplyMark.flags)
        var slot = [UInt8](repeating: 0, count: MetadataTableEntry.byteCount)
        slot.withMutableRawSpan { entry.encode(into: &$0, at: 0) }
        try replace(
            with: slot, at: MetadataTable.entryOffset(table.entries.count), of: file)
        try replace(with: content, at: Int(place), of: file)
        try setCount(table.entries.count + 1, of: file)
    }

    private mutating func setCount(
        _ count: Int, of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        var field = [UInt8](repeating: 0, count: 2)
        field.withMutableRawSpan { $0.store(UInt16(count), at: 0) }
        try replace(with: field, at: MetadataTable.countOffset, of: file)
    }

    /// Puts bytes at an offset in the region.
    private mutating func replace(
        with bytes: [UInt8], at offset: Int,
        of file: borrowing ImageFile<some RandomAccessFile & ~Copyable>
    ) throws(VHDXError) {
        var position = offset
        while position < offset + bytes.count {
            let start = position - position % Self.pageByteCount
            let end = min(start + Self.pageByteCount, offset + bytes.count)
            let place = region.fileOffset + UInt64(start)
            var page: [UInt8]
            if let known = bytesByPage[place] {
                page = known
            } else {
                page = try file.structure(.metadataItem, at: place, count: Self.pageByteCount)
            }
            page.replaceSubrange(
                position - start..<end - start, with: bytes[position - offset..<end - offset])
            bytesByPage[place] = page
            position = end
        }
    }
}

extension MetadataTable {
    /// Where an item of this length fits between the others: at the start of a page if anywhere, else at
    /// a multiple of 8; nil for nowhere.
    fileprivate func place(for byteCount: Int, regionLength: UInt32) -> UInt32? {
        let placed = entries.filter { $0.length > 0 }.sorted { $0.offset < $1.offset }
        for alignment in [MetadataPages.byteCount, 8] {
            var start = UInt64(Self.byteCount)
            for entry in placed {
                if start + UInt64(byteCount) <= UInt64(entry.offset) { return UInt32(start) }
                let end = UInt64(entry.offset) + UInt64(entry.length)
                start = max(start, end.dividedRoundingUp(by: alignment) * alignment)
            }
            if start + UInt64(byteCount) <= UInt64(regionLength) { return UInt32(start) }
        }
        return nil
    }
}
