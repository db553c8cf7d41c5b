internal import Foundation

/// Cuts the power of a mounted file system at the moment that it is told to: what
/// ``LoopMount/cutOff()`` does, by a process that waits for it.
package final class PowerSwitch {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH, once for each line.
    private static let script = """
        import fcntl, os, struct, sys
        print("ready", flush=True)
        for line in sys.stdin:
            folder = os.open(sys.argv[1], os.O_RDONLY)
            fcntl.ioctl(folder, 0x8004587d, struct.pack("I", 2))
            os.close(folder)
            print("cut", flush=True)
        """

    /// Waits until the switch is ready. The folder is that of the mount.
    package init(for folder: String) throws {
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-c", Self.script, folder]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try expect("ready\n")
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        // Foundation keeps it.
        try? output.fileHandleForReading.close()
    }

    /// Returns when the file system has stopped.
    package func cut() throws {
        try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        try expect("cut\n")
    }

    private func expect(_ answer: String) throws {
        var bytes = Data()
        while bytes.last != UInt8(ascii: "\n") {
            guard let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty
            else { break }
            bytes += byte
        }
        let found = String(decoding: bytes, as: UTF8.self)
        guard found == answer else {
            throw ProgramFailure.notStarted(
                command: "the switch of a file system", reason: "it says \"\(found)\"")
        }
    }
}
