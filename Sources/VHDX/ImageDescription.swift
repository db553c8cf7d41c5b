public import Storage

/// All that can be said of an image without reading its content.
public struct ImageDescription: Equatable, Sendable {
    /// Where the log lies, and whether anything of it counts.
    public struct Log: Equatable, Sendable {
        public var fileOffset: UInt64
        /// In bytes; 0 where there is no room for a log.
        public var length: UInt64
        /// Entries that the next writer applies to the file.
        public var entryCountToReplay: Int
    }

    /// One region of the file, [MS-VHDX] 2.2.3.2.
    public struct Region: Equatable, Sendable {
        public var identifier: GUID
        /// What is in it; nil where that is not known here.
        public var name: String?
        public var fileOffset: UInt64
        public var length: UInt64
        public var isRequired: Bool
    }

    /// One of the images that a differencing image builds on.
    public enum Parent: Equatable, Sendable {
        case found(path: String, dataWriteGUID: GUID)
        /// It cannot be used, and why, in a clause.
        case missing(String)
    }

    public var info: ImageInfo
    /// From the image's own parent to the last that was found.
    public var parents: [Parent] = []
    /// Where the parent is looked for; nil where there is none.
    var locator: ParentLocator?
    public var geometry: Geometry
    public var log: Log
    /// In the order of the table.
    public var regions: [Region]
    public var allocation: Allocation
    /// Sector bitmap blocks of 1 MiB that a differencing image has.
    public var bitmapCount: UInt64
    /// Bytes of the file that something occupies, and the rest of it.
    public var usedByteCount: UInt64
    public var unusedByteCount: UInt64
}

/// How the blocks of an image lie in its file.
public struct Allocation: Equatable, Sendable {
    /// Bytes of payload blocks that have a place in the file.
    public internal(set) var payloadByteCount: UInt64 = 0
    /// Runs of payload blocks that lie one behind the other in the file in the order of the disk:
    /// how often reading the disk from start to end has to jump, and one more.
    public internal(set) var runCount: UInt64 = 0
    /// Equal parts of the disk, and how many bytes of each lie in blocks that have a place.
    public private(set) var parts: [Part]

    public struct Part: Equatable, Sendable {
        public var byteCount: UInt64
        public var allocatedByteCount: UInt64 = 0
    }

    public static let partCount = 64

    private let virtualSize: UInt64
    private var endOfRun: UInt64?

    init(virtualSize: UInt64) {
        self.virtualSize = virtualSize
        parts = (0..<UInt64(Self.partCount)).map { index in
            let range = Self.range(ofPart: index, virtualSize)
            return Part(byteCount: range.byteCount)
        }
    }

    /// At most 64 TiB times 64 parts, which fits.
    private static func range(ofPart index: UInt64, _ virtualSize: UInt64) -> Range<UInt64> {
        let count = UInt64(partCount)
        return virtualSize * index / count..<virtualSize * (index + 1) / count
    }

    /// Takes in the next block, in the order of the disk, that has a place in the file.
    mutating func add(_ virtualRange: Range<UInt64>, at place: Range<UInt64>) {
        payloadByteCount += place.byteCount
        if endOfRun != place.lowerBound { runCount += 1 }
        endOfRun = place.upperBound
        // The part whose rounded start is at or before the block's.
        var index = ((virtualRange.lowerBound + 1) * UInt64(Self.partCount) - 1) / virtualSize
        while index < UInt64(Self.partCount) {
            let part = Self.range(ofPart: index, virtualSize)
            guard part.lowerBound < virtualRange.upperBound else { break }
            parts[Int(index)].allocatedByteCount += part.clamped(to: virtualRange).byteCount
            index += 1
        }
    }
}

