import TestSupport
import Foundation
import Glibc
import Testing

/// The program on a pair of disks, so slow that a test can act while it runs.
enum SlowRun {
    /// Makes each read take long. The tracer stays behind, so that signals reach the program.
    static let launcher = [
        "strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64", "-e",
        "inject=pread64:delay_enter=200000",
    ]

    /// Starts it, and returns when it has begun to write to the replica: that gives the replica its
    /// next header. Most of its work is still to be done then.
    static func untilItWrites(
        _ pair: DiskPair, _ options: [String] = []
    ) throws -> Program.Running {
        let before = try ImageHeaders(pair.replica)
        return try start(pair, options) { try ImageHeaders(pair.replica) != before }
    }

    /// Starts it, and returns when it has begun to record what differs.
    static func untilItRecords(
        _ pair: DiskPair, _ options: [String] = []
    ) throws -> Program.Running {
        try start(pair, options) { FileManager.default.fileExists(atPath: pair.journal) }
    }

    /// Starts it, and returns when the replica bears its mark.
    static func untilItIsMarked(
        _ pair: DiskPair, _ options: [String] = []
    ) throws -> Program.Running {
        try start(pair, options) { try ImageHeaders(pair.replica).hasMark }
    }

    private static func start(
        _ pair: DiskPair, _ options: [String], until condition: () throws -> Bool
    ) throws -> Program.Running {
        let running = try Program.Running(
            [pair.primary, pair.replica] + options, launcher: launcher)
        for _ in 0..<60_000 {
            if try condition() { return running }
            usleep(1000)
        }
        running.send(SIGKILL)
        try #require(Bool(false), "the program did not come so far")
        return running
    }

    private struct ImageHeaders {
        var bytes: Data?
        var metadata: Data?

        init(_ path: String) throws {
            let file = try #require(FileHandle(forReadingAtPath: path))
            try file.seek(toOffset: 65536)
            bytes = try file.read(upToCount: 131_072)
            // The table of the metadata region of an image that was made here.
            try file.seek(toOffset: 2 << 20)
            metadata = try file.read(upToCount: 65536)
        }

        /// Whether an item is there with the ID of a mark.
        var hasMark: Bool {
            let itemID: [UInt8] = [
                0xB1, 0xE8, 0x6B, 0x3A, 0x02, 0x70, 0x7B, 0x48, 0x97, 0xC8, 0xA9, 0x2F, 0x20, 0x5C,
                0x5D, 0x24,
            ]
            return metadata?.range(of: Data(itemID)) != nil
        }

        static func != (first: ImageHeaders, second: ImageHeaders) -> Bool {
            first.bytes != second.bytes
        }
    }
}
