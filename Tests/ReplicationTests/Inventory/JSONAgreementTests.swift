import Foundation
import TestSupport
import Testing

@testable import Replication

/// Texts that are mostly JSON, held against Foundation's reader.
@Suite("JSON, against Foundation")
struct JSONAgreementTests {
    /// What is asked of both readers.
    private struct Tally {
        var both = 0
        var neither = 0
        var stricter: [String: Int] = [:]
    }

    @Test("Both accept the same values, but for what is documented as strictness")
    func agreement() throws {
        var random = SeededGenerator(seed: 8259)
        var tally = Tally()
        for index in 0..<20_000 {
            var bytes = Array(JSONMaker.text(depth: 4, &random).utf8)
            if index % 2 == 1 { JSONMaker.damage(&bytes, &random) }
            try compare(bytes, "seed 8259, text \(index)", &tally)
        }
        print("JSON: \(tally.both) accepted, \(tally.neither) refused, stricter: \(tally.stricter)")
        #expect(tally.both > 8000 && tally.neither > 3000)
        #expect(tally.stricter.keys.contains("duplicate key"))
        #expect(tally.stricter.keys.contains("comma at the end"))
    }

    @Test("No beginning of a text is a text, and none traps")
    func beginnings() throws {
        var random = SeededGenerator(seed: 8260)
        var tally = Tally()
        for index in 0..<40 {
            let bytes = Array(("[" + JSONMaker.text(depth: 4, &random) + "]").utf8)
            for count in 0..<min(bytes.count, 400) {
                let label = "seed 8260, text \(index), \(count) bytes"
                #expect(throws: JSONError.self, "\(label)") {
                    try JSONReader.document(Array(bytes.prefix(count)))
                }
                try compare(Array(bytes.prefix(count)), label, &tally)
            }
        }
        #expect(tally.both == 0)
    }

    @Test("Bytes that mean nothing are refused, and none trap")
    func noise() throws {
        var random = SeededGenerator(seed: 8261)
        var tally = Tally()
        let alphabet =
            Array("{}[]:,\"\\u0123456789abcdefDE+-. \ntrfalsn".utf8) + [0xC3, 0xA9, 0xFF]
        for index in 0..<20_000 {
            let count = Int.random(in: 0..<24, using: &random)
            let bytes = (0..<count).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            try compare(bytes, "seed 8261, text \(index)", &tally)
        }
        #expect(tally.neither > 15_000)
    }

    private func compare(_ bytes: [UInt8], _ label: String, _ tally: inout Tally) throws {
        let ours = Result { () throws(JSONError) in try JSONReader.document(bytes) }
        let theirs = try? JSONSerialization.jsonObject(
            with: Data(bytes), options: .fragmentsAllowed)
        let shown = "\(label): \(String(decoding: bytes, as: UTF8.self).debugDescription)"
        switch (ours, theirs) {
        case (.success(let document), let theirs?) where document.duplicateKeys.isEmpty:
            tally.both += 1
            let isEqual = isEqual(document.root, theirs)
            #expect(isEqual, "\(shown)")
        case (.success, _?):
            tally.stricter["duplicate key", default: 0] += 1
        case (.success(let document), nil):
            // A number that is too large may stand in what was left out.
            let isReason = hasHugeNumber(document.root) || !document.duplicateKeys.isEmpty
            #expect(isReason, "\(shown): refused by Foundation alone")
        case (.failure(let error), _?):
            guard let reason = strictness(error, bytes) else {
                Issue.record("\(shown): refused here alone, \(error)")
                return
            }
            tally.stricter[reason, default: 0] += 1
        case (.failure(let error), nil):
            tally.neither += 1
            #expect((0...bytes.count).contains(error.offset), "\(shown)")
        }
    }

    /// Why a text that Foundation reads is refused here; nil where it should not be.
    private func strictness(_ error: JSONError, _ bytes: [UInt8]) -> String? {
        switch error.reason {
        case .tooDeep: "depth"
        case .byteOrderMark: "byte order mark"
        case .unexpected("]", let wanted), .unexpected("}", let wanted):
            wanted.hasSuffix("behind the comma") ? "comma at the end" : nil
        // Foundation takes texts with such bytes at their start for UTF-16 or UTF-32.
        default: bytes.prefix(4).contains(0) ? "UTF-16" : nil
        }
    }

    /// Whether Foundation refuses a text for a number of it: it makes doubles of all.
    private func hasHugeNumber(_ value: JSONValue) -> Bool {
        switch value.content {
        case .null, .boolean, .string: false
        case .number(let number): Double(number.text).map { !$0.isFinite } ?? true
        case .array(let elements): elements.contains(where: hasHugeNumber)
        case .object(let members): members.contains { hasHugeNumber($0.value) }
        }
    }

    private func isEqual(_ value: JSONValue, _ other: Any) -> Bool {
        switch value.content {
        case .null: return other is NSNull
        case .boolean(let boolean): return (other as? Bool) == boolean
        case .number(let number):
            guard let other = other as? NSNumber else { return false }
            if let integer = number.integer { return integer == other.int64Value }
            // Foundation makes decimal numbers of some, and rounds once more.
            let value = Double(number.text) ?? .nan
            return abs(value - other.doubleValue) <= abs(value) * 1e-14
        case .string(let text): return (other as? String).map { Array($0.utf8) } == Array(text.utf8)
        case .array(let elements):
            guard let other = other as? [Any], other.count == elements.count else { return false }
            return zip(elements, other).allSatisfy { isEqual($0, $1) }
        case .object(let members):
            guard let other = other as? [String: Any] else { return false }
            // Foundation takes keys for equal that Unicode does.
            guard other.count == Set(members.map(\.key)).count else { return false }
            return other.count < members.count
                || members.allSatisfy { member in
                    other[member.key].map { isEqual(member.value, $0) } ?? false
                }
        }
    }
}