extension Allocation.Part {
    /// 0 only where nothing is allocated, 100 only where all is.
    public var allocatedPercent: Int {
        guard byteCount > 0 else { return 0 }
        if allocatedByteCount == byteCount { return 100 }
        let percent = allocatedByteCount.multipliedFullWidth(by: 100)
        let rounded = byteCount.dividingFullWidth(percent).quotient
        return allocatedByteCount == 0 ? 0 : max(Int(rounded), 1)
    }
}

extension ImageDescription {
    /// Checks an image by itself, and describes it, also where it is half-written.
    ///
    /// - Throws: what keeps it from being read.
    public init<File: RandomAccessFile & ~Copyable>(_ file: consuming File) throws(VHDXError) {
        let start = try ImageStart(of: file)
        let (header, sequence) = (start.header, start.sequence)
        let imageFile = try ImageFile(file, overlay: start.overlay)
        let layout = try ImageLayout(reading: imageFile, header: header, acceptsMark: true)

        let fileSize = imageFile.byteCount
        info = ImageInfo(
            layout, of: imageFile.name, fileSize: fileSize, logIsDirty: sequence != nil)
        locator = layout.items.parentLocator
        geometry = layout.geometry
        log = Log(
            fileOffset: header.header.logOffset, length: UInt64(header.header.logLength),
            entryCountToReplay: sequence?.entries.count ?? 0)
        regions = layout.regions.table.entries.map(Region.init)
        (allocation, bitmapCount) = try Self.allocation(in: layout.table, of: imageFile)
        // The last block may reach past the end of the file.
        let occupied = layout.space.end - layout.space.freeByteCount
        let missing = layout.space.end - min(layout.space.end, fileSize)
        usedByteCount = occupied - missing
        unusedByteCount = fileSize - usedByteCount
    }

    /// Opens an image for reading, checks it, and describes it and what it builds on, as far as
    /// that can be found.
    public init(
        ofImageAt path: String, parents search: ParentSearch = ParentSearch()
    ) throws(VHDXError) {
        let file = try DiskFile.openImage(at: path, for: .reading)
        var chain = ImageChain(startingWith: file, search)
        try self.init(file)
        var child = self
        while let locator = child.locator {
            do throws(VHDXError) {
                let file = try chain.parentFile(of: child.info.path, locator)
                let parent = try ImageDescription(file)
                if let mark = parent.info.mark {
                    throw VHDXError.unfinishedApply(path: parent.info.path, mark: mark)
                }
                try child.geometry.checkParent(
                    parent.geometry, of: child.info.path, parentPath: parent.info.path)
                parents.append(
                    .found(path: parent.info.path, dataWriteGUID: parent.info.dataWriteGUID))
                child = parent
            } catch {
                parents.append(.missing("\(error)"))
                break
            }
        }
    }

    private static func allocation<File: RandomAccessFile & ~Copyable>(
        in table: BlockAllocationTable, of file: borrowing ImageFile<File>
    ) throws(VHDXError) -> (Allocation, bitmapCount: UInt64) {
        let geometry = table.geometry
        var allocation = Allocation(virtualSize: geometry.virtualSize)
        var bitmapCount: UInt64 = 0
        try table.forEachEntry(0..<geometry.entryCount, of: file) {
            (index, entry) throws(VHDXError) in
            guard let place = try table.check(entry, at: index, of: file) else { return }
            switch geometry.role(ofEntry: index) {
            case .payloadBlock(let block):
                allocation.add(geometry.virtualRange(ofBlock: block), at: place)
            case .sectorBitmap: bitmapCount += 1
            case .unused: break
            }
        }
        return (allocation, bitmapCount)
    }
}

extension ImageDescription.Region {
    init(_ entry: RegionTableEntry) {
        identifier = entry.identifier
        name =
            switch entry.identifier {
            case RegionTableEntry.blockAllocationTable: Structure.blockAllocationTable.rawValue
            case RegionTableEntry.metadata: "metadata"
            default: nil
            }
        fileOffset = entry.fileOffset
        length = UInt64(entry.length)
        isRequired = entry.isRequired
    }
}
