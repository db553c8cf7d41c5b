internal import Storage

/// A value in an inventory's file, and the way to it.
struct InventoryField {
    var value: JSONValue
    var path: FieldPath
}

/// An object in an inventory's file, with its members by their keys.
struct InventoryMembers<Key: InventoryKey> {
    var object: InventoryField
    var fields: [Key: InventoryField] = [:]

    subscript(key: Key) -> InventoryField? { fields[key] }
}

/// Reads an inventory, and notes everything that is wrong in it.
///
/// What is wrong is left out of what is read, so that one mistake is told once and the others too.
struct InventoryReader {
    /// More than a person reads at once.
    static let issueLimit = 50
    /// What is kept to be put in order.
    private static let noteLimit = 1000

    private struct Note {
        var offset: Int
        var path: FieldPath
        var message: String
    }

    private let file: String
    private let lines: TextLines
    private var notes: [Note] = []
    private var noteCount = 0
    var claims = InventoryClaims()

    init(file: String, bytes: [UInt8]) {
        self.file = file
        lines = TextLines(bytes)
    }

    /// What was noted, from the start of the file to its end; nil for nothing.
    var error: InventoryError? {
        guard noteCount > 0 else { return nil }
        // Sorting keeps the order of what has the same place.
        let issues = notes.sorted { $0.offset < $1.offset }.prefix(Self.issueLimit).map { note in
            InventoryIssue(
                file: file.printable, position: lines.position(ofByteAt: note.offset),
                field: note.path.description, message: note.message)
        }
        return .invalid(issues, more: noteCount - issues.count)
    }

    mutating func note(_ message: String, at offset: Int, _ path: FieldPath) {
        noteCount += 1
        guard notes.count < Self.noteLimit else { return }
        notes.append(Note(offset: offset, path: path, message: message))
    }

    mutating func note(_ message: String, at field: InventoryField) {
        note(message, at: field.value.offset, field.path)
    }

    mutating func note(_ error: JSONError) {
        var message = error.reason.description
        if case .duplicateKey(let first) = error.reason {
            message += ", first in line \(lines.position(ofByteAt: first).line)"
        }
        note(message, at: error.offset, error.path)
    }

    /// A field and its line, for a message about another one.
    func reference(to field: InventoryField) -> String {
        "\(field.path) in line \(lines.position(ofByteAt: field.value.offset).line)"
    }

    // MARK: Objects and lists

    mutating func members<Key: InventoryKey>(
        of field: InventoryField, _: Key.Type
    ) -> InventoryMembers<Key>? {
        guard case .object(let members) = field.value.content else {
            noteKind("an object", field)
            return nil
        }
        var known = InventoryMembers<Key>(object: field)
        for member in members {
            let path = field.path.appending(.key(member.key))
            if let key = Key(rawValue: member.key) {
                known.fields[key] = InventoryField(value: member.value, path: path)
            } else {
                let meant = Key.nearest(to: member.key).map { "; is \"\($0.rawValue)\" meant?" }
                note("an unknown key" + (meant ?? ""), at: member.offset, path)
            }
        }
        return known
    }

    /// A member that must be there.
    mutating func required<Key: InventoryKey>(
        _ key: Key, in members: InventoryMembers<Key>
    ) -> InventoryField? {
        if let field = members[key] { return field }
        let path = members.object.path.appending(.key(key.rawValue))
        note("missing", at: members.object.value.offset, path)
        return nil
    }

    /// The elements of a list that is not empty.
    mutating func elements(
        of field: InventoryField, limit: Int, minimum: Int = 1
    ) -> [InventoryField]? {
        guard case .array(let elements) = field.value.content else {
            noteKind("a list", field)
            return nil
        }
        guard elements.count >= minimum else {
            note("the list is empty", at: field)
            return nil
        }
        guard elements.count <= limit else {
            note("\(elements.count) elements, more than \(limit)", at: field)
            return nil
        }
        return elements.enumerated().map { index, element in
            InventoryField(value: element, path: field.path.appending(.index(index)))
        }
    }

    mutating func noteKind(_ wanted: String, _ field: InventoryField) {
        note("\(wanted) is wanted here, not \(field.value.content.kind)", at: field)
    }
}

extension JSONValue.Content {
    /// What it is, for a person.
    var kind: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
