internal import Resync
internal import Storage

extension InventoryReader {
    /// A text without control characters, which would steer a terminal that shows it.
    mutating func text(_ field: InventoryField, limit: Int = 255) -> String? {
        guard case .string(let text) = field.value.content else {
            noteKind("a text", field)
            return nil
        }
        guard !text.isEmpty else {
            note("the text is empty", at: field)
            return nil
        }
        guard text.printable == text else {
            note("the text holds control characters", at: field)
            return nil
        }
        guard text.utf8.count <= limit else {
            note("the text has \(text.utf8.count) bytes, more than \(limit)", at: field)
            return nil
        }
        return text
    }

    mutating func boolean(_ field: InventoryField) -> Bool? {
        guard case .boolean(let value) = field.value.content else {
            noteKind("true or false", field)
            return nil
        }
        return value
    }

    mutating func integer(_ field: InventoryField, _ range: ClosedRange<Int>) -> Int? {
        guard case .number(let number) = field.value.content else {
            noteKind("a number", field)
            return nil
        }
        guard let value = number.integer, let value = Int(exactly: value), range.contains(value)
        else {
            note(
                "must be a whole number from \(range.lowerBound) to \(range.upperBound), not "
                    + String(number.text.prefix(40)), at: field)
            return nil
        }
        return value
    }

    /// One of the texts that stand for the cases of an enumeration.
    mutating func choice<Value>(_ field: InventoryField, _ choices: [(String, Value)]) -> Value? {
        guard let text = text(field) else { return nil }
        if let choice = choices.first(where: { $0.0 == text }) { return choice.1 }
        let known = choices.map(\.0.quoted).joined(separator: " or ")
        note("must be \(known), not \(text.quoted)", at: field)
        return nil
    }

    /// A number of bytes, or a text with K, M or G behind one.
    mutating func byteCount(
        _ field: InventoryField, _ range: ClosedRange<Int>, meaning: String
    ) -> Int? {
        let value: Int?
        let shown: String
        switch field.value.content {
        case .number(let number):
            value = number.integer.flatMap { Int(exactly: $0) }
            shown = String(number.text.prefix(40))
        case .string(let text):
            value = Int(byteCountText: text)
            shown = text.quoted
        default:
            noteKind("a number, or a text like \"64K\"", field)
            return nil
        }
        guard let value, range.contains(value) else {
            note("must be \(meaning), not \(shown)", at: field)
            return nil
        }
        return value
    }

    mutating func blockSize(_ field: InventoryField) -> Int? {
        let meaning = "a power of two from 4K to 16M"
        guard let size = byteCount(field, ResyncOptions.blockSizes, meaning: meaning) else {
            return nil
        }
        guard size.nonzeroBitCount == 1 else {
            note("must be \(meaning), not \(size)", at: field)
            return nil
        }
        return size
    }

    mutating func timeOfDay(_ field: InventoryField) -> CIMInterval? {
        guard let text = text(field) else { return nil }
        guard let time = CIMInterval(timeOfDay: text) else {
            note(
                "must be a time of day like \"18:30\" or \"18:30:15\", not \(text.quoted)",
                at: field)
            return nil
        }
        return time
    }

    // MARK: Paths

    /// As long as Linux takes them.
    static let longestPath = 4095

    /// What a path leads to.
    enum PathKind {
        case file, folder
    }

    /// A path on this host, which must be the same whatever folder the service runs in.
    mutating func path(_ field: InventoryField, _ kind: PathKind) -> String? {
        guard let path = text(field, limit: Self.longestPath) else { return nil }
        guard path.utf8.first == UInt8(ascii: "/") else {
            note("must be an absolute path, not \(path.quoted)", at: field)
            return nil
        }
        return check(path, kind, field) ? path : nil
    }

    /// Whether a path has no step upwards, and ends with a name where it must.
    mutating func check(_ path: String, _ kind: PathKind, _ field: InventoryField) -> Bool {
        guard !PathText.components(of: path).contains("..") else {
            note("the path leads upwards, \(path.quoted)", at: field)
            return false
        }
        let last = PathKey(path).components.last
        guard kind == .folder || last != nil && path.utf8.last != UInt8(ascii: "/") else {
            note("must be the path of a file, not \(path.quoted)", at: field)
            return false
        }
        return true
    }

    /// The path of a disk: none that a journal may have.
    mutating func diskPath(_ field: InventoryField) -> String? {
        guard let path = path(field, .file), checkIsNoJournal(path, field) else { return nil }
        return path
    }

    /// The path of a replica as its recovery place wants it.
    mutating func replicaPath(
        _ field: InventoryField, at point: RecoveryConnectionPoint?
    ) -> String? {
        guard let path = text(field, limit: Self.longestPath) else { return nil }
        guard let point else { return nil }
        let isAbsolute = path.utf8.first == UInt8(ascii: "/")
        guard isAbsolute == point.takesAbsolutePaths else {
            note(
                isAbsolute
                    ? "must be a path within the folder of recoveryConnectionPoint, without a slash in "
                        + "front, not \(path.quoted)"
                    : "must be an absolute path, since recoveryConnectionPoint names no folder, not "
                        + path.quoted, at: field)
            return nil
        }
        guard check(path, .file, field), checkIsNoJournal(path, field) else { return nil }
        return path
    }

    private mutating func checkIsNoJournal(_ path: String, _ field: InventoryField) -> Bool {
        guard !ServedFolder.isReserved(PathText.name(of: path)) else {
            note("the name is that of a journal, \(path.quoted)", at: field)
            return false
        }
        return true
    }

    /// A program and its first arguments.
    mutating func command(_ field: InventoryField, mustBePath: Bool) -> [String]? {
        guard let elements = elements(of: field, limit: 64) else { return nil }
        let words = elements.enumerated().map { index, element in
            index == 0 && mustBePath
                ? path(element, .file) : text(element, limit: Self.longestPath)
        }
        return words.contains(nil) ? nil : words.compactMap(\.self)
    }
}
