internal import Foundation

/// A file system of its own in a sparse file, mounted in a temporary folder, for root. It is
/// unmounted when its owner ends.
package struct LoopMount: ~Copyable {
    package enum FileSystem: String, Sendable {
        case ext4
        /// Files can share content here. At least 300 MiB.
        case xfs
    }

    /// The folder in which the file system is mounted.
    package let path: String
    private let folder: TemporaryFolder
    private var isMounted: Bool

    private static let ext4Refusal = refusalOfMounting(.ext4)
    private static let xfsRefusal = refusalOfMounting(.xfs)

    /// Why none can be mounted here; nil where it can.
    package static func refusal(_ fileSystem: FileSystem) -> String? {
        switch fileSystem {
        case .ext4: ext4Refusal
        case .xfs: xfsRefusal
        }
    }

    private static func refusalOfMounting(_ fileSystem: FileSystem) -> String? {
        do {
            var mount = try LoopMount(fileSystem)
            try mount.unmount()
            return nil
        } catch {
            return "no \(fileSystem.rawValue) can be mounted here: \(error)"
        }
    }

    /// Makes a file system and mounts it.
    package init(_ fileSystem: FileSystem, byteCount: UInt64 = 320 << 20) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("mounted")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
        let image = folder.file("image")
        try ExternalProgram.run("truncate", ["-s", "\(byteCount)", image]).requireSuccess()
        try ExternalProgram.run("mkfs.\(fileSystem.rawValue)", ["-q", image]).requireSuccess()
        try Self.mount(image, at: path)
        self.folder = folder
        self.path = path
        isMounted = true
    }

    deinit {
        guard isMounted else { return }
        let outcome = try? ExternalProgram.run("umount", [path])
        // Somebody still has a file open: it goes when they close it.
        if outcome?.isSuccess != true { _ = try? ExternalProgram.run("umount", ["-l", path]) }
    }

    /// The path of a file with this name on the file system, whether it exists or not.
    package func file(_ name: String) -> String { path + "/" + name }

    private static func mount(_ image: String, at path: String) throws {
        try ExternalProgram.run("mount", ["-o", "loop", image, path]).requireSuccess()
    }

    /// Unmounts. Nobody may have a file open there, but for a child of this process that is about to
    /// start: it has everything open that this process has, until it runs its program.
    package mutating func unmount() throws {
        try retry { try ExternalProgram.run("umount", [path]) }
        isMounted = false
        // Who has mounts of its own, as a test of a full file system, has a copy of this one until it ends,
        // and what is mounted meanwhile is the same file system as before.
        try retry {
            let image = folder.file("image")
            return try ExternalProgram.run("sh", ["-c", "! losetup -j \(image) | grep ."])
        }
    }

    /// Runs something until it succeeds, ten seconds long.
    private func retry(_ run: () throws -> ProgramOutcome) throws {
        for _ in 0..<500 {
            if try run().isSuccess { return }
            usleep(20_000)
        }
        try run().requireSuccess()
    }

    /// Stops the file system as a power cut would: what is not on its device by now is lost, and
    /// every call from here on fails, until ``remount()``.
    package func cutOff() throws {
        // FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH.
        let script = """
            import fcntl, os, struct, sys
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))
            """
        try ExternalProgram.run("python3", ["-c", script, path]).requireSuccess()
    }

    /// Unmounts and mounts again: the file system recovers from its own log. Nobody may have a file
    /// open there.
    package mutating func remount() throws {
        if isMounted { try unmount() }
        try Self.mount(folder.file("image"), at: path)
        isMounted = true
    }
}
