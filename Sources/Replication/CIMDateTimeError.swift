internal import Storage

/// Why a text is no CIM `datetime`. Places count from 0; the sentences count from 1.
public enum CIMDateTimeError: Error, Equatable {
    /// A `datetime` has 25 characters, always.
    case wrongLength(Int)
    /// Not a digit, or not the separator that stands here.
    case unexpectedCharacter(Unicode.Scalar, at: Int)
    /// An asterisk beside digits of the same field, or in an interval, which may have none.
    case misplacedAsterisk(CIMDateTimeField, at: Int)
    /// A number that the field cannot have: month 13, 30 February. The place is the field's.
    case outOfRange(CIMDateTimeField, value: Int, at: Int)
}

/// A field of a CIM `datetime`.
public enum CIMDateTimeField: String, CaseIterable, Sendable {
    case year, month, day, hour, minute, second, microsecond
    /// Minutes from UTC.
    case offset
    /// The whole days of an interval.
    case days
}

extension CIMDateTimeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongLength(let count):
            "a datetime has \(CIMDateTime.characterCount) characters, not \(count)"
        case .unexpectedCharacter(let character, let place):
            "unexpected '\(String(character).printable)' at character \(place + 1)"
        case .misplacedAsterisk(let field, let place):
            "an asterisk cannot stand in the \(field.rawValue) at character \(place + 1)"
        case .outOfRange(let field, let value, let place):
            "there is no \(field.rawValue) \(value), at character \(place + 1)"
        }
    }
}

extension ReturnCode {
    /// The code of a parameter that is no `datetime`: one of another form is of another type, one
    /// with an impossible number is wrong.
    public init(_ error: CIMDateTimeError) {
        switch error {
        case .wrongLength, .unexpectedCharacter, .misplacedAsterisk: self = .incorrectDataType
        case .outOfRange: self = .invalidParameter
        }
    }
}
