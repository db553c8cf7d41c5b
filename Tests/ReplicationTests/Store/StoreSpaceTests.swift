import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@testable import Replication

/// A file system that is full, and one that nobody may write to.
@Suite("Stores without space, and without access", .serialized)
struct StoreSpaceTests {
    private static let refusal: String? =
        getuid() == 0 ? nil : "only root may mount a file system of some MiB"

    /// A small file system in memory.
    private final class Mount {
        let folder: TemporaryFolder
        var path: String { folder.file("mounted") }
        var filler: String { path + "/filler" }

        init(mebibytes: Int) throws {
            folder = try TemporaryFolder()
            let path = folder.file("mounted")
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
            let options = ["-t", "tmpfs", "-o", "size=\(mebibytes)m", "tmpfs", path]
            try ExternalProgram.run("mount", options).requireSuccess()
        }

        deinit {
            _ = try? ExternalProgram.run("umount", ["-l", path])
        }

        func remount(_ option: String) throws {
            try ExternalProgram.run("mount", ["-o", "remount,\(option)", path]).requireSuccess()
        }

        /// Fills the file system but for so many bytes.
        func fill(leaving byteCount: UInt64 = 0) throws {
            let file = try DiskFile(creatingOrOpening: filler)
            let free = try Volume.freeByteCount(at: path)
            guard free > byteCount else { return }
            let start = try file.byteCount()
            try file.reserve(start..<start + free - byteCount)
        }

        func empty() throws {
            // A child of this process that is about to start has everything open.
            try DiskFile(opening: filler, for: .writing).setByteCount(0)
            try DiskFile.remove(filler)
        }
    }

    private func accept(_ store: StateStore, _ id: ReplicationRelationshipID) throws(StoreError)
        -> StoredJob
    {
        let job = StoreTrial.job(id, .changingReplicationState)
        try store.accept(job, disks: StoreTrial.disks(of: job))
        return job
    }

    @Test(
        "A full file system is an error with its code, and nothing that was accepted is lost",
        .enabled(if: refusal == nil, "\(refusal ?? "")"),
        arguments: [0, 4096, 20_000] as [UInt64])
    func full(_ left: UInt64) throws {
        let mount = try Mount(mebibytes: 2)
        let folder = mount.path + "/state"
        let id = StoreTrial.id()
        var accepted: [String] = []
        do {
            let store = try StateStore(opening: folder)
            try store.write { (content) throws(StoreError) in
                try content.put(StoreTrial.relationship(id))
            }
            for _ in 0..<3 {
                accepted.append(try accept(store, id).instanceID)
                try mount.fill(leaving: left)
                var failure: StoreError?
                while failure == nil {
                    do throws(StoreError) {
                        accepted.append(try accept(store, id).instanceID)
                    } catch {
                        failure = error
                    }
                }
                guard case .database(_, .full) = failure else { throw failure ?? .unknownJob("") }
                #expect(failure.map(ReturnCode.init) == .failed)
                #expect("\(failure, default: "")".contains("its file system is full"))
                #expect(try store.jobs().map(\.instanceID) == accepted)
                try mount.empty()
                accepted.append(try accept(store, id).instanceID)
                #expect(try store.jobs().map(\.instanceID) == accepted)
            }
            try mount.fill(leaving: left)
        }
        // What stands in the log stays there if it cannot be moved.
        try mount.empty()
        let store = try StateStore(opening: folder)
        #expect(try store.jobs().map(\.instanceID) == accepted)
        for job in try store.jobs() { #expect(try store.disks(of: job).count == 2) }
    }

    @Test(
        "No store is made on a full file system, and none is half made",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func fullFromTheStart() throws {
        let mount = try Mount(mebibytes: 2)
        for left in stride(from: UInt64(4096), to: 131072, by: 4096) {
            let folder = mount.path + "/state\(left)"
            try mount.fill(leaving: left)
            do throws(StoreError) {
                _ = try StateStore(opening: folder)
            } catch {
                #expect(ReturnCode(error) == .failed, "\(error)")
            }
            try mount.empty()
            #expect(try StateStore(opening: folder).jobs().isEmpty)
            try FileManager.default.removeItem(atPath: folder)
        }
    }

    @Test(
        "A file system that is read-only is an error with its code, and what is there stays",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func readOnly() throws {
        let mount = try Mount(mebibytes: 4)
        let folder = mount.path + "/state"
        let id = StoreTrial.id()
        let job: StoredJob
        do {
            let store = try StateStore(opening: folder)
            try store.write { (content) throws(StoreError) in
                try content.put(StoreTrial.relationship(id))
            }
            job = try accept(store, id)
        }
        try mount.remount("ro")
        for path in [folder, mount.path + "/new"] {
            let error = #expect(throws: StoreError.self) { try StateStore(opening: path) }
            #expect(error.map(ReturnCode.init) == .accessDenied, "\(String(describing: error))")
            #expect("\(error, default: "")".contains(path))
            #expect("\(error, default: "")".contains("Read-only file system"))
        }
        try mount.remount("rw")
        #expect(try StateStore(opening: folder).jobs() == [job])
    }
}
