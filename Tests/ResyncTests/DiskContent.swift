import BlockIO
import Resync
import Storage
import TestSupport
import Testing
import VHDX

/// The shape of an image that a test makes.
struct DiskShape: Sendable {
    var virtualSize: UInt64
    /// Bytes in a payload block.
    var blockSize: UInt64 = .mebibyte
    var sectorSize: UInt64 = 512
    var isFixed = false
}

/// What a test knows of the content of a disk: virtual bytes, of which most are zeros.
typealias DiskContent = SparseBytes

extension SparseBytes {
    static let pageSize: UInt64 = 4096

    /// Runs the body on every page in a range that may hold something other than zeros.
    func forEachPage(in range: Range<UInt64>, _ body: (UInt64, [UInt8]) -> Void) {
        var position = range.lowerBound
        while let data = nextData(from: position, limit: range.upperBound) {
            position = data.lowerBound
            while position < data.upperBound {
                let end = min((position / Self.pageSize + 1) * Self.pageSize, data.upperBound)
                body(position, bytes(in: position..<end))
                position = end
            }
        }
    }

    func bytes(in range: Range<UInt64>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(range.byteCount))
        bytes.withMutableRawSpan { _ = read(into: &$0, at: range.lowerBound) }
        return bytes
    }

    mutating func put(_ bytes: [UInt8], at offset: UInt64) {
        write(bytes.rawSpan, at: offset)
    }

    /// Offsets of the pages that hold something other than zeros.
    var pagesWithData: Set<UInt64> {
        var pages: Set<UInt64> = []
        let zeros = [UInt8](repeating: 0, count: Int(Self.pageSize))
        forEachPage(in: 0..<byteCount) { offset, page in
            let isZero = ZeroScan.isEqual(
                page.rawSpan, zeros.rawSpan.extracting(0..<page.count))
            if !isZero { pages.insert(offset / Self.pageSize * Self.pageSize) }
        }
        return pages
    }

    /// The pages of two disks of one size that differ.
    ///
    /// Without optimization it takes a hundredth of the time that comparing arrays does.
    func pagesThatDiffer(from other: SparseBytes) -> Set<UInt64> {
        precondition(byteCount == other.byteCount)
        let pages = pagesWithData.union(other.pagesWithData)
        return pages.filter { page in
            let range = page..<min(page + Self.pageSize, byteCount)
            let (mine, theirs) = (bytes(in: range), other.bytes(in: range))
            return !ZeroScan.isEqual(mine.rawSpan, theirs.rawSpan)
        }
    }

    /// Whether both have one size and read the same.
    func readsAs(_ other: SparseBytes) -> Bool {
        byteCount == other.byteCount && pagesThatDiffer(from: other).isEmpty
    }

    /// Puts random content over a range: nowhere zero, and different in each sector and each call.
    mutating func fill(_ range: Range<UInt64>, using generator: inout SeededGenerator) {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = Int(min(range.upperBound - position, .mebibyte))
            let value = UInt8.random(in: 1...255, using: &generator)
            var bytes = [UInt8](repeating: value, count: count)
            bytes.withMutableRawSpan { span in
                for offset in stride(from: 0, to: count - 8, by: 512) {
                    span.store(generator.next() | 0x0101_0101_0101_0101, at: offset)
                }
            }
            put(bytes, at: position)
            position += UInt64(count)
        }
    }
}

extension DiskShape {
    var blockCount: UInt64 { virtualSize.dividedRoundingUp(by: blockSize) }

    func range(ofBlock index: UInt64) -> Range<UInt64> {
        index * blockSize..<min((index + 1) * blockSize, virtualSize)
    }

