internal import Foundation
internal import Storage
internal import TestSupport

/// Cases as text: the seed image by name, and what of it is other.
///
///     # why it is kept
///     seed all-states
///     size 30408704
///     put 0x300000 0600500000000000
///     operations 17
enum Corpus {
    struct Failure: Error {
        var message: String
    }

    /// The folder of cases that every run repeats first.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("corpus").path

    static func paths() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            .filter { $0.hasSuffix(".case") }.map { folder + "/" + $0 }
    }

    /// The text of a case.
    static func text(of wanted: Case) -> String {
        var lines = ["seed \(wanted.seed.name)"]
        let base = wanted.seed.content
        if wanted.content.byteCount != base.byteCount {
            lines.append("size \(wanted.content.byteCount)")
        }
        for page in wanted.content.differingPages(from: base) {
            let start = page * Content.pageSize
            let old = base.bytes(at: start, count: Int(Content.pageSize))
            let new = wanted.content.bytes(at: start, count: Int(Content.pageSize))
            for run in runs(old, new) {
                let hex = new[run].map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
                let offset = String(start + UInt64(run.lowerBound), radix: 16)
                lines.append("put 0x\(offset) \(hex.joined())")
            }
        }
        lines.append("operations \(wanted.operations.seed)")
        return lines.joined(separator: "\n") + "\n"
    }

    /// Where two pages differ, with short gaps closed.
    private static func runs(_ old: [UInt8], _ new: [UInt8]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for index in old.indices where old[index] != new[index] {
            if let last = runs.last, index - last.upperBound < 8 {
                runs[runs.count - 1] = last.lowerBound..<index + 1
            } else {
                runs.append(index..<index + 1)
            }
        }
        return runs
    }

    /// Reads a case, or takes a whole image as one.
    static func load(_ path: String, _ seeds: [Seed]) throws -> Case {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        if try handle.read(upToCount: 8) == Data("vhdxfile".utf8) {
            let seed = Seed(name: path, try Seeds.content(ofFileAt: path))
            return Case(seed, seed.content, operations: SeededGenerator(seed: 1))
        }
        return try parse(try String(contentsOfFile: path, encoding: .utf8), seeds)
    }

    private static func parse(_ text: String, _ seeds: [Seed]) throws -> Case {
        var seed: Seed?
        var content = Content()
        var operations: UInt64 = 0
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            switch (words.first, words.count) {
            case ("seed", 2):
                seed = seeds.first { $0.name == words[1] }
                guard let seed else { throw Failure(message: "no seed is named \(words[1])") }
                content = seed.content
            case ("size", 2):
                content.resize(to: UInt64(words[1]) ?? 0)
            case ("put", 3):
                guard let offset = UInt64(words[1].dropFirst(2), radix: 16) else {
                    throw Failure(message: "not an offset: \(words[1])")
                }
                let digits = Array(words[2])
                content.write(
                    stride(from: 0, to: digits.count - 1, by: 2).map {
                        UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
                    }, at: offset)
            case ("operations", 2):
                operations = UInt64(words[1]) ?? 0
            default:
                throw Failure(message: "not understood: \(line)")
            }
        }
        guard let seed else { throw Failure(message: "no seed") }
        return Case(seed, content, operations: SeededGenerator(seed: operations))
    }
}
