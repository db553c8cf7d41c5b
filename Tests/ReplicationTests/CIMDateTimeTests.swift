import Foundation
import TestSupport
import Testing

@testable import Replication

@Suite("CIM datetime")
struct CIMDateTimeTests {
    @Test("A text is the same after it was read and written")
    func roundTrip() throws {
        for text in [
            "20260101020000.000000-480", "20260101120000.123456+000", "00000101000000.000000+000",
            "99991231235959.999999+840", "20240229235959.000001+001", "20000229000000.000000-001",
            "********000000.******+***", "****0229******.******+***", "2026**********.******+060",
            "**************.******+***", "00000101000000.000000+999", "99991231115959.999999-999",
            "00000000000500.000000:000", "00000001120032.000000:000", "00000000000000.000000:000",
            "99999999235959.999999:000", "00000000000000.000001:000",
        ] {
            let value = try CIMDateTime(parsing: text)
            #expect(value.description == text)
            #expect(try CIMDateTime(parsing: "\(value)") == value)
        }
        #expect("\(try CIMDateTime(parsing: "20260101000000.000000-000"))".hasSuffix("+000"))
        #expect("\(try CIMDateTime(parsing: "20260101000000.000000-***"))".hasSuffix("+***"))
    }

    @Test("The fields are those of the form")
    func fields() throws {
        let point = try CIMTimestamp(parsing: "20260304050607.080910-480")
        #expect([point.year, point.month, point.day] == [2026, 3, 4])
        #expect([point.hour, point.minute, point.second] == [5, 6, 7])
        #expect(point.microsecond == 80910)
        #expect(point.offsetMinutes == -480)
        let open = try CIMTimestamp(parsing: "****0401******.******+***")
        #expect([open.year, open.month, open.day] == [nil, 4, 1])
        #expect(
            [open.hour, open.minute, open.second, open.microsecond, open.offsetMinutes]
                == [nil, nil, nil, nil, nil])
        let interval = try CIMInterval(parsing: "00000001120032.000005:000")
        #expect(interval.duration == .seconds(86400 + 12 * 3600 + 32) + .microseconds(5))
    }

    @Test("Another length is refused", arguments: [0, 1, 24, 26, 21, 100_000])
    func length(_ count: Int) {
        let text = String(repeating: "0", count: count)
        #expect(throws: CIMDateTimeError.wrongLength(count)) { try CIMDateTime(parsing: text) }
        let error = CIMDateTimeError.wrongLength(count)
        #expect("\(error)" == "a datetime has 25 characters, not \(count)")
    }

    static let forms = [
        "20260304050607.080910-480", "00000001120032.000005:000", "****0401******.******+***",
    ]

    @Test("A strange character is refused in each place, and named", arguments: forms)
    func strangeCharacters(_ form: String) {
        for place in 0..<25 {
            for character in "x /;.-٣０\u{0}é" {
                var characters = Array(form)
                guard characters[place] != character else { continue }
                // A sign makes a point in time of it, or of another offset.
                if place == 21, character == "-" { continue }
                characters[place] = character
                let scalar = String(character).unicodeScalars.first ?? "?"
                #expect(
                    throws: CIMDateTimeError.unexpectedCharacter(scalar, at: place)
                ) {
                    // In a field of asterisks these are what is out of place, from the left.
                    let text = String(characters)
                    do {
                        _ = try CIMDateTime(parsing: text)
                    } catch CIMDateTimeError.misplacedAsterisk(_, let other)
                        where form.contains("*")
                    {
                        #expect(text.dropFirst(other).hasPrefix("*"))
                        throw CIMDateTimeError.unexpectedCharacter(scalar, at: place)
                    }
                }
            }
        }
    }

    @Test("The first wrong character from the left is named")
    func firstError() {
        let cases: [(String, CIMDateTimeError)] = [
            ("x0260304050607.080910?48x", .unexpectedCharacter("x", at: 0)),
            ("20261304050607x080910+000", .outOfRange(.month, value: 13, at: 4)),
            ("20260304050607x080910?000", .unexpectedCharacter("x", at: 14)),
            ("20260304050607.080910?x00", .unexpectedCharacter("?", at: 21)),
            ("2026-03-04T05:06:07+00:00", .unexpectedCharacter("-", at: 4)),
            ("00000000000000.000000:001", .unexpectedCharacter("1", at: 24)),
            ("00000000000000.000000:100", .unexpectedCharacter("1", at: 22)),
            ("00000000240000.000000:***", .outOfRange(.hour, value: 24, at: 8)),
            ("00000000000000.000000:***", .unexpectedCharacter("*", at: 22)),
        ]
        for (text, error) in cases {
            #expect(throws: error, "\(text)") { try CIMDateTime(parsing: text) }
        }
    }

    static let ranges: [(CIMDateTimeField, Range<Int>, ClosedRange<Int>)] = [
        (.year, 0..<4, 0...9999), (.month, 4..<6, 1...12), (.day, 6..<8, 1...31),
        (.hour, 8..<10, 0...23), (.minute, 10..<12, 0...59), (.second, 12..<14, 0...59),
        (.microsecond, 15..<21, 0...999_999), (.offset, 22..<25, 0...999),
    ]

    @Test("Each number of each field is in its range, or refused")
    func numbers() throws {
        for (field, places, range) in Self.ranges {
            let step = [4: 7, 6: 9973][places.count] ?? 1
            let count = [2: 100, 3: 1000, 4: 10_000, 6: 1_000_000][places.count] ?? 0
            for value in stride(from: 0, to: count, by: step) {
                let text = Self.text("20240131235959.000000+000", value, at: places)
                if range.contains(value), !(field == .month && [2, 4, 6, 9, 11].contains(value)) {
                    #expect("\(try CIMDateTime(parsing: text))" == text)
                } else if range.contains(value) {
                    #expect(throws: CIMDateTimeError.outOfRange(.day, value: 31, at: 6)) {
                        try CIMDateTime(parsing: text)
                    }
                } else {
                    let error = CIMDateTimeError.outOfRange(
                        field, value: value, at: places.lowerBound)
                    #expect(throws: error) { try CIMDateTime(parsing: text) }
                }
            }
        }
    }

    @Test("Each number of each field of an interval is in its range, or refused")
    func intervalNumbers() throws {
        for (field, places, range) in Self.ranges.dropFirst(3).dropLast() {
            for value in stride(
                from: 0, to: places.count == 2 ? 100 : 1_000_000, by: places.count == 2 ? 1 : 9973)
            {
                let text = Self.text("00000000000000.000000:000", value, at: places)
                if range.contains(value) {
                    #expect("\(try CIMDateTime(parsing: text))" == text)
                } else {
                    let error = CIMDateTimeError.outOfRange(
                        field, value: value, at: places.lowerBound)
                    #expect(throws: error) { try CIMDateTime(parsing: text) }
                }
            }
        }
    }

    private static func text(_ form: String, _ value: Int, at places: Range<Int>) -> String {
        var characters = Array(form)
        characters.replaceSubrange(places, with: value.digits(places.count))
        return String(characters)
    }

    @Test("A month has its days, in each year")
    func days() throws {
        let calendar = Calendar(identifier: .gregorian)
        for year in [1600, 1700, 1900, 1999, 2000, 2023, 2024, 2100, 2400] {
            for month in 1...12 {
                let first = DateComponents(
                    calendar: calendar, timeZone: .gmt, year: year, month: month, day: 1)
                let date = try #require(first.date)
                let count = try #require(calendar.range(of: .day, in: .month, for: date)?.count)
                for day in 0...32 {
                    let text = "\(year)\(month.digits(2))\(day.digits(2))000000.000000+000"
                    let isValid = (try? CIMDateTime(parsing: text)) != nil
                    #expect(isValid == (1...count).contains(day), "\(text)")
                }
            }
        }
        for (text, isValid) in [
            ("****0229000000.000000+000", true), ("****0230000000.000000+000", false),
            ("****0431000000.000000+000", false), ("2026**31000000.000000+000", true),
            ("2026**32000000.000000+000", false), ("20260229000000.000000+000", false),
        ] {
            #expect(((try? CIMDateTime(parsing: text)) != nil) == isValid, "\(text)")
        }
    }

    @Test("Asterisks stand for whole fields of a point in time alone")
    func asterisks() throws {
        for (field, places, _) in Self.ranges {
            // Each set of the field's characters.
            for mask in 1..<(1 << places.count) {
                var characters = Array("20240131235959.000000+000")
                let marked = places.filter { mask >> ($0 - places.lowerBound) & 1 == 1 }
                for place in marked { characters[place] = "*" }
                let text = String(characters)
                if marked.count == places.count {
                    #expect("\(try CIMDateTime(parsing: text))" == text)
                } else {
                    let error = CIMDateTimeError.misplacedAsterisk(
                        field, at: marked.first ?? -1)
                    #expect(throws: error) { try CIMDateTime(parsing: text) }
                }
            }
        }
        let fields: [(CIMDateTimeField, Range<Int>)] =
            [(.days, 0..<8)] + Self.ranges.dropFirst(3).dropLast().map { ($0.0, $0.1) }
        for (field, places) in fields {
            var characters = Array("00000000000000.000000:000")
            for place in places { characters[place] = "*" }
            let error = CIMDateTimeError.misplacedAsterisk(field, at: places.lowerBound)
            #expect(throws: error) { try CIMDateTime(parsing: String(characters)) }
        }
    }

    @Test("Any text is read, or refused, without a trap", arguments: 1...20 as ClosedRange<UInt64>)
    func anyText(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("0123456789*+-:.x")
        for _ in 0..<1000 {
            let count = generator.next() % 10 == 0 ? Int.random(in: 0...40, using: &generator) : 25
            let text = String(
                (0..<count).map { place in
                    switch place {
                    case 14 where Bool.random(using: &generator): Character(".")
                    case 21: alphabet.randomElement(using: &generator) ?? "+"
                    default: alphabet[Int.random(in: 0..<12, using: &generator)]
                    }
                })
            guard let value = try? CIMDateTime(parsing: text) else { continue }
            #expect((try? CIMDateTime(parsing: "\(value)")) == value, "seed \(seed): \(text)")
        }
    }

    @Test("An error says in a sentence what is wrong and where")
    func sentences() {
        let cases: [(CIMDateTimeError, String, ReturnCode)] = [
            (.wrongLength(3), "a datetime has 25 characters, not 3", .incorrectDataType),
            (.unexpectedCharacter("x", at: 0), "unexpected 'x' at character 1", .incorrectDataType),
            (
                .unexpectedCharacter("\u{1B}", at: 24), "unexpected '\\u{1b}' at character 25",
                .incorrectDataType
            ),
            (
                .misplacedAsterisk(.year, at: 3),
                "an asterisk cannot stand in the year at character 4", .incorrectDataType
            ),
            (
                .outOfRange(.month, value: 13, at: 4), "there is no month 13, at character 5",
                .invalidParameter
            ),
        ]
        for (error, sentence, code) in cases {
            #expect("\(error)" == sentence)
            #expect(ReturnCode(error) == code)
        }
    }
}
