internal import FoundationEssentials

/// A value in a database, as far as there are any here: no floating-point numbers.
enum SQLiteValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])

    /// - Throws: ``SQLiteError/unexpectedValue(column:value:)`` for a number that is too large.
    static func integer(
        _ number: some FixedWidthInteger, _ column: some RawRepresentable<String>
    ) throws(SQLiteError) -> SQLiteValue {
        guard let fitting = Int64(exactly: number) else {
            throw .unexpectedValue(column: column.rawValue, value: "\(number)")
        }
        return .integer(fitting)
    }

    static func text(_ text: String?) -> SQLiteValue {
        text.map { .text($0) } ?? .null
    }

    static func boolean(_ value: Bool) -> SQLiteValue {
        .integer(value ? 1 : 0)
    }

    /// The number of the case of an enumeration.
    static func number<Case: RawRepresentable>(
        of value: Case?
    ) -> SQLiteValue where Case.RawValue: FixedWidthInteger {
        value.map { .integer(Int64($0.rawValue)) } ?? .null
    }

    /// An instant as CIM has it, in microseconds since 1970.
    static func date(_ date: Date?) -> SQLiteValue {
        date.map { .integer(CIMTimestamp.microseconds($0)) } ?? .null
    }

    /// A duration as CIM has it, in microseconds.
    static func duration(_ duration: Duration) -> SQLiteValue {
        .integer(CIMInterval(duration).microseconds)
    }
}

/// A record that is a row of a table: one value for each of its columns.
protocol StoredRecord {
    /// The columns, named as in the table.
    associatedtype Column: RawRepresentable<String>, CaseIterable, Hashable, Sendable

    static var table: String { get }
    /// The columns that tell a row from the others.
    static var key: [Column] { get }

    /// - Throws: ``SQLiteError/unexpectedValue(column:value:)`` for a value that does not fit.
    func value(of column: Column) throws(SQLiteError) -> SQLiteValue

    /// - Throws: ``SQLiteError/unexpectedValue(column:value:)`` for a row that nobody has written
    ///   here.
    init(_ row: StoredRow<Column>) throws(SQLiteError)
}

/// A row of a table, with checked conversions.
struct StoredRow<Column: RawRepresentable<String> & CaseIterable & Hashable> {
    private let values: [Column: SQLiteValue]

    /// - Precondition: the values are those of all columns, in their order.
    init(_ values: [SQLiteValue]) {
        precondition(values.count == Column.allCases.count)
        self.values = Dictionary(
            zip(Column.allCases, values), uniquingKeysWith: { first, _ in first })
    }

    private subscript(column: Column) -> SQLiteValue { values[column] ?? .null }

    func unexpected(_ column: Column) -> SQLiteError {
        .unexpectedValue(column: column.rawValue, value: "\(self[column])")
    }

    func optionalInteger<Integer: FixedWidthInteger>(
        _ column: Column, as _: Integer.Type = Integer.self
    ) throws(SQLiteError) -> Integer? {
        switch self[column] {
        case .null: return nil
        case .integer(let stored):
            guard let number = Integer(exactly: stored) else { throw unexpected(column) }
            return number
        case .text, .bytes: throw unexpected(column)
        }
    }

    func integer<Integer: FixedWidthInteger>(
        _ column: Column, as type: Integer.Type = Integer.self
    ) throws(SQLiteError) -> Integer {
        guard let number = try optionalInteger(column, as: type) else { throw unexpected(column) }
        return number
    }

    func boolean(_ column: Column) throws(SQLiteError) -> Bool {
        switch try integer(column, as: Int.self) {
        case 0: return false
        case 1: return true
        default: throw unexpected(column)
        }
    }

    func optionalText(_ column: Column) throws(SQLiteError) -> String? {
        switch self[column] {
        case .null: return nil
        case .text(let text): return text
        case .integer, .bytes: throw unexpected(column)
        }
    }

    func text(_ column: Column) throws(SQLiteError) -> String {
        guard let text = try optionalText(column) else { throw unexpected(column) }
        return text
    }

    func optionalBytes(_ column: Column, count: Int) throws(SQLiteError) -> [UInt8]? {
        switch self[column] {
        case .null: return nil
        case .bytes(let bytes):
            guard bytes.count == count else { throw unexpected(column) }
            return bytes
        case .integer, .text: throw unexpected(column)
        }
    }

    /// The case of an enumeration whose number stands there.
    func optionalValue<Case: RawRepresentable>(
        _ column: Column, as _: Case.Type = Case.self
    ) throws(SQLiteError) -> Case? where Case.RawValue: FixedWidthInteger {
        guard let number = try optionalInteger(column, as: Case.RawValue.self) else { return nil }
        guard let value = Case(rawValue: number) else { throw unexpected(column) }
        return value
    }

    func value<Case: RawRepresentable>(
        _ column: Column
    ) throws(SQLiteError) -> Case where Case.RawValue: FixedWidthInteger {
        guard let value = try optionalValue(column, as: Case.self) else { throw unexpected(column) }
        return value
    }

    func optionalDate(_ column: Column) throws(SQLiteError) -> Date? {
        try optionalInteger(column, as: Int64.self).map { CIMTimestamp.date(microseconds: $0) }
    }

    func date(_ column: Column) throws(SQLiteError) -> Date {
        CIMTimestamp.date(microseconds: try integer(column))
    }

    func duration(_ column: Column) throws(SQLiteError) -> Duration {
        .microseconds(try integer(column, as: Int64.self))
    }

    func relationship(_ column: Column) throws(SQLiteError) -> ReplicationRelationshipID {
        guard let id = ReplicationRelationshipID(try text(column)) else { throw unexpected(column) }
        return id
    }
}
