internal import Foundation
internal import Replication
internal import Storage
internal import TestSupport

/// What may come over the control socket of a service: lines of requests, most of them damaged, and what
/// must hold for any bytes.
struct ControlTrial: ByteTrial {
    let noun = "streams"

    private static let limit = ControlProtocol.requestByteLimit

    func bytes(using generator: inout SeededGenerator) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<1 + generator.below(4) {
            var maker = RequestMaker(generator: generator)
            bytes += maker.line()
            generator = maker.generator
            if !generator.once(in: 12) { bytes.append(UInt8(ascii: "\n")) }
        }
        // As long as may be, or a byte more or less.
        if generator.once(in: 40) {
            let count = Self.limit - 1 + generator.below(3)
            bytes += [UInt8](repeating: 0x20, count: count) + (generator.once(in: 2) ? [0x0A] : [])
        }
        return bytes
    }

    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws {
        let expected = Self.lines(bytes)
        var generator = SeededGenerator(seed: UInt64(CRC32C.checksum(of: bytes.rawSpan)))
        let found = try Self.split(bytes, &generator)
        guard found.lines == expected.lines, found.isTooLong == expected.isTooLong else {
            throw Violation("\(found.lines.count) lines, where there are \(expected.lines.count)")
        }
        if found.isTooLong { reach.noted("a line that is too long") }
        for line in found.lines { try judge(line: line, &reach) }
    }

    // MARK: Lines

    /// A second reading of the stream.
    private static func lines(_ bytes: [UInt8]) -> (lines: [[UInt8]], isTooLong: Bool) {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
        guard let first = lines.firstIndex(where: { $0.count > limit }) else {
            lines.removeLast()
            return (lines, false)
        }
        return (Array(lines[..<first]), true)
    }

    private static func split(
        _ bytes: [UInt8], _ generator: inout SeededGenerator
    ) throws -> (lines: [[UInt8]], isTooLong: Bool) {
        var splitter = ControlLines(limit: limit)
        var lines: [[UInt8]] = []
        let largest = [1, 7, 300, 4096][generator.below(4)]
        var start = 0
        do {
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + generator.below(largest))
                splitter.append(bytes.rawSpan.extracting(start..<end))
                guard splitter.byteCount <= limit + largest else {
                    throw Violation("\(splitter.byteCount) bytes are held")
                }
                while let line = try splitter.next() { lines.append(line) }
                start = end
            }
            return (lines, false)
        } catch is ControlLines.TooLong {
            return (lines, true)
        }
    }

    // MARK: Requests

    private func judge(line: [UInt8], _ reach: inout Reach) throws {
        let second = RequestReading(line)?.request
        switch Self.request(line) {
        case .success(let request):
            guard second == request else {
                throw Violation("\(request) was read in place of another")
            }
            guard try Self.request(Array(request.line.utf8)).get() == request else {
                throw Violation("\(request) is written as another one")
            }
            guard request.isSayable else { throw Violation("\(request) was accepted") }
            reach.noted("\(request.name)", isOpened: true)
        case .failure(let error):
            try judge(error)
            // What the writer would write is right.
            if let second, second.isSayable, Array(second.line.utf8) == line {
                throw Violation("a right request was refused: \(error)")
            }
            reach.noted("refused, \(error.code)")
        }
    }

    private static func request(_ line: [UInt8]) -> Result<ControlRequest, CodedError> {
        do throws(CodedError) {
            return .success(try ControlRequest(parsing: line))
        } catch {
            return .failure(error)
        }
    }

    private func judge(_ error: CodedError) throws {
        let reason = error.description
        switch error.code {
        case .invalidParameter, .notSupported: break
        default: throw Violation(reason)
        }
        guard !reason.isEmpty, reason.printable == reason, reason.utf8.count < 2500 else {
            throw Violation("the reason has \(reason.utf8.count) bytes: \(reason.printable)")
        }
    }
}

extension ControlRequest {
    /// Whether a service takes all texts of the request, beside a start time.
    fileprivate var isSayable: Bool {
        let texts: [String?]
        switch self {
        case .listMachines, .listJobs: texts = []
        case .showMachine(let text), .resynchronize(let text, _),
            .requestReplicationStateChange(let text, _), .getReplicationStatistics(let text),
            .showJob(let text), .watchJob(let text), .requestStateChange(let text, _):
            texts = [text]
        case .listHistory(let text, let limit):
            guard limit.map({ (1...1000).contains($0) }) ?? true else { return false }
            texts = [text]
        }
        return texts.compactMap(\.self).allSatisfy { text in
            !text.isEmpty && text.utf8.count <= 255 && text.printable == text
        }
    }
}

/// A second reading of a request, by Foundation's reader.
private struct RequestReading: Decodable {
    var version: Int?
    var word: String?
    var computerSystem: String?
    var startTime: String?
    var requestedState: UInt16?
    var job: String?
    var limit: Int?

    private enum CodingKeys: String, CodingKey {
        case version
        case word = "request"
        case computerSystem, startTime, requestedState, job, limit
    }

    /// Nil for what is no JSON, or has values of other types.
    init?(_ line: [UInt8]) {
        let decoded = try? JSONDecoder().decode(RequestReading.self, from: Data(line))
        guard let decoded else { return nil }
        self = decoded
    }

