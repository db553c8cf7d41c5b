import Foundation

@testable import Replication

/// As much of JSON Schema 2020-12 as the schema of the inventory uses; anything else in it is a trap.
struct JSONSchema {
    private let root: JSONValue.Content
    private let expressions: [String: NSRegularExpression]

    init(_ text: String) throws {
        root = try JSONReader.document(Array(text.utf8)).root.content
        var expressions: [String: NSRegularExpression] = [:]
        for pattern in Self.patterns(in: root) {
            expressions[pattern] = try NSRegularExpression(pattern: pattern)
        }
        self.expressions = expressions
    }

    private static func patterns(in schema: JSONValue.Content) -> [String] {
        let members = schema.members.map { ($0.key, $0.value.content) }
        return members.compactMap { $0.0 == "pattern" ? $0.1.text : nil }
            + (members.map(\.1) + schema.elements).flatMap(patterns)
    }

    private func matches(_ text: String, _ pattern: String) -> Bool {
        let range = NSRange(location: 0, length: text.utf16.count)
        return expressions[pattern]?.firstMatch(in: text, range: range) != nil
    }

    /// The properties of the schema at a path.
    func keys(_ path: [String]) -> Set<String> {
        let schema = path.reduce(root) { $0[$1] ?? .null }
        return Set(schema["properties"]?.members.map(\.key) ?? [])
    }

    func accepts(_ value: JSONValue.Content) -> Bool { accepts(value, root) }

    private func accepts(_ value: JSONValue.Content, _ schema: JSONValue.Content) -> Bool {
        schema.members.allSatisfy { keyword in
            accepts(value, keyword.key, keyword.value.content, schema)
        }
    }

    private func accepts(
        _ value: JSONValue.Content, _ keyword: String, _ argument: JSONValue.Content,
        _ schema: JSONValue.Content
    ) -> Bool {
        switch keyword {
        case "$schema", "title", "$defs", "properties":
            return true
        case "$ref":
            return accepts(value, definition(argument))
        case "const":
            return value.json == argument.json
        case "enum":
            return argument.elements.contains { value.json == $0.json }
        case "anyOf":
            return argument.elements.contains { accepts(value, $0) }
        case "type":
            return isOfType(value, argument.text ?? "")
        case "minimum":
            return value.number.map { $0 >= argument.number ?? .nan } ?? true
        case "maximum":
            return value.number.map { $0 <= argument.number ?? .nan } ?? true
        case "minLength":
            return value.text.map { Double($0.unicodeScalars.count) >= argument.number ?? .nan }
                ?? true
        case "maxLength":
            return value.text.map { Double($0.unicodeScalars.count) <= argument.number ?? .nan }
                ?? true
        case "pattern":
            return value.text.map { matches($0, argument.text ?? "") } ?? true
        case "minItems":
            return Double(value.elements.count) >= argument.number ?? .nan || !value.isArray
        case "maxItems":
            return Double(value.elements.count) <= argument.number ?? .nan
        case "items":
            return value.elements.allSatisfy { accepts($0, argument) }
        case "required":
            return argument.elements.allSatisfy { value[$0.text ?? ""] != nil } || !value.isObject
        case "additionalProperties":
            return value.members.allSatisfy { member in
                schema["properties"]?[member.key].map { accepts(member.value.content, $0) } ?? false
            }
        default:
            fatalError("the check of schemas does not know \(keyword)")
        }
    }

    private func definition(_ reference: JSONValue.Content) -> JSONValue.Content {
        let name = (reference.text ?? "").replacing("#/$defs/", with: "")
        guard let definition = root["$defs"]?[name] else { fatalError("no definition of \(name)") }
        return definition
    }

    private func isOfType(_ value: JSONValue.Content, _ type: String) -> Bool {
        switch (type, value) {
        case ("object", .object), ("array", .array), ("string", .string), ("boolean", .boolean):
            true
        case ("integer", .number(let number)):
            Double(number.text).map { $0 == $0.rounded() } ?? false
        case ("object", _), ("array", _), ("string", _), ("boolean", _), ("integer", _): false
        default: fatalError("the check of schemas does not know the type \(type)")
        }
    }
}

extension JSONValue.Content {
    /// Empty for what is no object.
    var members: [JSONMember] {
        if case .object(let members) = self { members } else { [] }
    }

    /// Empty for what is no array.
    var elements: [JSONValue.Content] {
        if case .array(let elements) = self { elements.map(\.content) } else { [] }
    }

    var isObject: Bool { if case .object = self { true } else { false } }
    var isArray: Bool { if case .array = self { true } else { false } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var number: Double? { if case .number(let number) = self { Double(number.text) } else { nil } }

    subscript(key: String) -> JSONValue.Content? {
        members.first { $0.key == key }?.value.content
    }

    /// An object.
    init(_ members: [(String, JSONValue.Content)]) {
        self = .object(
            members.map {
                JSONMember(key: $0.0, offset: 0, value: JSONValue(content: $0.1, offset: 0))
            })
    }

    /// An array.
    init(_ elements: [JSONValue.Content]) {
        self = .array(elements.map { JSONValue(content: $0, offset: 0) })
    }

    /// The value as JSON text.
    var json: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .number(let number): number.text
        case .string(let text): Self.json(text)
        case .array: "[" + elements.map(\.json).joined(separator: ",") + "]"
        case .object:
            "{"
                + members.map { Self.json($0.key) + ":" + $0.value.content.json }
                .joined(separator: ",") + "}"
        }
    }

    private static func json(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\" + String(scalar)
            case "\0"..<" ":
                "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}
