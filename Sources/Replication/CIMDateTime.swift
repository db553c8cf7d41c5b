/// A CIM `datetime`, the `CIM_DATETIME` of the WMI reference: 25 characters, in one of two forms.
///
///     yyyymmddHHMMSS.mmmmmmsUUU   a point in time, UUU minutes (s: + or -) from UTC
///     ddddddddHHMMSS.mmmmmm:000   an interval
public enum CIMDateTime: Hashable, Sendable {
    case timestamp(CIMTimestamp)
    case interval(CIMInterval)

    /// The length of both forms.
    public static let characterCount = 25

    /// The place of the character that tells the forms apart.
    static let signPlace = 21
    static let pointPlace = 14

    /// Reads either form; the colon makes it an interval, a sign a point in time.
    ///
    /// - Throws: the error of the first character from the left that is wrong.
    public init(parsing text: String) throws(CIMDateTimeError) {
        let reader = try CIMFieldReader(text)
        switch reader.character(at: Self.signPlace) {
        case ":": self = .interval(try CIMInterval(reader))
        case "+", "-": self = .timestamp(try CIMTimestamp(reader))
        case let other:
            try reader.expectFieldsOfAnyForm()
            throw .unexpectedCharacter(other, at: Self.signPlace)
        }
    }
}

extension CIMDateTime: CustomStringConvertible {
    /// The 25 characters.
    public var description: String {
        switch self {
        case .timestamp(let timestamp): timestamp.description
        case .interval(let interval): interval.description
        }
    }
}
