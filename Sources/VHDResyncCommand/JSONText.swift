internal import FoundationEssentials

/// Values as JSON. Keys stand in alphabetical order, so that two results can be compared as text.
enum JSONText {
    /// On several lines, for a result.
    static func object(_ value: some Encodable) -> String {
        text(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    }

    /// On one line, for an event.
    static func line(_ value: some Encodable) -> String {
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
struct Nullable<Value: Encodable & Equatable>: Encodable, Equatable {
    var value: Value?

    init(_ value: Value?) {
        self.value = value
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value {
            try container.encode(value)
        } else {
            try container.encodeNil()
        }
    }
}
