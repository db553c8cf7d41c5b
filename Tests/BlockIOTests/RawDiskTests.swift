import BlockIO
import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@Suite("RawDisk")
struct RawDiskTests {
    @Test("Holes are zeros, short ones are data, and the extents cover the range")
    func extents() throws {
        let file = MemoryFile()
        let size: UInt64 = 1 << 40
        try file.setByteCount(size)
        let page = [UInt8](repeating: 1, count: 4096)
        for position in [1 << 20, (1 << 20) + 8192, 1 << 30] as [UInt64] {
            try file.write(page.rawSpan, at: position)
        }
        let disk = try RawDisk(file)
        #expect(disk.virtualSize == size)
        #expect(
            try disk.extents(in: 4096..<size) == [
                Extent(range: 4096..<1 << 20, state: .zero),
                Extent(range: 1 << 20..<size, state: .data),
            ])
        #expect(
            try disk.extents(in: (1 << 20) + 12288..<size) == [
                Extent(range: (1 << 20) + 12288..<1 << 30, state: .zero),
                Extent(range: 1 << 30..<(1 << 30) + 4096, state: .data),
                Extent(range: (1 << 30) + 4096..<size, state: .zero),
            ])
        #expect(try disk.extents(in: 5..<5).isEmpty)
    }

    @Test("A disk that was not written to is not flushed; one that was is, once")
    func flushes() throws {
        let file = MemoryFile()
        try file.setByteCount(1 << 20)
        try RawDisk(file).close()
        #expect(file.counts.flushes == 0)
        let disk = try RawDisk(file)
        try disk.writeZeros(0..<4096)
        try disk.commitIfBatchIsFull()
        #expect(file.counts.flushes == 0)
        try disk.commit()
        try disk.close()
        #expect(file.counts.flushes == 1)
    }

    @Test("A file is opened with a lock, and a change of it is found")
    func opening() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("disk.raw")
        try DiskFile(creating: path).setByteCount(1 << 20)
        let source = SourceDisk.raw(try RawDisk(openingDiskAt: path, for: .reading))
        #expect(source.virtualSize == 1 << 20)
        #expect(source.virtualDiskID == .zero && source.dataWriteGUID == .zero)
        #expect(throws: VHDXError.file(.locked(path: path))) {
            try RawDisk(openingDiskAt: path, for: .writing).close()
        }
        #expect(try source.isUnchanged())
        source.dropCache()
        try DiskFile(opening: path, for: .writing).setByteCount(2 << 20)
        #expect(try !source.isUnchanged())
        #expect(source.fingerprints.map(\.byteCount) == [1 << 20])
        let missing = folder.file("missing")
        #expect(
            throws: VHDXError.file(.system(.open, path: missing, at: nil, errno: ENOENT))
        ) {
            try RawDisk(openingDiskAt: missing, for: .reading).close()
        }
    }
}
