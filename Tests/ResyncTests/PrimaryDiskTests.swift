import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A primary that changes while it is read")
struct PrimaryDiskTests {
    private func files() throws -> DiskFiles {
        var generator = SeededGenerator(seed: 300)
        let shape = DiskShape(virtualSize: 2 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<4096, using: &generator)
        return try DiskFiles(pair, using: &generator)
    }

    /// What the check says after the body did something to the open file.
    private func check(_ files: DiskFiles, after change: () throws -> Void) throws -> ResyncError? {
        let disk = try PrimaryDisk(
            openingDiskAt: files.primary, .primary, ResyncOptions(workerCount: 1))
        try change()
        do {
            try disk.checkUnchanged()
            return nil
        } catch {
            return error
        }
    }

    @Test("A file that is left alone, or only read, is unchanged")
    func unchanged() throws {
        let files = try files()
        let error = try check(files) {
            _ = try files.bytes(of: files.primary)
            _ = try files.content(of: files.primary)
        }
        #expect(error == nil)
    }

    @Test("One byte written behind its back is found")
    func oneByte() throws {
        let files = try files()
        let error = try check(files) {
            try files.overwrite(files.primary, with: [1], at: 5 << 20)
        }
        #expect(error == .primaryChanged(path: files.primary))
    }

    @Test("A new size is found, whatever the time of the last change says")
    func newSize() throws {
        let files = try files()
        let error = try check(files) {
            let size = try files.info(of: files.primary).fileSize
            try files.overwrite(files.primary, with: [0], at: size)
            try files.setChanged(files.primary)
        }
        #expect(error == .primaryChanged(path: files.primary))
    }

    @Test("A new header is found, whatever the time of the last change says", arguments: [0, 1])
    func newHeader(_ slot: Int) throws {
        let files = try files()
        let place = UInt64(slot + 1) << 16
        let other = MemoryFile()
        other.put([UInt8](try files.bytes(of: files.primary)), at: 0)
        other.patchHeaders(UInt64(100), at: 8, slots: [slot])
        let header = other.peek(at: place, count: 4096)
        let error = try check(files) {
            try files.overwrite(files.primary, with: header, at: place)
            try files.setChanged(files.primary)
        }
        #expect(error == .primaryChanged(path: files.primary))
    }

    @Test("A file that lost its headers is an error of the primary")
    func damagedHeaders() throws {
        let files = try files()
        let error = try check(files) {
            let nothing = [UInt8](repeating: 0, count: 4096)
            try files.overwrite(files.primary, with: nothing, at: 64 << 10)
            try files.overwrite(files.primary, with: nothing, at: 128 << 10)
            try files.setChanged(files.primary)
        }
        guard case .disk(.primary, .noValidCopy(.header, _)) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("Who is open for reading keeps writers away")
    func locks() throws {
        let files = try files()
        let error = try check(files) {
            #expect(throws: VHDXError.file(.locked(path: files.primary))) {
                let writer = try ImageWriter(openingImageAt: files.primary)
                try writer.close()
            }
        }
        #expect(error == nil)
    }
}