/// Texts of JSON from a seed, with much white space, many escapes and few keys.
enum JSONMaker {
    static func text(depth: Int, _ random: inout SeededGenerator) -> String {
        space(&random) + value(depth, &random) + space(&random)
    }

    private static func value(_ depth: Int, _ random: inout SeededGenerator) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 5), using: &random) {
        case 0: return ["null", "true", "false"].randomElement(using: &random) ?? "null"
        case 1, 2: return number(&random)
        case 3, 4: return string(&random)
        case 5, 6:
            let elements = (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                text(depth: depth - 1, &random)
            }
            return "[" + (elements.isEmpty ? space(&random) : elements.joined(separator: ",")) + "]"
        default:
            let members = (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                space(&random) + string(&random) + space(&random) + ":"
                    + text(depth: depth - 1, &random)
            }
            return "{" + (members.isEmpty ? space(&random) : members.joined(separator: ",")) + "}"
        }
    }

    private static func space(_ random: inout SeededGenerator) -> String {
        ["", "", "", " ", "\t", "\n", "\r\n", "\r "].randomElement(using: &random) ?? ""
    }

    private static func number(_ random: inout SeededGenerator) -> String {
        let signs = ["", "", "-"]
        let integers = ["0", "7", "10", "4096", "9223372036854775807", "18446744073709551616"]
        let fractions = ["", "", "", ".0", ".5", ".0625"]
        let exponents = ["", "", "", "e2", "E-3", "e+0", "e400"]
        return [signs, integers, fractions, exponents]
            .map { $0.randomElement(using: &random) ?? "" }.joined()
    }

    private static func string(_ random: inout SeededGenerator) -> String {
        let pieces = [
            "a", "b", "", "é", "e\u{301}", "😀", "\u{7F}", "\\n", "\\\"", "\\\\", "\\/", "\\u0041",
            "\\u0000", "\\u00e9", "\\ud83d\\ude00", "\u{2028}", " ",
        ]
        let count = Int.random(in: 0..<4, using: &random)
        return "\"" + (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            + "\""
    }

    /// Makes a few changes of single bytes and of short runs.
    static func damage(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let marks = Array("{}[]:,\"\\u0d8e.-+ \nnt".utf8) + [0, 0x1F, 0x80, 0xC3, 0xED, 0xFF]
        for _ in 0...Int.random(in: 0..<2, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            let mark = marks.randomElement(using: &random) ?? 0
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(mark, at: place)
            case 1 where place < bytes.count: bytes[place] = mark
            case 2 where place < bytes.count: bytes.remove(at: place)
            default:
                let end = min(bytes.count, place + Int.random(in: 0..<6, using: &random))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
        }
    }
}
