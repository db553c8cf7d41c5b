internal import FoundationEssentials
internal import Storage

/// How the lines of a log look.
public enum LogFormat: String, Sendable, CaseIterable {
    case text
    /// An object a line.
    case json
}

/// Something that is written to a log.
protocol LogEvent: Sendable {
    var line: LogLine { get }
}

/// An event with what is known of it, as a line of a log.
struct LogLine: Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case text(String)
        /// As JSON has it.
        case number(String)
    }

    struct Field: Equatable, Sendable {
        var name: String
        var value: Value
    }

    var event: String
    /// Whether someone can cause it whom nobody has let in.
    var isOfStrangers = false
    private(set) var fields: [Field] = []

    /// Characters of a text that somebody else made: longer ones are cut.
    private static let longestText = 1024

    init(_ event: String, isOfStrangers: Bool = false) {
        self.event = event
        self.isOfStrangers = isOfStrangers
    }

    /// Of lines that are not there.
    static func leftOut(_ message: String) -> LogLine {
        var line = LogLine("lines-left-out")
        line.add("message", message)
        return line
    }

    // MARK: What is known, in the order of the line

    /// Nothing where it is not known.
    mutating func add(_ name: String, _ text: String?) {
        guard let text else { return }
        fields.append(Field(name: name, value: .text(Self.harmless(text))))
    }

    mutating func add(_ name: String, _ number: UInt64?) {
        guard let number else { return }
        fields.append(Field(name: name, value: .number("\(number)")))
    }

    mutating func add(_ name: String, _ code: ReturnCode?) {
        add(name, code.map { UInt64($0.rawValue) })
    }

    mutating func add(_ name: String, seconds: Double?) {
        guard let seconds else { return }
        let thousandths = UInt64((max(0, min(seconds, 1e12)) * 1000).rounded())
        let rest = String(thousandths % 1000 + 1000).dropFirst()
        fields.append(Field(name: name, value: .number("\(thousandths / 1000).\(rest)")))
    }

    // MARK: Text

    /// One line: a word for the event and `name=value` pairs, or a JSON object.
    func text(_ format: LogFormat, at date: Date) -> String {
        let time = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        switch format {
        case .text:
            let pairs = fields.map { "\($0.name)=\($0.value.text)" }
            return ([time, event] + pairs).joined(separator: " ")
        case .json:
            let first = ["\"time\":\"\(time)\"", "\"event\":\"\(event)\""]
            let pairs = fields.map { "\"\($0.name)\":\($0.value.text)" }
            return "{" + (first + pairs).joined(separator: ",") + "}"
        }
    }

    /// A text that steers no terminal and has one line: what has no shape of its own is written out.
    static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(longestText) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate,
                .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > longestText ? result + "…" : result
    }
}

extension LogLine.Value {
    fileprivate var text: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): number
        }
    }

    /// In quotes, as JSON has it.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
