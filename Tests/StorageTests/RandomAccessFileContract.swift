import Storage
import Testing

/// What every `RandomAccessFile` promises, so that tests in memory say something about real files.
enum RandomAccessFileContract {
    /// Tries everything on an empty file.
    static func check(_ file: borrowing some RandomAccessFile & ~Copyable) throws {
        try checkGrowth(file)
        try checkEnd(file)
        try checkZeroing(file)
        try checkResizing(file)
        try checkSparseness(file)
    }

    private static func checkGrowth(_ file: borrowing some RandomAccessFile & ~Copyable) throws {
        #expect(try file.byteCount() == 0)
        let nothing: [UInt8] = []
        try file.write(nothing.rawSpan, at: 100)
        #expect(try file.byteCount() == 0, "an empty write does not grow the file")
        try file.write(([1, 2, 3] as [UInt8]).rawSpan, at: 4095)
        #expect(try file.byteCount() == 4098)
        #expect(try file.bytes(at: 4094, count: 4) == [0, 1, 2, 3], "a gap reads as zeros")
        try file.write(([9] as [UInt8]).rawSpan, at: 4096)
        #expect(try file.bytes(at: 4095, count: 3) == [1, 9, 3])
        #expect(try file.byteCount() == 4098, "a write inside does not change the size")
        let long = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        try file.write(long.rawSpan, at: 10_001)
        #expect(try file.bytes(at: 10_001, count: 20_000) == long)
        #expect(try file.bytes(at: 9_000, count: 1_001).allSatisfy { $0 == 0 })
        try file.flush()
    }

    private static func checkEnd(_ file: borrowing some RandomAccessFile & ~Copyable) throws {
        try file.setByteCount(5_000)
        #expect(try file.bytes(at: 5_000, count: 0).isEmpty)
        #expect(try file.bytes(at: 9_999, count: 0).isEmpty, "no bytes are anywhere")
        #expect(throws: FileError.unexpectedEnd(path: file.name, at: 5_000)) {
            _ = try file.bytes(at: 4_999, count: 2)
        }
        #expect(throws: FileError.unexpectedEnd(path: file.name, at: 5_000)) {
            _ = try file.bytes(at: 0, count: 5_001)
        }
        #expect(throws: FileError.unexpectedEnd(path: file.name, at: 6_000)) {
            _ = try file.bytes(at: 6_000, count: 1)
        }
    }

    private static func checkZeroing(_ file: borrowing some RandomAccessFile & ~Copyable) throws {
        let ones = [UInt8](repeating: 1, count: 65_536)
        for range in [100..<200, 4_096..<8_192, 4_000..<12_300, 65_000..<70_000, 0..<65_536]
            as [Range<UInt64>]
        {
            for isReserved in [false, true] {
                try file.setByteCount(0)
                try file.write(ones.rawSpan, at: 0)
                isReserved ? try file.writeZeros(range) : try file.deallocate(range)
                #expect(try file.byteCount() == 65_536, "the size stays: \(range)")
                let bytes = try file.bytes(at: 0, count: 65_536)
                let wrong = bytes.indices.first { index in
                    bytes[index] != (range.contains(UInt64(index)) ? 0 : 1)
                }
                #expect(wrong == nil, "\(range)")
            }
        }
        try file.deallocate(50..<50)
        try file.writeZeros(50..<50)
        try file.reserve(1 << 40..<1 << 40)
        #expect(try file.byteCount() == 65_536, "empty ranges change nothing")
    }

    private static func checkResizing(_ file: borrowing some RandomAccessFile & ~Copyable) throws {
        try file.setByteCount(0)
        try file.write([UInt8](repeating: 1, count: 10_000).rawSpan, at: 0)
        try file.setByteCount(5_000)
        try file.setByteCount(10_000)
        let zeros = [UInt8](repeating: 0, count: 5_000)
        #expect(try file.bytes(at: 4_999, count: 5_001) == [1] + zeros)
        try file.reserve(2_000..<20_000)
        #expect(try file.byteCount() == 20_000, "a reservation grows the file")
        #expect(try file.bytes(at: 4_998, count: 4) == [1, 1, 0, 0], "and changes nothing in it")
        try file.reserve(0..<100)
        #expect(try file.byteCount() == 20_000, "and never shrinks it")
        let tooLarge = UInt64(Int64.max) + 1
        let error = #expect(throws: FileError.self) { try file.setByteCount(tooLarge) }
        #expect(error?.operation == .resize)
        #expect(throws: FileError.self) { try file.reserve(.max - 1 ..< .max) }
        #expect(throws: FileError.self) { try file.write(([1] as [UInt8]).rawSpan, at: .max) }
        #expect(try file.byteCount() == 20_000)
    }

    private static func checkSparseness(
        _ file: borrowing some RandomAccessFile & ~Copyable
    ) throws {
        try file.setByteCount(0)
        let size: UInt64 = 5 << 32
        try file.setByteCount(size)
        #expect(try file.nextData(from: 0, limit: size) == nil)
        let block = [UInt8](repeating: 3, count: 65_536)
        try file.write(block.rawSpan, at: 1 << 33)
        #expect(try file.bytes(at: (1 << 33) - 1, count: 2) == [0, 3])
        #expect(try file.bytes(at: 1 << 32, count: 1) == [0], "offsets keep all their bits")
        #expect(try file.bytes(at: 0, count: 1) == [0])
        let data = try #require(try file.nextData(from: 5, limit: size))
        #expect(data.contains(1 << 33) && data.contains((1 << 33) + 65_535))
        #expect(data.lowerBound > 0 && data.upperBound < size)
        #expect(try file.nextData(from: 0, limit: 1 << 33) == nil, "the limit counts")
        #expect(try file.nextData(from: 0, limit: (1 << 33) + 1) == 1 << 33..<(1 << 33) + 1)
        #expect(try file.nextData(from: (1 << 33) + 7, limit: size)?.lowerBound == (1 << 33) + 7)
        #expect(try file.nextData(from: size, limit: .max) == nil)
        #expect(try file.nextData(from: size + 1, limit: .max) == nil)
        try file.setByteCount(0)
        #expect(try file.nextData(from: 0, limit: size) == nil)
    }
}

extension FileError {
    /// What failed, where the system gave the reason.
    var operation: FileOperation? {
        if case .system(let operation, path: _, at: _, errno: _) = self { operation } else { nil }
    }
}