    /// The request, where nothing is missing that it needs.
    var request: ControlRequest? {
        guard version == 1 else { return nil }
        switch word {
        case "listMachines": return .listMachines
        case "showMachine": return computerSystem.map { .showMachine(computerSystem: $0) }
        case "resynchronize":
            return computerSystem.map { .resynchronize(computerSystem: $0, startTime: startTime) }
        case "requestReplicationStateChange":
            guard let computerSystem, let requestedState else { return nil }
            return .requestReplicationStateChange(
                computerSystem: computerSystem, requestedState: requestedState)
        case "getReplicationStatistics":
            return computerSystem.map { .getReplicationStatistics(computerSystem: $0) }
        case "listJobs": return .listJobs
        case "showJob": return job.map { .showJob($0) }
        case "watchJob": return job.map { .watchJob($0) }
        case "requestStateChange":
            guard let job, let requestedState else { return nil }
            return .requestStateChange(job: job, requestedState: requestedState)
        case "listHistory": return .listHistory(computerSystem: computerSystem, limit: limit)
        default: return nil
        }
    }
}

/// Makes lines that are requests, or nearly.
private struct RequestMaker {
    var generator: SeededGenerator

    private static let texts = [
        "mail", "", "ä😀\u{301}", "a\"b\\c/", "\u{1B}[2J", "564D5B2A-0C5E-4B8F-9C7B-0D9A3E1F2A01",
        "20270115183000.000000+***", "x\0y", "{}", "\u{FEFF}",
    ]

    mutating func line() -> [UInt8] {
        var bytes = Array(request().line.utf8)
        for _ in 0..<[0, 0, 1, 1, 2, 5][generator.below(6)] { damage(&bytes) }
        return bytes.filter { $0 != 0x0A }
    }

    private mutating func text() -> String {
        if generator.once(in: 12) {
            return String(repeating: "y", count: 250 + generator.below(12))
        }
        return Self.texts[generator.below(Self.texts.count)]
    }

    private mutating func number() -> UInt16 {
        [0, 2, 3, 4, 7, 9, 4096, 65535][generator.below(8)]
    }

    private mutating func request() -> ControlRequest {
        switch generator.below(10) {
        case 0: .listMachines
        case 1: .showMachine(computerSystem: text())
        case 2:
            .resynchronize(
                computerSystem: text(), startTime: generator.once(in: 2) ? text() : nil)
        case 3: .requestReplicationStateChange(computerSystem: text(), requestedState: number())
        case 4: .getReplicationStatistics(computerSystem: text())
        case 5: .listJobs
        case 6: .showJob(text())
        case 7: .watchJob(text())
        case 8: .requestStateChange(job: text(), requestedState: number())
        default:
            .listHistory(
                computerSystem: generator.once(in: 2) ? text() : nil,
                limit: generator.once(in: 2) ? generator.below(1002) : nil)
        }
    }

    private mutating func damage(_ bytes: inout [UInt8]) {
        let place = generator.below(bytes.count + 1)
        switch generator.below(9) {
        case 0: bytes.insert(contentsOf: generator.bytes(count: 1 + generator.below(4)), at: place)
        case 1: bytes.removeSubrange(place..<min(bytes.count, place + 1 + generator.below(8)))
        case 2 where place < bytes.count: bytes[place] ^= 1 << UInt8(generator.below(8))
        case 3: bytes.insert(contentsOf: Array(token().utf8), at: place)
        case 4: insertMember(&bytes)
        case 5:
            let nested = generator.once(in: 4) ? 12_000 : 60 + generator.below(10)
            bytes.insert(contentsOf: [UInt8](repeating: 0x5B, count: nested), at: place)
        case 6: bytes.removeLast(min(bytes.count, generator.below(30)))
        case 7: bytes += Array(request().line.utf8)
        default: replaceDigits(&bytes)
        }
    }

    private mutating func token() -> String {
        let tokens = [
            "{", "}", "[", "]", ":", ",", "\"", "null", "true", "1e400", "-0", "01", "\\u",
            "\\ud800", "\\udc00", " ", "\t", "\u{7F}", "\\", "1.0", "9223372036854775808",
        ]
        return tokens[generator.below(tokens.count)]
    }

    /// Another key, or one that is there, in front of the others.
    private mutating func insertMember(_ bytes: inout [UInt8]) {
        let keys = [
            "version", "request", "job", "Job", "limit", "x", "\\u006aob", "requestedstate",
        ]
        let values = ["1", "2", "\"listJobs\"", "\"A\"", "null", "[]", "{\"a\":1}", "1.5"]
        let key = keys[generator.below(keys.count)]
        let value = values[generator.below(values.count)]
        guard bytes.first == UInt8(ascii: "{") else { return }
        bytes.insert(contentsOf: Array("\"\(key)\":\(value),".utf8), at: 1)
    }

    private mutating func replaceDigits(_ bytes: inout [UInt8]) {
        guard let place = bytes.firstIndex(where: { (0x30...0x39).contains($0) }) else { return }
        let numbers = ["2", "0", "-1", "1.0", "1e0", "65536", "18446744073709551616", "\"1\""]
        bytes.replaceSubrange(
            place...place, with: Array(numbers[generator.below(numbers.count)].utf8))
    }
}
