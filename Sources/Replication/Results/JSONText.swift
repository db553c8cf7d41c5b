internal import FoundationEssentials

/// Values as JSON. Keys stand in alphabetical order, so that two results can be compared as text.
package enum JSONText {
    /// On several lines, for a result.
    package static func object(_ value: some Encodable) -> String {
        text(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    }

    /// On one line, for an event.
    package static func line(_ value: some Encodable) -> String {
        text(value, [.sortedKeys, .withoutEscapingSlashes])
    }

    private static func text(
        _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
    ) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            // Only a number that JSON does not have, like infinity, cannot be encoded.
            preconditionFailure("a value has no JSON form: \(error)")
        }
    }
}

/// A value that may be absent, and is then written as null. (An optional property is left out.)
package struct Nullable<Value: Encodable & Equatable>: Encodable, Equatable {
    package var value: Value?

    package init(_ value: Value?) {
        self.value = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value {
            try container.encode(value)
        } else {
            try container.encodeNil()
        }
    }
}

extension Nullable: Sendable where Value: Sendable {}

extension Nullable: Decodable where Value: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        value = container.decodeNil() ? nil : try container.decode(Value.self)
    }
}
