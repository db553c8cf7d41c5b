internal import Foundation

/// What the kernel keeps of files in memory.
package enum PageCache {
    /// Bytes of a file that are there.
    package static func residentByteCount(of path: String) throws -> Int {
        let outcome = try ExternalProgram.run("fincore", ["-n", "-b", "-o", "RES", path])
        let text = try outcome.requireSuccess().output
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    /// Makes all of a file durable, and none of it resident.
    package static func drop(_ path: String) throws {
        let flush = ["if=/dev/null", "of=\(path)", "conv=notrunc,fsync"]
        try ExternalProgram.run("dd", flush).requireSuccess()
        try ExternalProgram.run("dd", ["if=\(path)", "iflag=nocache", "count=0"]).requireSuccess()
    }

    /// Reads a part of a file, as another program would.
    package static func read(_ range: Range<Int>, of path: String) throws {
        let script = """
            import os, sys
            file = os.open(sys.argv[1], os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
            start, end = int(sys.argv[2]), int(sys.argv[3])
            for offset in range(start, end, 1 << 16):
                os.pread(file, min(1 << 16, end - offset), offset)
            """
        let bounds = ["\(range.lowerBound)", "\(range.upperBound)"]
        try ExternalProgram.run("python3", ["-c", script, path] + bounds).requireSuccess()
    }

    /// Why files in the folder of temporary files cannot be dropped; nil where they can.
    package static let refusal: String? = {
        do {
            let folder = try TemporaryFolder()
            let path = folder.file("file")
            try Data(count: 1 << 20).write(to: URL(filePath: path))
            try drop(path)
            let left = try residentByteCount(of: path)
            guard left != 0 else { return nil }
            return "of 1 MiB of a temporary file \(left) bytes cannot be dropped from memory"
        } catch {
            return "nothing says what of a file is in memory: \(error)"
        }
    }()
}
