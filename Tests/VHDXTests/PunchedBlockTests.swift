import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("ImageWriter: blocks that are zeroed piece by piece")
struct PunchedBlockTests {
    private static let table: UInt64 = 3 << 20

    private func entry(_ block: UInt64, of file: MemoryFile) -> UInt64 {
        file.peek(UInt64.self, at: Self.table + block * 8)
    }

    private func file(_ kind: ImageBuilder.Kind = .dynamic) -> MemoryFile {
        var image = ImageBuilder(virtualSize: 4 << 20, kind: kind)
        for block in 0..<4 as Range<UInt64> { image.addBlock(block, content: [UInt8](5, 1 << 20)) }
        return image.build()
    }

    /// Zeroes the second block in pieces of 64 KiB.
    private func zeroInPieces<File: RandomAccessFile>(
        _ writer: borrowing ImageWriter<File>, but left: Range<UInt64> = 0..<0
    ) throws {
        for start in stride(from: 1 << 20, to: 2 << 20, by: 65536) as StrideTo<UInt64>
        where !left.contains(start) {
            try writer.writeZeros(start..<start + 65536)
        }
    }

    @Test("Its last piece makes it a ZERO block with the next commit, and frees its space")
    func becomesZero() throws {
        let file = file()
        let writer = try ImageWriter(file)
        try zeroInPieces(writer, but: 1 << 20..<(1 << 20) + 65536)
        try writer.commit()
        #expect(entry(1, of: file) == 5 << 20 | 6)
        try writer.writeZeros(1 << 20..<(1 << 20) + 65536)
        try writer.commit()
        #expect(entry(1, of: file) == 2)
        try writer.fill(9, count: 512, at: 1 << 20)
        try writer.close()
        #expect(entry(1, of: file) == 5 << 20 | 6, "the space was free")
        #expect(file.content.byteCount == 8 << 20)
        let bytes = try content(of: file, at: 1 << 20, count: 1 << 20)
        #expect(Array(bytes.prefix(512)).consists(of: 9))
        #expect(Array(bytes.dropFirst(512)).consists(of: 0))
        #expect(refusal(of: file) == nil)
    }

    @Test("Anything that is left in it keeps it, be it zeros")
    func keepsData() throws {
        for value in [0, 9] as [UInt8] {
            let file = file()
            let writer = try ImageWriter(file)
            try zeroInPieces(writer)
            try writer.fill(value, count: 4096, at: (1 << 20) + 65536)
            try writer.close()
            #expect(entry(1, of: file) == 5 << 20 | 6)
            let bytes = try content(of: file, at: (1 << 20) + 65536, count: 4096)
            #expect(bytes.consists(of: value))
        }
    }

    @Test("What is written after the last piece counts, before the commit and after it")
    func writtenAgain() throws {
        for isCommitted in [false, true] {
            let file = file()
            let writer = try ImageWriter(file)
            try zeroInPieces(writer)
            if isCommitted { try writer.commit() }
            try writer.fill(7, count: 4096, at: (2 << 20) - 4096)
            try writer.close()
            let bytes = try content(of: file, at: 1 << 20, count: 1 << 20)
            #expect(Array(bytes.dropLast(4096)).consists(of: 0))
            #expect(Array(bytes.suffix(4096)).consists(of: 7))
            #expect(try content(of: file, at: 2 << 20, count: 1 << 20).consists(of: 5))
        }
    }

    @Test("A write that is under way while the rest is zeroed has its block afterwards")
    func writeUnderWay() throws {
        let file = file()
        let hooked = HookedFile(file)
        let open = OpenWriter(try ImageWriter(hooked))
        // The first change begins the session.
        try open.writer.fill(5, count: 512, at: 0)
        hooked.beforeNextWrite {
            // The block has been looked up, and nothing is locked.
            try? open.writer.writeZeros(1 << 20..<(1 << 20) + 65536)
            try? open.writer.writeZeros((1 << 20) + 69632..<2 << 20)
        }
        // All that the block holds in the end, and a hole before.
        try open.writer.writeZeros((1 << 20) + 65536..<(1 << 20) + 69632)
        try open.writer.fill(7, count: 4096, at: (1 << 20) + 65536)
        try open.writer.commit()
        #expect(try open.writer.bytes(at: (1 << 20) + 65536, count: 4096).consists(of: 7))
        #expect(entry(1, of: file) == 5 << 20 | 6)
    }

    @Test("A session that is abandoned leaves the block where it is")
    func abandoned() throws {
        let file = file()
        let writer = try ImageWriter(file)
        try zeroInPieces(writer)
        writer.abandon()
        #expect(entry(1, of: file) == 5 << 20 | 6)
        #expect(try content(of: file, at: 1 << 20, count: 1 << 20).consists(of: 0))
    }

    @Test("A fixed image keeps the block")
    func fixed() throws {
        let file = file(.fixed)
        let writer = try ImageWriter(file)
        try zeroInPieces(writer)
        try writer.close()
        #expect(entry(1, of: file) == 5 << 20 | 6)
        #expect(try content(of: file, at: 1 << 20, count: 1 << 20).consists(of: 0))
    }

    @Test("In a differencing image all sectors must have been zeroed: the rest is the parent's")
    func differencing() throws {
        for isWhole in [false, true] {
            var builder = ImageBuilder(virtualSize: 4 << 20, kind: .differencing)
            builder.addLocator()
            let child = builder.build()
            let parent = ImageParent(try ImageReader(file()))
            let writer = try ImageWriter(child, parent: parent)
            let left: Range<UInt64> = isWhole ? 0..<0 : (1 << 20) + 65536..<(1 << 20) + 131_072
            try zeroInPieces(writer, but: left)
            try writer.close()
            #expect(entry(1, of: child) & 7 == (isWhole ? 2 : 7))
            let reader = try ImageReader(child, parent: parent)
            for start in stride(from: 1 << 20, to: 2 << 20, by: 65536) as StrideTo<UInt64> {
                let bytes = try reader.bytes(at: start, count: 65536)
                #expect(bytes.consists(of: left.contains(start) ? 5 : 0))
            }
        }
    }
}

/// A writer that a closure can hold.
private final class OpenWriter<File: RandomAccessFile>: Sendable {
    let writer: ImageWriter<File>

    init(_ writer: consuming ImageWriter<File>) {
        self.writer = writer
    }
}

/// A file that does something else before a write.
private final class HookedFile: RandomAccessFile {
    private let file: MemoryFile
    private let hook = Lock<(@Sendable () -> Void)?>(nil)

    init(_ file: MemoryFile) {
        self.file = file
    }

    func beforeNextWrite(_ body: @escaping @Sendable () -> Void) {
        hook.withLock { $0 = body }
    }

    var name: String { file.name }
    func byteCount() throws(FileError) -> UInt64 { try file.byteCount() }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        try file.read(into: &buffer, at: offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        let body = hook.withLock { hook in
            defer { hook = nil }
            return hook
        }
        body?()
        try file.write(bytes, at: offset)
    }

    func deallocate(_ range: Range<UInt64>) throws(FileError) { try file.deallocate(range) }
    func writeZeros(_ range: Range<UInt64>) throws(FileError) { try file.writeZeros(range) }
    func reserve(_ range: Range<UInt64>) throws(FileError) { try file.reserve(range) }
    func setByteCount(_ byteCount: UInt64) throws(FileError) { try file.setByteCount(byteCount) }
    func flush() throws(FileError) { try file.flush() }

    func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        try file.nextData(from: offset, limit: limit)
    }
}