    /// An image with this content, made without code of the package: its blocks stand in a random
    /// order, and those that hold nothing are absent in any of the four ways, or present in a hole.
    func image(
        holding content: DiskContent, alsoPresent: Set<UInt64> = [],
        using generator: inout SeededGenerator
    ) -> MemoryFile {
        var builder = ImageBuilder(
            virtualSize: virtualSize, blockSize: blockSize, logicalSectorSize: sectorSize,
            kind: isFixed ? .fixed : .dynamic)
        let withData = Set(content.pagesWithData.map { $0 / blockSize })
        let present = withData.union(alsoPresent)
        let all = isFixed ? Set(0..<blockCount) : present
        for index in all.sorted().shuffled(using: &generator) { builder.addBlock(index) }
        if !isFixed, blockCount < 4096 {
            for index in 0..<blockCount where !all.contains(index) {
                builder.addBlock(index, state: generator.next() % 4, at: 0)
            }
        }
        let file = builder.build()
        for index in withData {
            guard let place = builder.blocks[index]?.offset else { continue }
            let range = range(ofBlock: index)
            content.forEachPage(in: range) { offset, page in
                file.put(page, at: place + offset - range.lowerBound)
            }
        }
        return file
    }

    /// An empty image as the package makes it.
    func createdImage() throws -> MemoryFile {
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = blockSize
        specification.logicalSectorSize = sectorSize
        specification.isFixed = isFixed
        let file = MemoryFile()
        try ImageCreation.write(specification, to: file)
        return file
    }
}

/// The content of an image whose log is empty, read by the letter of [MS-VHDX] and without code of
/// the package.
func naiveContent(of file: MemoryFile) -> DiskContent {
    let headers = [UInt64(64 << 10), 128 << 10].filter {
        file.peek(at: $0, count: 4) == Array("head".utf8)
    }
    let current = headers.max {
        file.peek(UInt64.self, at: $0 + 8) < file.peek(UInt64.self, at: $1 + 8)
    }
    precondition(file.peek(at: (current ?? 0) + 48, count: 16) == [UInt8](repeating: 0, count: 16))
    func find(_ identifier: String, from start: UInt64, count: Int) -> UInt64 {
        let bytes = ImageBuilder.bytes(ofGUID: identifier)
        let entries = (0..<UInt64(count)).map { start + $0 * 32 }
        return entries.first { file.peek(at: $0, count: 16) == bytes } ?? 0
    }
    let regionCount = Int(file.peek(UInt32.self, at: (192 << 10) + 8))
    func region(_ identifier: String) -> UInt64 {
        let entry = find(identifier, from: (192 << 10) + 16, count: regionCount)
        return file.peek(UInt64.self, at: entry + 16)
    }
    let metadata = region(ImageBuilder.metadataRegion)
    let table = region(ImageBuilder.batRegion)
    let itemCount = Int(file.peek(UInt16.self, at: metadata + 10))
    func item(_ identifier: String) -> UInt64 {
        let entry = find(identifier, from: metadata + 32, count: itemCount)
        return metadata + UInt64(file.peek(UInt32.self, at: entry + 16))
    }
    let shape = DiskShape(
        virtualSize: file.peek(UInt64.self, at: item(ImageBuilder.virtualDiskSize)),
        blockSize: UInt64(file.peek(UInt32.self, at: item(ImageBuilder.fileParameters))),
        sectorSize: UInt64(file.peek(UInt32.self, at: item(ImageBuilder.logicalSectorSize))))
    let chunkRatio = (shape.sectorSize << 23) / shape.blockSize
    var content = DiskContent(byteCount: shape.virtualSize)
    let bytes = file.content
    for index in 0..<shape.blockCount {
        let entry = file.peek(UInt64.self, at: table + (index + index / chunkRatio) * 8)
        guard entry & 7 == 6 else { continue }
        let place = entry & ~0xF_FFFF
        let range = shape.range(ofBlock: index)
        bytes.forEachPage(in: place..<place + range.byteCount) { offset, page in
            content.put(page, at: range.lowerBound + offset - place)
        }
    }
    return content
}

