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

    @Test("After a flush failed, no later one makes up for it")
    func failedFlushIsFinal() throws {
        let memory = MemoryFile()
        try memory.setByteCount(1 << 20)
        let plan = FailingFile.Plan(failing: 0, of: [.flush], errno: EIO)
        let disk = try RawDisk(FailingFile(memory, plan: plan))
        try disk.write(([1] as [UInt8]).rawSpan, at: 7)
        let error = VHDXError.file(.system(.flush, path: memory.name, at: nil, errno: EIO))
        for _ in 0..<2 {
            #expect(throws: error) { try disk.commit() }
        }
        var closing: VHDXError?
        do throws(VHDXError) { try disk.close() } catch { closing = error }
        #expect(closing == error)
        #expect(memory.counts.flushes == 0)
    }

    @Test("A gibibyte of writes is committed by itself")
    func batch() throws {
        let file = MemoryFile()
        try file.setByteCount(2 << 30)
        let disk = try RawDisk(file)
        try disk.writeZeros(0..<1 << 29)
        try disk.commitIfBatchIsFull()
        #expect(file.counts.flushes == 0)
        try disk.writeZeros(1 << 29..<1 << 30)
        try disk.commitIfBatchIsFull()
        try disk.commitIfBatchIsFull()
        #expect(file.counts.flushes == 1)
        disk.abandon()
        #expect(file.counts.flushes == 1)
    }

    private static let refusal = LoopMount.refusal(.ext4)

    @Test(
        "A full file system is an error with its place, and what is there stays",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func noSpace() throws {
        let volume = try LoopMount(.ext4, byteCount: 16 << 20)
        let path = volume.file("disk.raw")
        try DiskFile(creating: path).setByteCount(64 << 20)
        let piece = [UInt8](repeating: 7, count: 1 << 20)
        do {
            let disk = try RawDisk(openingDiskAt: path, for: .writing)
            try disk.write(piece.rawSpan, at: 0)
            let error = #expect(throws: VHDXError.self) {
                for start in 1..<64 as Range<UInt64> {
                    try disk.write(piece.rawSpan, at: start << 20)
                }
            }
            guard case .file(.system(.write, path: path, at: _?, errno: ENOSPC)) = error else {
                Issue.record("wrong error: \(String(describing: error))")
                return
            }
            // Space that is given back can be written to again.
            try disk.writeZeros(1 << 20..<64 << 20)
            try disk.write(piece.rawSpan, at: 63 << 20)
            try disk.close()
        }
        let file = try DiskFile(opening: path, for: .reading)
        #expect(try file.bytes(at: 0, count: 1 << 20) == piece)
        #expect(try file.bytes(at: 63 << 20, count: 1 << 20) == piece)
        #expect(try file.allocatedByteCount() < 4 << 20)
    }

    @Test(
        "What was committed stands there after a power cut",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func powerCut() throws {
        var volume = try LoopMount(.ext4, byteCount: 16 << 20)
        let path = volume.file("disk.raw")
        do {
            let file = try DiskFile(creating: path)
            try file.write([UInt8](repeating: 1, count: 1 << 20).rawSpan, at: 0)
            try file.flushCompletely()
            try Folder.flush(volume.path)
        }
        do {
            let disk = try RawDisk(openingDiskAt: path, for: .writing)
            try disk.write([UInt8](repeating: 2, count: 65536).rawSpan, at: 0)
            try disk.writeZeros(65536..<131_072)
            try disk.commit()
            try volume.cutOff()
            // The kernel may keep what is written now in memory; it must not say that it is safe.
            #expect(throws: VHDXError.self) {
                try disk.write([UInt8](repeating: 3, count: 65536).rawSpan, at: 131_072)
                try disk.commit()
            }
        }
        try volume.remount()
        let file = try DiskFile(opening: path, for: .reading)
        #expect(try file.bytes(at: 65535, count: 2) == [2, 0])
        #expect(try file.bytes(at: 131_071, count: 2) == [0, 1])
        #expect(try file.nextData(from: 65536, limit: 131_072) == nil)
    }
}
