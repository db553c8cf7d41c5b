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

    /// The cases of images, or in a folder of their own those of another target.
    static func paths(in subfolder: String) throws -> [String] {
        let folder = subfolder.isEmpty ? folder : folder + "/" + subfolder
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            .filter { $0.hasSuffix(".case") }.map { folder + "/" + $0 }
    }

    /// A stream as text: all its bytes.
    static func text(of bytes: [UInt8]) -> String {
        stride(from: 0, to: bytes.count, by: 32).map { start in
            bytes[start..<min(start + 32, bytes.count)]
                .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\n"
        }.joined()
    }

    /// A stream that was written down, or one as it is.
    static func bytes(_ path: String) throws -> [UInt8] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        if data.starts(with: Data("vhdresync".utf8)) { return [UInt8](data) }
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }.flatMap { bytes($0) }
    }

    /// The text of a case.
    static func text(of wanted: Case) -> String {
        var lines = ["seed \(wanted.seeds[0].name)"]
        for (index, (seed, content)) in zip(wanted.seeds, wanted.contents).enumerated() {
            let changes = changes(from: seed.content, to: content)
            if index > 0, !changes.isEmpty { lines.append("parent \(index)") }
            lines += changes
        }
        lines.append("operations \(wanted.operations.seed)")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func changes(from base: Content, to content: Content) -> [String] {
        var lines: [String] = []
        if content.byteCount != base.byteCount { lines.append("size \(content.byteCount)") }
        for page in content.differingPages(from: base) {
            let start = page * Content.pageSize
            let old = base.bytes(at: start, count: Int(Content.pageSize))
            let new = content.bytes(at: start, count: Int(Content.pageSize))
            for run in runs(old, new) {
                let hex = new[run].map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
                let offset = String(start + UInt64(run.lowerBound), radix: 16)
                lines.append("put 0x\(offset) \(hex.joined())")
            }
        }
        return lines
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
            return Case([seed], [seed.content], operations: SeededGenerator(seed: 1))
        }
        return try parse(try String(contentsOfFile: path, encoding: .utf8), seeds)
    }

    private static func parse(_ text: String, _ seeds: [Seed]) throws -> Case {
        var chain: [Seed] = []
        var contents: [Content] = []
        var file = 0
        var operations: UInt64 = 0
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            let number = words.count > 1 ? UInt64(words[1]) : nil
            switch (words.first, number, words.count) {
            case ("seed", _, 2):
                chain = seeds.first { $0.name == words[1] }?.chain(in: seeds) ?? []
                contents = chain.map(\.content)
            case ("parent", let number?, 2) where number < UInt64(contents.count):
                file = Int(number)
            case ("size", let number?, 2) where !contents.isEmpty:
                contents[file].resize(to: number)
            case ("put", nil, 3) where !contents.isEmpty:
                let offset = UInt64(words[1].dropFirst(2), radix: 16) ?? 0
                contents[file].write(bytes(words[2]), at: offset)
            case ("operations", let number?, 2):
                operations = number
            default:
                throw Failure(message: "not understood: \(line)")
            }
        }
        guard !chain.isEmpty else { throw Failure(message: "no seed has the name") }
        return Case(chain, contents, operations: SeededGenerator(seed: operations))
    }

    private static func bytes(_ hex: Substring) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
        }
    }
}
