import Foundation
import TestSupport
import Testing

@testable import Replication

@Suite("JSON with places")
struct JSONReaderTests {
    private func document(_ text: String) throws(JSONError) -> JSONDocument {
        try JSONReader.document(Array(text.utf8))
    }

    @Test("Every kind of value is read, with the byte at which it starts")
    func values() throws {
        let text = #" { "a" : [ null , true,false , -0.5e+3, "x" ] ,"b":{}, "":[] } "#
        let root = try document(text).root
        #expect(root.offset == 1)
        guard case .object(let members) = root.content else { throw Unexpected() }
        #expect(members.map(\.key) == ["a", "b", ""])
        #expect(members.map(\.offset) == [3, 47, 55])
        #expect(members.map(\.value.offset) == [9, 51, 58])
        guard case .array(let elements) = members[0].value.content else { throw Unexpected() }
        #expect(elements.map(\.offset) == [11, 18, 23, 31, 40])
        #expect(
            elements.map { $0.content.kind } == ["null", "true", "false", "a number", "a text"])
        guard case .number(let number) = elements[3].content else { throw Unexpected() }
        #expect(number.text == "-0.5e+3")
    }

    private struct Unexpected: Error {}

    private func string(_ json: String) throws -> String {
        guard case .string(let text) = try document(json).root.content else { throw Unexpected() }
        return text
    }

    @Test("Escapes stand for what RFC 8259 says")
    func escapes() throws {
        let cases: [(String, String)] = [
            (#""""#, ""), (#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{C}\n\r\tz"),
            (#""\u0041\u00e9\u20AC\u0000""#, "Aé€\0"), (#""\ud83d\uDE00""#, "😀"),
            (#""\ud800\udc00\udbff\udfff""#, "\u{10000}\u{10FFFF}"), ("\"\u{7F}é😀\"", "\u{7F}é😀"),
        ]
        for (json, text) in cases {
            let read = try string(json)
            #expect(Array(read.utf8) == Array(text.utf8), "\(json)")
        }
    }

    @Test("A number is one of ours where it is whole and fits")
    func numbers() throws {
        let cases: [(String, Int64?)] = [
            ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil), ("1.0", nil), ("1e3", nil), ("1E-3", nil),
        ]
        for (text, value) in cases {
            guard case .number(let number) = try document(text).root.content else {
                throw Unexpected()
            }
            #expect(number.integer == value, "\(text)")
        }
    }

    @Test("What is no JSON is refused, with the reason, the byte and the way there")
    func refusals() {
        let value = "a value"
        let cases: [(String, JSONError.Reason, Int, String)] = [
            ("", .unexpectedEnd, 0, ""), ("  ", .unexpectedEnd, 2, ""),
            ("[1] 2", .trailing, 4, ""), ("[", .unexpectedEnd, 1, "[0]"),
            ("[1", .unexpectedEnd, 2, ""), ("[1,", .unexpectedEnd, 3, "[1]"),
            ("[1,]", .unexpected("]", wanted: "a value behind the comma"), 3, ""),
            ("[,1]", .unexpected(",", wanted: "a value or ']'"), 1, ""),
            ("[1 2]", .unexpected("2", wanted: "a comma or ']'"), 3, ""),
            ("[1}", .unexpected("}", wanted: "a comma or ']'"), 2, ""),
            ("{,}", .unexpected(",", wanted: "a key in quotes or '}'"), 1, ""),
            ("{\"a\":1,}", .unexpected("}", wanted: "a key in quotes behind the comma"), 7, ""),
            ("{a:1}", .unexpected("a", wanted: "a key in quotes"), 1, ""),
            ("{1:1}", .unexpected("1", wanted: "a key in quotes"), 1, ""),
            ("{\"a\" 1}", .unexpected("1", wanted: "a colon"), 5, "a"),
            ("{\"a\":}", .unexpected("}", wanted: value), 5, "a"),
            ("[0,{\"a\":[+1]}]", .unexpected("+", wanted: value), 9, "[1].a[0]"),
            ("tru", .unexpected("t", wanted: value), 0, ""),
            ("trueX", .trailing, 4, ""), ("nul", .unexpected("n", wanted: value), 0, ""),
            ("Infinity", .unexpected("I", wanted: value), 0, ""),
            ("'a'", .unexpected("'", wanted: value), 0, ""),
            ("[😀]", .unexpected("😀", wanted: value), 1, "[0]"),
            ("/* */1", .unexpected("/", wanted: value), 0, ""),
            ("01", .leadingZero, 0, ""), ("-00", .leadingZero, 1, ""), ("-", .unexpectedEnd, 1, ""),
            ("-a", .unexpected("a", wanted: "a digit"), 1, ""),
            ("1.", .unexpectedEnd, 2, ""), ("1.e1", .unexpected("e", wanted: "a digit"), 2, ""),
            (".1", .unexpected(".", wanted: value), 0, ""), ("1e", .unexpectedEnd, 2, ""),
            ("1e+", .unexpectedEnd, 3, ""), ("0x1", .trailing, 1, ""), ("1_0", .trailing, 1, ""),
            ("\"", .unexpectedEnd, 1, ""), ("\"a\\", .unexpectedEnd, 3, ""),
            ("\"a\n\"", .controlCharacter(10), 2, ""), ("\"\0\"", .controlCharacter(0), 1, ""),
            ("\"\\x\"", .invalidEscape, 1, ""), ("\"\\u12\"", .invalidEscape, 1, ""),
            ("\"\\u12", .unexpectedEnd, 5, ""), ("\"\\U0041\"", .invalidEscape, 1, ""),
            ("\"\\ud800\"", .loneSurrogate, 1, ""), ("\"\\udc00\"", .loneSurrogate, 1, ""),
            ("\"a\\ud800\\u0041\"", .loneSurrogate, 2, ""),
            ("\"\\ud800\\ud800\"", .loneSurrogate, 1, ""),
            ("\"\\ud800\\u00\"", .invalidEscape, 7, ""),
            ("\u{FEFF}1", .byteOrderMark, 0, ""),
            ("\u{A0}1", .unexpected("\u{A0}", wanted: value), 0, ""),
            ("1\u{B}", .trailing, 1, ""),
        ]
        for (text, reason, offset, path) in cases {
            let error = #expect(throws: JSONError.self, "\(text.debugDescription)") {
                try document(text)
            }
            #expect(error?.reason == reason, "\(text.debugDescription)")
            #expect(error?.offset == offset, "\(text.debugDescription)")
            #expect(error?.path.description == path, "\(text.debugDescription)")
        }
    }

    @Test(
        "What is not UTF-8 is refused at its first byte",
        arguments: [
            ([0x22, 0xFF, 0x22], 1), ([0x22, 0x61, 0xC3, 0x22], 2), ([0xC0, 0x80], 0),
            ([0x22, 0xED, 0xA0, 0x80, 0x22], 1), ([0x31, 0x80], 1),
        ] as [([UInt8], Int)])
    func encoding(_ bytes: [UInt8], _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSONReader.document(bytes) }
        #expect(error == JSONError(reason: .notUTF8, offset: offset, path: FieldPath()))
    }

    @Test("UTF-16 and UTF-32 are no JSON here", arguments: [String.Encoding.utf16, .utf32])
    func otherEncodings(_ encoding: String.Encoding) throws {
        let data = try #require("[1]".data(using: encoding))
        let error = #expect(throws: JSONError.self) { try JSONReader.document(Array(data)) }
        #expect(error?.offset == 0)
    }

    @Test("A key that stands twice is noted, by its bytes, and the first one counts")
    func duplicateKeys() throws {
        // The last two are one text to Unicode, and two to JSON.
        let text =
            "{\"a\":1,\"b\":{\"c\":1,\"\\u0063\":2},\"a\":3,\"a\":4,\"\u{E9}\":5,\"e\u{301}\":6}"
        let document = try document(text)
        let found = document.duplicateKeys.map { "\($0.path) \($0.offset) \($0.reason)" }
        let reason = "the key stands twice in its object"
        #expect(found == ["b.c 18 \(reason)", "a 30 \(reason)", "a 36 \(reason)"])
        #expect(document.duplicateKeys.map(\.reason).last == .duplicateKey(first: 1))
        guard case .object(let members) = document.root.content else { throw Unexpected() }
        #expect(members.count == 4)
        guard case .number(let first) = members[0].value.content else { throw Unexpected() }
        #expect(first.text == "1")
    }

    @Test("64 arrays and objects within each other are read, 65 are not")
    func depth() throws {
        let limit = JSONReader.depthLimit
        func nested(_ depth: Int) -> String {
            (0..<depth).map { $0 % 2 == 0 ? "[" : "{\"a\":" }.joined() + "0"
                + (0..<depth).reversed().map { $0 % 2 == 0 ? "]" : "}" }.joined()
        }
        _ = try document(nested(limit))
        let error = #expect(throws: JSONError.self) { try document(nested(limit + 1)) }
        #expect(error?.reason == .tooDeep(limit: limit))
        #expect(throws: JSONError.self) { try document(String(repeating: "[", count: 1 << 20)) }
    }

    @Test("4 MiB are read, and a byte more is not")
    func length() throws {
        let text = "[" + String(repeating: " ", count: JSONReader.lengthLimit - 2) + "]"
        _ = try document(text)
        let error = #expect(throws: JSONError.self) { try document(text + " ") }
        #expect(error?.reason == .tooLong(limit: JSONReader.lengthLimit))
    }

    @Test("Lines end with LF, CR LF and CR, and columns count scalars")
    func positions() {
        let bytes = Array("a\nbé😀x\r\n\r\n\rz\t.\n".utf8)
        let lines = TextLines(bytes)
        let cases: [(Int, Int, Int)] = [
            (0, 1, 1), (1, 1, 2), (2, 2, 1), (3, 2, 2), (5, 2, 3), (9, 2, 4), (10, 2, 5),
            (11, 2, 6), (12, 3, 1), (14, 4, 1), (15, 5, 1), (16, 5, 2), (17, 5, 3), (18, 5, 4),
            (19, 6, 1),
        ]
        for (offset, line, column) in cases {
            #expect(
                lines.position(ofByteAt: offset) == TextPosition(line: line, column: column),
                "byte \(offset)")
        }
        #expect(TextLines([]).position(ofByteAt: 0) == TextPosition(line: 1, column: 1))
    }

    @Test("A way is written as a person writes it, and steers no terminal")
    func paths() {
        let long = String(repeating: "k", count: 90)
        let path = FieldPath(steps: [
            .key("a"), .index(0), .key("b_1"), .key("c d"), .key("\u{1B}[2J\""), .key(""),
            .key(long),
        ])
        let shown = String(repeating: "k", count: 80)
        #expect(
            path.description == "a[0].b_1[\"c d\"][\"\\u{1b}[2J\"\"][\"\"][\"\(shown)…\"]")
    }
}
