/// A value of a JSON text, and where it stands there.
struct JSONValue: Sendable {
    enum Content: Sendable {
        case null
        case boolean(Bool)
        case number(JSONNumber)
        case string(String)
        case array([JSONValue])
        /// In the order of the text. No two members have the same key.
        case object([JSONMember])
    }

    var content: Content
    /// The byte at which it starts.
    var offset: Int
}

/// A key and its value.
struct JSONMember: Sendable {
    var key: String
    /// The byte at which the key starts.
    var offset: Int
    var value: JSONValue
}

/// A number as it is written: JSON sets no limit to it, and what it is to become decides how it
/// is read.
struct JSONNumber: Hashable, Sendable {
    let text: String

    /// The number where it is written without a fraction and without an exponent, and fits.
    var integer: Int64? { Int64(text) }
}

/// A JSON text that was read.
struct JSONDocument: Sendable {
    var root: JSONValue
    /// Members that were left out, since their key stands in front of them in the same object.
    /// RFC 8259 leaves open which of them counts, so a text that has any is not to be used.
    var duplicateKeys: [JSONError]
}

/// Where a text is not JSON, and why.
struct JSONError: Error, Equatable, Sendable {
    enum Reason: Equatable, Sendable {
        case tooLong(limit: Int)
        case byteOrderMark
        case notUTF8
        case unexpectedEnd
        /// Something else is wanted here than what stands here.
        case unexpected(Unicode.Scalar, wanted: String)
        /// Something follows the only value of the text.
        case trailing
        /// A control character in a string that is not written as an escape.
        case controlCharacter(UInt8)
        case invalidEscape
        /// Half of a pair of `\u` escapes that stand for one character.
        case loneSurrogate
        case leadingZero
        case tooDeep(limit: Int)
        /// The key stands before in the same object, at this byte.
        case duplicateKey(first: Int)
    }

    var reason: Reason
    /// The byte that is at fault; the number of bytes where the text ends too early.
    var offset: Int
    /// The value that was being read.
    var path: FieldPath
}
