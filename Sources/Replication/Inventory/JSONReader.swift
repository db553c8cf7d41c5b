/// Reads JSON strictly as RFC 8259 has it, in UTF-8, and keeps the place of every value.
///
/// Foundation, and the C libraries for JSON, tell the place of what is no JSON at all, and forget that of
/// what is JSON and means nothing. Stricter than Foundation: a comma behind the last element, a
/// byte order mark, UTF-16 and UTF-32, and a depth of more than ``depthLimit`` are refused, and keys
/// that stand twice in an object are told.
struct JSONReader {
    /// Enough for ten thousand machines, and bounds the memory for values, which take more than text.
    static let lengthLimit = 4 << 20
    /// More than anything here needs, and few enough calls within each other for any thread.
    static let depthLimit = 64

    private let bytes: [UInt8]
    private var position = 0
    private var path = FieldPath()
    private var duplicateKeys: [JSONError] = []

    /// - Throws: ``JSONError`` for the first byte at which this is no JSON.
    static func document(_ bytes: [UInt8]) throws(JSONError) -> JSONDocument {
        try checkEncoding(bytes)
        var reader = JSONReader(bytes: bytes)
        reader.skipSpace()
        let root = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.next == nil else { throw reader.error(.trailing) }
        return JSONDocument(root: root, duplicateKeys: reader.duplicateKeys)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private static func checkEncoding(_ bytes: [UInt8]) throws(JSONError) {
        let path = FieldPath()
        guard bytes.count <= lengthLimit else {
            throw JSONError(reason: .tooLong(limit: lengthLimit), offset: lengthLimit, path: path)
        }
        let marks: [[UInt8]] = [[0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE]]
        guard !marks.contains(where: bytes.starts) else {
            throw JSONError(reason: .byteOrderMark, offset: 0, path: path)
        }
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            throw JSONError(reason: .notUTF8, offset: error.byteOffsets.lowerBound, path: path)
        }
    }

    // MARK: Values

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        let start = position
        let content: JSONValue.Content
        guard let first = next else { throw error(.unexpectedEnd) }
        switch first {
        case UInt8(ascii: "{"): content = .object(try members(depth: depth))
        case UInt8(ascii: "["): content = .array(try elements(depth: depth))
        case UInt8(ascii: "\""): content = .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            content = .number(try number())
        case UInt8(ascii: "t"): content = try literal("true", .boolean(true))
        case UInt8(ascii: "f"): content = try literal("false", .boolean(false))
        case UInt8(ascii: "n"): content = try literal("null", .null)
        default: throw unexpected("a value")
        }
        return JSONValue(content: content, offset: start)
    }

    private mutating func members(depth: Int) throws(JSONError) -> [JSONMember] {
        try enter(depth)
        var members: [JSONMember] = []
        var offsets: [[UInt8]: Int] = [:]
        var isFirst = true
        while try goesOn(until: UInt8(ascii: "}"), isFirst: isFirst, wanted: "a key in quotes") {
            isFirst = false
            let start = position
            guard next == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
            let key = try string()
            path.steps.append(.key(key))
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw unexpected("a colon") }
            position += 1
            skipSpace()
            let value = try value(depth: depth + 1)
            // By their bytes: Swift takes texts for equal that Unicode does.
            if let first = offsets[Array(key.utf8)] {
                duplicateKeys.append(
                    JSONError(reason: .duplicateKey(first: first), offset: start, path: path))
            } else {
                offsets[Array(key.utf8)] = start
                members.append(JSONMember(key: key, offset: start, value: value))
            }
            path.steps.removeLast()
        }
        return members
    }

    private mutating func elements(depth: Int) throws(JSONError) -> [JSONValue] {
        try enter(depth)
        var elements: [JSONValue] = []
        while try goesOn(
            until: UInt8(ascii: "]"), isFirst: elements.isEmpty, wanted: "a value")
        {
            path.steps.append(.index(elements.count))
            elements.append(try value(depth: depth + 1))
            path.steps.removeLast()
        }
        return elements
    }

    /// Passes the bracket that opens an array or an object.
    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth < Self.depthLimit else { throw error(.tooDeep(limit: Self.depthLimit)) }
        position += 1
    }

    /// Passes what stands between two parts of an array or an object; or its end, and is then false.
    private mutating func goesOn(
        until end: UInt8, isFirst: Bool, wanted: String
    ) throws(JSONError) -> Bool {
        skipSpace()
        let endText = "'\(Character(Unicode.Scalar(end)))'"
        if next == end {
            position += 1
            return false
        }
        if isFirst {
            guard next != UInt8(ascii: ",") else { throw unexpected("\(wanted) or \(endText)") }
            return true
        }
        guard next == UInt8(ascii: ",") else { throw unexpected("a comma or \(endText)") }
        position += 1
        skipSpace()
        guard next != end else { throw unexpected("\(wanted) behind the comma") }
        return true
    }

    private mutating func literal(
        _ text: String, _ content: JSONValue.Content
    ) throws(JSONError) -> JSONValue.Content {
        guard bytes[position...].starts(with: text.utf8) else { throw unexpected("a value") }
        position += text.utf8.count
        return content
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) -> JSONNumber {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let integer = position
        try digits()
        guard bytes[integer] != UInt8(ascii: "0") || position == integer + 1 else {
            position = integer
            throw error(.leadingZero)
        }
        if next == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        return JSONNumber(text: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            position += 1
        }
        guard position > start else { throw unexpected("a digit") }
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        position += 1
        var text: [UInt8] = []
        while true {
            let start = position
            while let byte = next, byte >= 0x20, byte != UInt8(ascii: "\""),
                byte != UInt8(ascii: "\\")
            {
                position += 1
            }
            text += bytes[start..<position]
            switch next {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                UTF8.encode(try escape()).map { text += $0 }
            case let byte?:
                throw error(.controlCharacter(byte))
            case nil:
                throw error(.unexpectedEnd)
            }
        }
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        let start = position
        position += 1
        guard let letter = next else { throw error(.unexpectedEnd) }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape(from: start)
        default:
            position = start
            throw error(.invalidEscape)
        }
    }

    /// The scalar of a `\u` escape, or of two for one outside the basic plane (RFC 8259, 7).
    private mutating func unicodeEscape(from start: Int) throws(JSONError) -> Unicode.Scalar {
        let first = try hexDigits(from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard UTF16.isLeadSurrogate(first), bytes[position...].starts(with: [0x5C, 0x75]) else {
            position = start
            throw error(.loneSurrogate)
        }
        let secondStart = position
        position += 2
        let second = try hexDigits(from: secondStart)
        guard UTF16.isTrailSurrogate(second) else {
            position = start
            throw error(.loneSurrogate)
        }
        let pair = UTF16.EncodedScalar([first, second])
        return UTF16.decode(pair)
    }

    private mutating func hexDigits(from start: Int) throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next else { throw error(.unexpectedEnd) }
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                position = start
                throw error(.invalidEscape)
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    // MARK: Bytes

    private var next: UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func skipSpace() {
        while let byte = next,
            byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
        {
            position += 1
        }
    }

    private func unexpected(_ wanted: String) -> JSONError {
        // The text is UTF-8, and a reading stops at the start of a scalar.
        let rest = String(decoding: bytes[position...].prefix(4), as: UTF8.self).unicodeScalars
        guard let scalar = rest.first else { return error(.unexpectedEnd) }
        return error(.unexpected(scalar, wanted: wanted))
    }

    private func error(_ reason: JSONError.Reason) -> JSONError {
        JSONError(reason: reason, offset: position, path: path)
    }
}
