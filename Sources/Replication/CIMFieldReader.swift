/// Takes the fields of a CIM `datetime` from its characters.
struct CIMFieldReader {
    private let characters: [Unicode.Scalar]

    /// - Throws: ``CIMDateTimeError/wrongLength(_:)``.
    init(_ text: String) throws(CIMDateTimeError) {
        characters = Array(text.unicodeScalars)
        guard characters.count == CIMDateTime.characterCount else {
            throw .wrongLength(characters.count)
        }
    }

    func character(at place: Int) -> Unicode.Scalar { characters[place] }

    /// - Throws: ``CIMDateTimeError/unexpectedCharacter(_:at:)``.
    func expect(_ expected: Unicode.Scalar, at place: Int) throws(CIMDateTimeError) {
        guard characters[place] == expected else {
            throw .unexpectedCharacter(characters[place], at: place)
        }
    }

    /// Looks for what stands in neither form, up to the character that tells the forms apart.
    ///
    /// - Throws: ``CIMDateTimeError/unexpectedCharacter(_:at:)``.
    func expectFieldsOfAnyForm() throws(CIMDateTimeError) {
        for place in 0..<CIMDateTime.signPlace {
            if place == CIMDateTime.pointPlace {
                try expect(".", at: place)
            } else if characters[place] != "*", Self.digit(characters[place]) == nil {
                throw .unexpectedCharacter(characters[place], at: place)
            }
        }
    }

    /// The field's number.
    ///
    /// - Throws: the error of the first character that is no digit; of the number, if all are.
    func number(
        _ field: CIMDateTimeField, at places: Range<Int>, in allowed: ClosedRange<Int>
    ) throws(CIMDateTimeError) -> Int {
        var value = 0
        for place in places {
            let character = characters[place]
            guard character != "*" else { throw .misplacedAsterisk(field, at: place) }
            guard let digit = Self.digit(character) else {
                throw .unexpectedCharacter(character, at: place)
            }
            value = value * 10 + digit
        }
        guard allowed.contains(value) else {
            throw .outOfRange(field, value: value, at: places.lowerBound)
        }
        return value
    }

    /// The field's number, or nil where all its characters are asterisks.
    func numberIfAny(
        _ field: CIMDateTimeField, at places: Range<Int>, in allowed: ClosedRange<Int>
    ) throws(CIMDateTimeError) -> Int? {
        guard characters[places].contains(where: { $0 != "*" }) else { return nil }
        return try number(field, at: places, in: allowed)
    }

    private static func digit(_ character: Unicode.Scalar) -> Int? {
        ("0"..."9").contains(character) ? Int(character.value - Unicode.Scalar("0").value) : nil
    }
}

extension BinaryInteger {
    /// The decimal digits, with zeros in front.
    func digits(_ count: Int) -> String {
        let text = String(self)
        return String(repeating: "0", count: max(count - text.count, 0)) + text
    }
}
