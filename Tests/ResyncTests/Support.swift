import Foundation
import Resync
import Storage

/// A generator that repeats itself, so that a failing case is named by its seed.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func bytes(count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var word: UInt64 = 0
        for index in 0..<count {
            if index % 8 == 0 { word = next() }
            bytes[index] = UInt8(truncatingIfNeeded: word >> (UInt64(index % 8) * 8))
        }
        return bytes
    }

    mutating func digest() -> BlockDigest {
        BlockDigest(decoding: bytes(count: BlockDigest.byteCount).rawSpan, at: 0)
    }
}

/// A command that could not be started, or that failed.
struct CommandFailure: Error {
    var command: String
    var status: Int32
    var output: String
}

/// Runs a command of the search path, and gives what it wrote to standard output.
func run(_ command: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [command] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw CommandFailure(
            command: command, status: process.terminationStatus, output: output)
    }
    return output
}

/// Runs a reference implementation, which is a script beside the tests.
func runReference(
    _ arguments: [String], script: String = "digest_tree.py", source: String = #filePath
) throws -> String {
    let script = URL(fileURLWithPath: source).deletingLastPathComponent()
        .appendingPathComponent(script)
    return try run("python3", ["-B", script.path] + arguments)
        .trimmingCharacters(in: .whitespacesAndNewlines)
}

/// The bytes of the test vector in a page of the documentation: the only indented lines that start
/// with a 0 are an offset and bytes.
func documentedVector(in page: String, source: String = #filePath) throws -> [UInt8] {
    let document = URL(fileURLWithPath: source).deletingLastPathComponent()
        .appendingPathComponent("../../docs/" + page)
    let lines = try String(contentsOf: document, encoding: .utf8).split(separator: "\n")
    return lines.filter { $0.hasPrefix("    0") }
        .flatMap { $0.dropFirst(10).split(separator: " ").compactMap { UInt8($0, radix: 16) } }
}

/// A directory that is removed with everything in it.
final class TemporaryDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appendingPathComponent("vhdresync-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
    }
}

/// A page of the documentation.
func documentation(_ page: String) throws -> String {
    let document = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../docs/" + page)
    return try String(contentsOf: document, encoding: .utf8)
}
