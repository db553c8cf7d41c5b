import Storage
import TestSupport
import Testing

@Suite("What a file leaves in the page cache")
struct CacheFootprintTests {
    private static let mebibyte = 1 << 20
    /// What the kernel may keep: a page that it was just about to look at, and what it reads ahead.
    private static let slack = 256 << 10

    /// A file with two runs of data, the second of which lies beyond 4 GiB.
    private struct SparseFile {
        let folder: TemporaryFolder
        let path: String
        static let runs: [Range<UInt64>] = [0..<24 << 20, 5 << 30..<(5 << 30) + 40 << 20]
        static let byteCount = 64 << 20

        init() throws {
            folder = try TemporaryFolder()
            path = folder.file("disk")
            let file = try DiskFile(creating: path)
            let bytes = [UInt8](repeating: 7, count: 1 << 20)
            for run in Self.runs {
                for offset in stride(from: run.lowerBound, to: run.upperBound, by: 1 << 20) {
                    try file.write(bytes.rawSpan, at: offset)
                }
            }
            try file.flush()
            try PageCache.drop(path)
        }

        func open(_ cacheUse: CacheUse, for access: DiskFile.Access = .reading) throws -> DiskFile {
            var file = try DiskFile(opening: path, for: access)
            file.cacheUse = cacheUse
            return file
        }

        var residentByteCount: Int { get throws { try PageCache.residentByteCount(of: path) } }
    }

    /// Reads all data in pieces of 1 MiB.
    private func readAll(_ file: borrowing DiskFile) throws {
        for run in SparseFile.runs {
            for offset in stride(from: run.lowerBound, to: run.upperBound, by: 1 << 20) {
                #expect(try file.bytes(at: offset, count: 1 << 20).allSatisfy { $0 == 7 })
            }
        }
    }

    @Test(
        "What was read stays, or is given back at the end",
        .enabled(if: PageCache.refusal == nil, "\(PageCache.refusal ?? "")"))
    func reads() throws {
        let disk = try SparseFile()
        #expect(try disk.residentByteCount == 0)
        try readAll(try disk.open(.keep))
        #expect(try disk.residentByteCount >= SparseFile.byteCount)
        try PageCache.drop(disk.path)
        try readAll(try disk.open(.drop))
        #expect(try disk.residentByteCount <= Self.slack)
    }

    @Test(
        "What was there before stays",
        .enabled(if: PageCache.refusal == nil, "\(PageCache.refusal ?? "")"))
    func keepsWhatWasThere() throws {
        let disk = try SparseFile()
        let parts = [3 << 20..<9 << 20, (5 << 30) + 12288..<(5 << 30) + 18 << 20]
        for part in parts { try PageCache.read(part, of: disk.path) }
        let before = try disk.residentByteCount
        #expect(before + Self.slack >= parts.reduce(0) { $0 + $1.count })
        try readAll(try disk.open(.drop))
        let after = try disk.residentByteCount
        #expect(after >= before && after <= before + Self.slack)
    }

    @Test(
        "Long before the end it is given back",
        .enabled(if: PageCache.refusal == nil, "\(PageCache.refusal ?? "")"))
    func givesBackMeanwhile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk")
        let size = 400 * Self.mebibyte
        let file = try DiskFile(creating: path)
        try file.reserve(0..<UInt64(size))
        try file.overwrite(size)
        try PageCache.drop(path)
        var reader = try DiskFile(opening: path, for: .reading)
        reader.cacheUse = .drop
        var most = 0
        for offset in stride(from: 0, to: size, by: Self.mebibyte) {
            _ = try reader.bytes(at: UInt64(offset), count: Self.mebibyte)
            if offset.isMultiple(of: 50 * Self.mebibyte) {
                most = max(most, try PageCache.residentByteCount(of: path))
            }
        }
        #expect(most > 0 && most <= 200 * Self.mebibyte)
    }

    @Test(
        "What was written is given back once it is flushed",
        .enabled(if: PageCache.refusal == nil, "\(PageCache.refusal ?? "")"))
    func writes() throws {
        let disk = try SparseFile()
        let bytes = [UInt8](repeating: 9, count: Self.mebibyte)
        let start: UInt64 = (5 << 30) - 64 << 20
        for cacheUse in CacheUse.allCases {
            let file = try disk.open(cacheUse, for: .writing)
            for index in 0..<64 as Range<UInt64> {
                try file.write(bytes.rawSpan, at: start + index << 20)
            }
            try file.flush()
            let resident = try disk.residentByteCount
            #expect(cacheUse == .drop ? resident <= Self.slack : resident >= 64 << 20)
            #expect(try file.bytes(at: start + 63 << 20, count: 1 << 20) == bytes)
            try PageCache.drop(disk.path)
        }
    }

    @Test("A choice that is made again changes nothing, and one can go back")
    func choices() throws {
        let directory = try TemporaryDirectory()
        var file = try DiskFile(creating: directory.path(of: "disk"))
        #expect(file.cacheUse == .keep)
        for cacheUse in [CacheUse.drop, .drop, .keep, .keep] {
            file.cacheUse = cacheUse
            #expect(file.cacheUse == cacheUse)
            try file.write([1, 2, 3].rawSpan, at: 0)
            #expect(try file.bytes(at: 0, count: 3) == [1, 2, 3])
        }
        #expect(throws: FileError.unexpectedEnd(path: file.name, at: 3)) {
            try file.bytes(at: 3, count: 1)
        }
        file.cacheUse = .drop
        #expect(throws: FileError.self) { try file.bytes(at: .max - 1, count: 2) }
    }
}

extension DiskFile {
    /// Writes so many bytes from the start.
    fileprivate borrowing func overwrite(_ byteCount: Int) throws {
        let bytes = [UInt8](repeating: 5, count: 1 << 20)
        for offset in stride(from: 0, to: byteCount, by: 1 << 20) {
            try write(bytes.rawSpan, at: UInt64(offset))
        }
        try flush()
    }
}
