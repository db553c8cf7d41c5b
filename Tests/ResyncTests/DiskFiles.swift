import Foundation
import Storage
import TestSupport
import VHDX

@testable import Resync

/// Disks as files of a temporary directory.
struct DiskFiles {
    let directory: TemporaryDirectory
    var primary: String { directory.path("primary.vhdx") }
    var replica: String { directory.path("replica.vhdx") }

    /// An empty directory.
    init() throws {
        directory = try TemporaryDirectory()
    }

    /// A primary and a replica.
    init(_ pair: DiskPair, using generator: inout SeededGenerator) throws {
        try self.init()
        let (primary, replica) = pair.images(using: &generator)
        try write(primary.content, to: self.primary)
        try write(replica.content, to: self.replica)
    }

    /// Writes a file, sparse as in memory, that was last changed long ago.
    func write(_ content: SparseBytes, to path: String) throws {
        let file = try DiskFile(creating: path)
        try file.setByteCount(content.byteCount)
        var failure: (any Error)?
        content.forEachPage(in: 0..<content.byteCount) { offset, page in
            do {
                try file.write(page.rawSpan, at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        try setChanged(path)
    }

    /// Sets the time of the last change to a moment that no test runs in, always the same.
    func setChanged(_ path: String) throws {
        let moment = Date(timeIntervalSince1970: 1_000_000_000)
        try FileManager.default.setAttributes([.modificationDate: moment], ofItemAtPath: path)
    }

    /// Changes bytes of a file behind the back of whoever has it open.
    func overwrite(_ path: String, with bytes: [UInt8], at offset: UInt64) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }

    /// All bytes of a file.
    func bytes(of path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path))
    }

    /// All bytes of both disks.
    var bothFiles: [Data] {
        get throws { [try bytes(of: primary), try bytes(of: replica)] }
    }

    /// What a disk reads as.
    func content(of path: String) throws -> DiskContent {
        try ResyncTests.content(of: ImageReader(openingImageAt: path))
    }

    func info(of path: String) throws -> ImageInfo {
        try ImageReader(openingImageAt: path).info
    }

    func link(_ path: String, to existing: String, isSymbolic: Bool) throws {
        if isSymbolic {
            try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: existing)
        } else {
            try FileManager.default.linkItem(atPath: existing, toPath: path)
        }
    }
}

/// What a call throws, where that is an error of this module.
func resyncError(_ body: () throws -> Void) -> ResyncError? {
    do {
        try body()
        return nil
    } catch {
        return error as? ResyncError
    }
}

extension FaultScenario {
    /// The replica as a power cut leaves it when its log is not yet replayed, and what it reads as.
    func interrupted() throws -> SparseBytes? {
        let file = PowerCutFile(content: replica)
        _ = try run()(primary, to: file)
        var found: SparseBytes?
        try file.forEachCrashState(seed: 1, limit: 8) { state in
            // After the flush of the entry, before its pages are in place.
            guard found == nil, state.flushCount == 7 else { return }
            let reader = try ImageReader(state.file)
            let isNew = reader.info.logIsDirty && reader.info.blockStates.fullyPresent > 4
            if isNew { found = state.file.content }
        }
        return found
    }
}