/// The content of a disk through its own code: what it says reads as zeros is not read.
func content(of source: borrowing some BlockSource & ~Copyable) throws -> DiskContent {
    let size = source.virtualSize
    var content = DiskContent(byteCount: size)
    var position: UInt64 = 0
    for extent in try source.extents(in: 0..<size) {
        precondition(extent.range.lowerBound == position && !extent.range.isEmpty)
        position = extent.range.upperBound
        guard extent.state == .data else { continue }
        var start = extent.range.lowerBound
        while start < extent.range.upperBound {
            let end = min(start + 65536, extent.range.upperBound)
            var bytes = [UInt8](repeating: 0, count: Int(end - start))
            try bytes.withMutableRawSpan { (span) throws(VHDXError) in
                try source.read(into: &span, at: start)
            }
            if !ZeroScan.isZero(bytes.rawSpan) { content.put(bytes, at: start) }
            start = end
        }
    }
    precondition(position == size)
    return content
}

func content(of file: MemoryFile) throws -> DiskContent {
    try content(of: ImageReader(file))
}

/// What a run over two disks has to find, computed page by page.
struct ExpectedDifference {
    let blockSize: UInt64
    let virtualSize: UInt64
    /// Blocks that differ.
    private(set) var differing: Set<UInt64> = []
    /// Blocks that hold something other than zeros.
    private(set) var onPrimary: Set<UInt64> = []
    private(set) var onReplica: Set<UInt64> = []

    init(_ primary: DiskContent, _ replica: DiskContent, blockSize: Int) {
        self.blockSize = UInt64(blockSize)
        virtualSize = primary.byteCount
        differing = Set(primary.pagesThatDiffer(from: replica).map { $0 / UInt64(blockSize) })
        onPrimary = Set(primary.pagesWithData.map { $0 / UInt64(blockSize) })
        onReplica = Set(replica.pagesWithData.map { $0 / UInt64(blockSize) })
    }

    var blockCount: UInt64 { virtualSize.dividedRoundingUp(by: blockSize) }

    func range(ofBlock index: UInt64) -> Range<UInt64> {
        index * blockSize..<min((index + 1) * blockSize, virtualSize)
    }

    func byteCount(_ blocks: Set<UInt64>) -> UInt64 {
        blocks.reduce(0) { $0 + range(ofBlock: $1).byteCount }
    }

    /// Each block that is not zero is hashed once where the sides agree; of one that differs both
    /// sides are, and once more what was written.
    var bytesHashed: UInt64 {
        byteCount(onPrimary) + byteCount(onReplica.intersection(differing)) + byteCount(differing)
    }
}

/// The root digest of a disk as docs/digest-tree.md defines it, from a list of all its digests.
func naiveRoot(of content: DiskContent, blockSize: Int) throws -> BlockDigest {
    var context = try SHA256Context()
    let size = UInt64(blockSize)
    let blockCount = content.byteCount.dividedRoundingUp(by: size)
    let zeros = [UInt8](repeating: 0, count: blockSize)
    let lastCount = Int(content.byteCount - (blockCount - 1) * size)
    var digests = [BlockDigest](
        repeating: context.digest(of: zeros.rawSpan), count: Int(blockCount))
    digests[Int(blockCount) - 1] = context.digest(of: zeros.rawSpan.extracting(0..<lastCount))
    for block in Set(content.pagesWithData.map { $0 / size }) {
        let bytes = content.bytes(in: block * size..<min((block + 1) * size, content.byteCount))
        digests[Int(block)] = context.digest(of: bytes.rawSpan)
    }
    var level: UInt64 = 0
    repeat {
        level += 1
        digests = stride(from: 0, to: digests.count, by: 64).map { start in
            var bytes = Array("vhdresync node 1".utf8) + littleEndian(level)
            for digest in digests[start..<min(start + 64, digests.count)] { bytes += digest.bytes }
            return context.digest(of: bytes.rawSpan)
        }
    } while digests.count > 1
    let bytes =
        Array("vhdresync root 1".utf8) + littleEndian(content.byteCount)
        + littleEndian(UInt32(blockSize)) + digests[0].bytes
    return context.digest(of: bytes.rawSpan)
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
}

extension SparseBytes: CustomTestStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// An expectation that fails shows its operands: a whole disk would be gigabytes of text.
    public var testDescription: String { "\(byteCount) bytes" }

    public var debugDescription: String { testDescription }

    public var customMirror: Mirror { Mirror(self, children: []) }
}
