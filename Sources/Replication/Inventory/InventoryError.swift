public import Storage

/// Why an inventory cannot be used.
public enum InventoryError: Error, Equatable {
    /// Its file cannot be read.
    case file(FileError)
    /// What is wrong in it, from its start to its end, and how much more there is than is listed.
    case invalid([InventoryIssue], more: Int)
}

/// One thing that is wrong in an inventory.
public struct InventoryIssue: Equatable, Sendable {
    public var file: String
    public var position: TextPosition
    /// The way to the value, `machines[1].disks[0].path`; empty for the file as a whole.
    public var field: String
    /// A clause without a capital or a full stop.
    public var message: String
}

extension InventoryIssue: CustomStringConvertible {
    public var description: String {
        let place = "\(file):\(position.line):\(position.column): "
        return place + (field.isEmpty ? "" : field + ": ") + message
    }
}

extension InventoryError: CustomStringConvertible {
    /// Without a full stop; a line for each issue.
    public var description: String {
        switch self {
        case .file(let error):
            return "\(error)"
        case .invalid(let issues, let more):
            let lines = issues.map(\.description)
            return (lines + (more > 0 ? ["and \(more) more"] : [])).joined(separator: "\n")
        }
    }
}

extension JSONError.Reason: CustomStringConvertible {
    var description: String {
        switch self {
        case .tooLong(let limit): "more than \(limit) bytes"
        case .byteOrderMark:
            "a byte order mark, which JSON does not have: save the file as UTF-8 without it"
        case .notUTF8: "not UTF-8"
        case .unexpectedEnd: "the file ends here too early"
        case .unexpected(let scalar, let wanted):
            "\(wanted) is wanted here, not \(String(Character(scalar)).quoted)"
        case .trailing: "the file goes on after its end"
        case .controlCharacter(let byte):
            "a text holds the control character \\u{\(String(byte, radix: 16))}: it is written as an "
                + "escape, or a quotation mark is missing in front of it"
        case .invalidEscape: "a backslash with something behind it that JSON does not know"
        case .loneSurrogate: "half of a character: two escapes \\uD… and \\uD… make one"
        case .leadingZero: "a number that starts with a zero"
        case .tooDeep(let limit): "more than \(limit) arrays and objects within each other"
        case .duplicateKey: "the key stands twice in its object"
        }
    }
}
