import Foundation
import TestSupport
import Testing

@testable import Replication

/// `docs/inventory.schema.json`, held against the decoder.
@Suite("The schema of the inventory")
struct InventorySchemaTests {
    private let schema: JSONSchema
    private let example: JSONValue.Content

    init() throws {
        schema = try JSONSchema(InventoryTrial.document("inventory.schema.json"))
        let text = try InventoryTrial.documented().text
        example = try JSONReader.document(Array(text.utf8)).root.content
    }

    private func isAccepted(_ value: JSONValue.Content) -> Bool {
        do throws(InventoryError) {
            _ = try Inventory(parsing: Array(value.json.utf8), file: "i.json")
            return true
        } catch {
            return false
        }
    }

    @Test("The example is right to both")
    func documentedExample() {
        #expect(schema.accepts(example))
        #expect(isAccepted(example))
    }

    @Test("Both know the same keys, and the page lists them")
    func keys() throws {
        let text = try InventoryTrial.document("inventory.md")
        func check<Key: InventoryKey>(_: Key.Type, _ path: String...) {
            let keys = Set(Key.allCases.map(\.rawValue))
            #expect(schema.keys(path) == keys, "\(path)")
            for key in keys { #expect(text.contains("`\(key)`"), "\(key)") }
        }
        check(RootKey.self)
        check(ServiceKey.self, "properties", "service")
        check(MachineKey.self, "$defs", "machine")
        check(DiskKey.self, "$defs", "disk")
        check(RelationshipKey.self, "$defs", "relationship")
        check(SettingsKey.self, "$defs", "settings")
        check(CertificatesKey.self, "$defs", "settings", "properties", "certificates")
        check(AutoResynchronizeKey.self, "$defs", "settings", "properties", "autoResynchronize")
    }

    /// What takes the place of each value of the example.
    private static let values: [String] = [
        "null", "true", "0", "1", "-1", "1.5", "3", "16", "17", "60", "86401", "65536", "1000001",
        "\"\"",
        "\"a\"", "\"/a\"", "\"a/b\"", "\"../a\"", "\"/a\\u0001\"", "\"12:00\"", "\"24:00\"",
        "\"64K\"",
        "\"64KB\"", "\"5000K\"", "\"primary\"", "\"json\"", "\"host:\"",
        "\"00000000-0000-0000-0000-0000000000FF\"", "\"00000000-0000-0000-0000-0000000000FG\"",
        "\"{00000000-0000-0000-0000-0000000000FF\"", "\"\(String(repeating: "x", count: 256))\"",
        "[]", "[\"a\"]", "[\"/a\"]", "[1]", "{}", "{\"unknown\":1}",
    ]

    @Test("What the schema refuses, the decoder refuses, whatever of it is changed")
    func refusals() throws {
        let values = try Self.values.map { try JSONReader.document(Array($0.utf8)).root.content }
        var (accepted, refused, decoderAlone) = (0, 0, 0)
        var random = SeededGenerator(seed: 2020)
        let changes = Self.changes(of: example, values).shuffled(using: &random).prefix(1000)
        for (label, changed) in changes {
            let isAccepted = isAccepted(changed)
            let isInSchema = schema.accepts(changed)
            #expect(isInSchema || !isAccepted, "seed 2020, only the schema refuses: \(label)")
            switch (isAccepted, isInSchema) {
            case (true, _): accepted += 1
            case (false, true): decoderAlone += 1
            case (false, false): refused += 1
            }
        }
        print(
            "schema: \(accepted) accepted, \(refused) refused, \(decoderAlone) by the decoder alone"
        )
        #expect(accepted > 100 && refused > 600)
        // How values belong together the decoder alone knows; the schema sees most mistakes.
        #expect(decoderAlone * 3 < refused)
    }

    /// Every change of one value in a tree, with what it is: another one in its place, left out, and
    /// a key more.
    private static func changes(
        of value: JSONValue.Content, _ values: [JSONValue.Content]
    ) -> [(label: String, value: JSONValue.Content)] {
        var all = values.map { (label: "= \($0.json)", value: $0) }
        let members = value.members.map { ($0.key, $0.value.content) }
        if value.isObject {
            all.append(("+ key", JSONValue.Content(members + [("unknown", .null)])))
        }
        for (index, member) in members.enumerated() {
            var rest = members
            rest.remove(at: index)
            all.append(("- \(member.0)", JSONValue.Content(rest)))
            all += changes(of: member.1, values).map { change in
                var copy = members
                copy[index].1 = change.value
                return ("\(member.0) \(change.label)", JSONValue.Content(copy))
            }
        }
        for (index, element) in value.elements.enumerated() {
            var rest = value.elements
            rest.remove(at: index)
            all.append(("- \(index)", JSONValue.Content(rest)))
            all += changes(of: element, values).map { change in
                var copy = value.elements
                copy[index] = change.value
                return ("\(index) \(change.label)", JSONValue.Content(copy))
            }
        }
        return all
    }

    @Test("The check of schemas finds what they refuse")
    func checker() throws {
        let schema = try JSONSchema(
            """
            {"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
              "a": {"type": "integer", "minimum": 2, "maximum": 4}, "b": {"$ref": "#/$defs/list"},
              "c": {"anyOf": [{"enum": ["x", 7]}, {"type": "boolean"}]}},
              "$defs": {"list": {"type": "array", "minItems": 1, "maxItems": 2,
                "items": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"}}}}
            """)
        let right = [
            #"{"a":2}"#, #"{"a":4,"b":["x"]}"#, #"{"a":3,"c":"x"}"#, #"{"a":3,"c":7}"#,
            #"{"a":3,"c":true}"#,
        ]
        let wrong = [
            "1", "{}", #"{"a":1}"#, #"{"a":5}"#, #"{"a":2.5}"#, #"{"a":"2"}"#, #"{"a":true}"#,
            #"{"a":2,"d":1}"#, #"{"a":2,"b":[]}"#, #"{"a":2,"b":["x","y","z"]}"#,
            #"{"a":2,"b":[""]}"#,
            #"{"a":2,"b":["abcd"]}"#, #"{"a":2,"b":["A"]}"#, #"{"a":2,"b":"x"}"#, #"{"a":2,"c":1}"#,
            #"{"a":2,"c":"y"}"#,
        ]
        for text in right + wrong {
            let value = try JSONReader.document(Array(text.utf8)).root.content
            #expect(schema.accepts(value) == right.contains(text), "\(text)")
        }
    }
}
