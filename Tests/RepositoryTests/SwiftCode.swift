/// Swift source without its comments and the text of its string literals, line by line.
///
/// Code in an interpolation stays. This knows as much of the grammar as the rules need: it takes
/// no account of regular-expression literals that hold quotation marks or two slashes.
struct SwiftCode {
    private let bytes: [UInt8]
    private var position = 0
    private var code: [UInt8] = []

    /// The lines of the source; a line that holds no code is empty or blank.
    static func lines(of source: String) -> [Substring] {
        var scanner = SwiftCode(bytes: Array(source.utf8))
        scanner.scanCode(untilClosingParenthesis: false)
        return String(decoding: scanner.code, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func scanCode(untilClosingParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case "/" where next == "/":
                while position < bytes.count, bytes[position] != "\n" { position += 1 }
                continue
            case "/" where next == "*":
                skipBlockComment()
                continue
            case "#", "\"":
                if let poundCount = poundsBeforeQuote() {
                    scanString(poundCount: poundCount)
                    continue
                }
            case "(":
                depth += 1
            case ")":
                if depth == 0, untilClosingParenthesis { return }
                depth -= 1
            default:
                break
            }
            code.append(bytes[position])
            position += 1
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                position += 2
            } else if starts("*/") {
                depth -= 1
                position += 2
            } else {
                if bytes[position] == "\n" { code.append("\n") }
                position += 1
            }
        } while depth > 0 && position < bytes.count
    }

    /// The number of `#` before a quotation mark that is here, or nil if none is.
    private func poundsBeforeQuote() -> Int? {
        var end = position
        while end < bytes.count, bytes[end] == "#" { end += 1 }
        return end < bytes.count && bytes[end] == "\"" ? end - position : nil
    }

    private mutating func scanString(poundCount: Int) {
        let pounds = String(repeating: "#", count: poundCount)
        position += poundCount
        let quote = starts("\"\"\"") ? "\"\"\"" : "\""
        position += quote.utf8.count
        code.append("\"")
        while position < bytes.count {
            switch bytes[position] {
            case "\"" where starts(quote + pounds):
                position += quote.utf8.count + poundCount
                code.append("\"")
                return
            case "\\" where starts("\\" + pounds + "("):
                position += 2 + poundCount
                code.append(" ")
                scanCode(untilClosingParenthesis: true)
                code.append(" ")
                position += 1
            case "\\" where starts("\\" + pounds):
                position += 1 + poundCount
                // The byte after it is escaped, but a line end there still ends the line.
                if position < bytes.count, bytes[position] != "\n" { position += 1 }
            case "\n":
                code.append("\n")
                position += 1
            default:
                position += 1
            }
        }
    }

    private var next: UInt8? {
        position + 1 < bytes.count ? bytes[position + 1] : nil
    }

    private func starts(_ text: String) -> Bool {
        bytes[position...].starts(with: text.utf8)
    }
}

extension UInt8: @retroactive ExpressibleByUnicodeScalarLiteral {
    /// The code of an ASCII character.
    public init(unicodeScalarLiteral scalar: Unicode.Scalar) {
        self.init(ascii: scalar)
    }
}
