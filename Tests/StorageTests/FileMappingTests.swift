import Foundation
import TestSupport
import Testing

@testable import Storage

@Suite("Files that are looked at where the kernel keeps them")
struct FileMappingTests {
    private static let page = 65536

    /// A file of so many bytes, each of them the number of its page and one more, that may be cut.
    private struct Numbered {
        let folder: TemporaryFolder
        let path: String

        init(byteCount: Int) throws {
            #expect(MappedReading.allow())
            folder = try TemporaryFolder()
            path = folder.file("file")
            let bytes = (0..<byteCount).map { UInt8($0 / page % 255 + 1) }
            try DiskFile(creating: path).write(bytes.rawSpan, at: 0)
        }

        func open(_ cacheUse: CacheUse = .keep) throws -> DiskFile {
            var file = try DiskFile(opening: path, for: .reading)
            file.cacheUse = cacheUse
            file.mapContentAnywhere()
            return file
        }

        func cut(to byteCount: Int) throws {
            try DiskFile(opening: path, for: .writing).setByteCount(UInt64(byteCount))
        }
    }

    /// Bytes that there are.
    private func piece(
        of disk: borrowing DiskFile, _ range: Range<UInt64>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> MappedBytes {
        let found = disk.mappedBytes(in: range)
        return try #require(found, sourceLocation: sourceLocation)
    }

    /// Which of some ranges there are bytes of.
    private func areMapped(_ disk: borrowing DiskFile, _ ranges: Range<UInt64>...) -> [Bool] {
        var found: [Bool] = []
        for range in ranges { found.append(disk.mappedBytes(in: range) != nil) }
        return found
    }

    private func bytes(_ mapped: MappedBytes) -> [UInt8] {
        let span = mapped.bytes
        return (0..<span.byteCount).map { span.load(UInt8.self, at: $0) }
    }

    @Test("Any range of the file reads as it was written, and as somebody writes it meanwhile")
    func ranges() throws {
        let file = try Numbered(byteCount: 5 * Self.page + 777)
        let disk = try file.open()
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<200 {
            let start = Int.random(in: 0..<5 * Self.page + 777, using: &generator)
            let end = Int.random(in: start + 1...5 * Self.page + 777, using: &generator)
            let mapped = try piece(of: disk, UInt64(start)..<UInt64(end))
            #expect(bytes(mapped) == (start..<end).map { UInt8($0 / Self.page + 1) })
            #expect(mapped.isIntact)
        }
        let mapped = try piece(of: disk, 0..<8)
        let new: [UInt8] = [9, 8, 7]
        try DiskFile(opening: file.path, for: .writing).write(new.rawSpan, at: 2)
        #expect(bytes(mapped) == [1, 1, 9, 8, 7, 1, 1, 1])
    }

    @Test("What the file did not have when it was opened, and nothing, has to be read")
    func beyond() throws {
        let file = try Numbered(byteCount: 3 * Self.page)
        let disk = try file.open()
        let end = UInt64(3 * Self.page)
        try file.cut(to: 4 * Self.page)
        let found = areMapped(
            disk, end - 1..<end, end - 1..<end + 1, end..<end + 1, UInt64.max - 1..<UInt64.max,
            5..<5)
        #expect(found == [true, false, false, false, false])
    }

    @Test("A file that is empty, unasked for, or not to stay in the page cache is read")
    func unmapped() throws {
        let file = try Numbered(byteCount: Self.page)
        let unasked = areMapped(try DiskFile(opening: file.path, for: .reading), 0..<1)
        let dropped = areMapped(try file.open(.drop), 0..<1)
        let empty = areMapped(try Numbered(byteCount: 0).open(), 0..<1, 0..<0)
        #expect(unasked == [false] && dropped == [false] && empty == [false, false])
    }

    @Test("Of a file that was cut the rest reads as zeros, which is said, and nothing more is had")
    func cut() throws {
        let file = try Numbered(byteCount: 8 * Self.page)
        let disk = try file.open()
        let other = try Numbered(byteCount: 8 * Self.page).open()
        let mapped = try piece(of: disk, 5..<UInt64(8 * Self.page))
        try file.cut(to: 3 * Self.page)
        let expected = (5..<8 * Self.page).map { $0 < 3 * Self.page ? $0 / Self.page + 1 : 0 }
        #expect(bytes(mapped) == expected.map { UInt8($0) })
        #expect(!mapped.isIntact)
        var found = areMapped(disk, 0..<1)
        #expect(found == [false])
        let intact = try piece(of: other, 0..<UInt64(8 * Self.page))
        #expect(bytes(intact).last == 8 && intact.isIntact)
        // The file has content again there, which is not what was looked at.
        try file.cut(to: 8 * Self.page)
        found = areMapped(disk, 0..<1)
        #expect(found == [false])
    }

    @Test("A file that was cut within a page, where no signal tells, is not taken for whole")
    func cutWithinPage() throws {
        let file = try Numbered(byteCount: 2 * Self.page)
        let disk = try file.open()
        let end = UInt64(2 * Self.page)
        let mapped = try piece(of: disk, end - 8..<end)
        #expect(bytes(mapped) == [UInt8](repeating: 2, count: 8) && mapped.isIntact)
        try file.cut(to: 2 * Self.page - 4)
        #expect(bytes(mapped) == [2, 2, 2, 2, 0, 0, 0, 0] && !mapped.isIntact)
        try file.cut(to: 2 * Self.page + 4)
        #expect(mapped.isIntact)
    }

    @Test("What is looked at stays when the file is closed")
    func outlived() throws {
        let file = try Numbered(byteCount: Self.page)
        let mapped = try piece(of: try file.open(), 0..<8)
        #expect(bytes(mapped) == [UInt8](repeating: 1, count: 8) && mapped.isIntact)
        try file.cut(to: 0)
        #expect(!mapped.isIntact)
    }

    @Test(
        "Threads that look at a file while it is cut see its bytes, or zeros of which they are told"
    )
    func cutMeanwhile() throws {
        let file = try Numbered(byteCount: 60 * Self.page)
        let seen = Lock<[String]>([])
        for round in 0..<20 {
            let disk = try file.open()
            DispatchQueue.concurrentPerform(iterations: 3) { thread in
                do {
                    if thread == 2 { return try file.cut(to: round * 3 * Self.page) }
                    for index in stride(from: 59 - thread, through: 0, by: -2) {
                        let start = UInt64(index * Self.page)
                        guard let mapped = disk.mappedBytes(in: start..<start + 64) else { break }
                        let found = Set(self.bytes(mapped))
                        let isIntact = mapped.isIntact
                        guard found != [UInt8(index + 1)] else { continue }
                        // It may be cut between two bytes.
                        let isExplained = found.isSubset(of: [0, UInt8(index + 1)])
                        guard !isExplained || isIntact else { continue }
                        seen.withLock { $0.append("\(round), \(index): \(found), \(isIntact)") }
                    }
                } catch {
                    seen.withLock { $0.append("\(error)") }
                }
            }
            try file.cut(to: 0)
            let bytes = (0..<60 * Self.page).map { UInt8($0 / Self.page + 1) }
            try DiskFile(opening: file.path, for: .writing).write(bytes.rawSpan, at: 0)
        }
        #expect(seen.withLock { $0 } == [])
    }

    @Test("There is room for some files, and for others when they are closed")
    func places() throws {
        let file = try Numbered(byteCount: Self.page)
        for _ in 0..<8 {
            let disk = try DiskFile(opening: file.path, for: .reading)
            // Other tests have some at the same time: there is room for 64.
            let mappings = (0..<16).compactMap { _ in
                FileMapping(of: disk.descriptor.rawValue, byteCount: UInt64(Self.page))
            }
            #expect(mappings.count == 16)
            let areRight = mappings.allSatisfy { $0.bytes(in: 7..<8).map { bytes($0) } == [1] }
            #expect(areRight)
        }
    }

    @Test("A buffer shows its own memory, or what it was given, until that ends")
    func buffer() throws {
        let file = try Numbered(byteCount: Self.page)
        let disk = try file.open()
        var buffer = try ReadBuffer(byteCount: 16)
        var own = buffer.mutableBytes
        own.store(UInt8(5), at: 0)
        var found = [(buffer.bytes.byteCount, buffer.bytes.load(UInt8.self, at: 0))]
        buffer.show(try piece(of: disk, 0..<UInt64(Self.page)))
        found.append((buffer.bytes.byteCount, buffer.bytes.load(UInt8.self, at: 0)))
        var areIntact = [buffer.endShowing()]
        found.append((buffer.bytes.byteCount, buffer.bytes.load(UInt8.self, at: 0)))
        buffer.show(try piece(of: disk, 0..<UInt64(Self.page)))
        try file.cut(to: 0)
        found.append((buffer.bytes.byteCount, buffer.bytes.load(UInt8.self, at: 0)))
        areIntact += [buffer.endShowing(), buffer.endShowing()]
        #expect(found.map(\.0) == [16, Self.page, 16, Self.page])
        #expect(found.map(\.1) == [5, 1, 5, 0])
        #expect(areIntact == [true, false, true])
    }

    @Test("What nobody looks at any more is given back")
    func memory() throws {
        let file = try Numbered(byteCount: Self.page)
        let mebibyte = [UInt8](repeating: 5, count: 1 << 20)
        let starts = stride(from: 0, to: 64 << 20 as UInt64, by: 1 << 20)
        for start in starts {
            try DiskFile(opening: file.path, for: .writing).write(mebibyte.rawSpan, at: start)
        }
        let disk = try file.open()
        for start in starts {
            let bytes = try piece(of: disk, start..<start + 1 << 20)
            let span = bytes.bytes
            let found = stride(from: 0, to: 1 << 20, by: 4096).map {
                span.load(UInt8.self, at: $0)
            }
            #expect(found == [UInt8](repeating: 5, count: 256))
        }
        let last = try piece(of: disk, 0..<4096)
        #expect(bytes(last).first == 5)
        // The kernel may have brought in neighbours of what was looked at.
        let resident = try residentByteCount(of: file.path)
        #expect(resident > 0 && resident <= 16 << 20)
        withExtendedLifetime(last) {}
    }

    /// How much of a file is in this process's memory.
    private func residentByteCount(of path: String) throws -> Int {
        let file = try #require(FileHandle(forReadingAtPath: "/proc/self/smaps"))
        let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
        var isOfFile = false
        var sum = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first?.hasSuffix(":") == false { isOfFile = line.hasSuffix(path) }
            if isOfFile, words.first == "Rss:" { sum += (Int(words[1]) ?? 0) << 10 }
        }
        return sum
    }
}
