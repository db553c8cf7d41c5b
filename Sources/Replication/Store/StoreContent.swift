/// The rows of a store: what can be read from it, and changed in a transaction.
///
/// Who reads gets it to borrow, and can call what changes nothing; who writes gets it whole.
public struct StoreContent: ~Copyable, Sendable {
    let connection: SQLiteConnection
    let path: String

    /// The error of a call to the database.
    static func error(_ error: SQLiteError, _ path: String) -> StoreError {
        switch error {
        case .damaged(let answer): .damaged(path: path, reason: answer.text)
        case .busy, .full, .readOnly, .accessDenied, .cannotOpen, .io, .outOfMemory, .constraint,
            .other, .unexpectedValue:
            .database(path: path, error)
        }
    }

    private func attempt<Value>(
        _ body: () throws(SQLiteError) -> Value
    ) throws(StoreError) -> Value {
        do throws(SQLiteError) {
            return try body()
        } catch {
            throw Self.error(error, path)
        }
    }

    // MARK: Transactions

    func begin() throws(StoreError) {
        try attempt { () throws(SQLiteError) in _ = try connection.run("BEGIN IMMEDIATE") }
    }

    func commit() throws(StoreError) {
        try attempt { () throws(SQLiteError) in _ = try connection.run("COMMIT") }
    }

    /// Takes the changes back. Where SQLite has done so already, there is nothing to do.
    func rollBack() {
        _ = try? connection.run("ROLLBACK")
    }

    func setDurability(_ durability: StateStore.Durability) throws(StoreError) {
        try attempt { () throws(SQLiteError) in
            _ = try connection.run("PRAGMA synchronous = \(durability.rawValue)")
        }
    }

    // MARK: Records

    /// The records for which a condition holds, in an order.
    func records<Record: StoredRecord>(
        _ condition: String, _ values: [SQLiteValue] = [], orderedBy order: String? = nil,
        limit: Int = .max
    ) throws(StoreError) -> [Record] {
        let columns = Record.Column.allCases.map(\.rawValue).joined(separator: ", ")
        let sql =
            "SELECT \(columns) FROM \(Record.table) WHERE \(condition)"
            + (order.map { " ORDER BY \($0)" } ?? "") + " LIMIT \(limit)"
        do throws(SQLiteError) {
            var records: [Record] = []
            for row in try connection.rows(sql, values) {
                records.append(try Record(StoredRow(row)))
            }
            return records
        } catch {
            // What nobody here has written stands there.
            guard case .unexpectedValue = error else { throw Self.error(error, path) }
            throw .damaged(path: path, reason: "\(error) of \(Record.table)")
        }
    }

    /// The only record for which a condition holds, or nil.
    func record<Record: StoredRecord>(
        _ condition: String, _ values: [SQLiteValue]
    ) throws(StoreError) -> Record? {
        let found: [Record] = try records(condition, values, limit: 1)
        return found.first
    }

    mutating func insert<Record: StoredRecord>(_ record: Record) throws(StoreError) {
        try attempt { () throws(SQLiteError) in
            _ = try connection.run(Self.insertion(Record.self), try Self.values(of: record))
        }
    }

    /// Inserts a record, or puts it in the place of the one with its key.
    mutating func put<Record: StoredRecord>(record: Record) throws(StoreError) {
        let key = Record.key.map(\.rawValue).joined(separator: ", ")
        let others = Record.Column.allCases.map(\.rawValue).filter { column in
            !Record.key.contains { $0.rawValue == column }
        }
        let sql =
            Self.insertion(Record.self) + " ON CONFLICT (\(key)) DO UPDATE SET "
            + others.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        try attempt { () throws(SQLiteError) in
            _ = try connection.run(sql, try Self.values(of: record))
        }
    }

    /// - Returns: whether there was a record with this key.
    mutating func replace<Record: StoredRecord>(_ record: Record) throws(StoreError) -> Bool {
        let columns = Record.Column.allCases
        let settings = columns.enumerated().map { "\($1.rawValue) = ?\($0 + 1)" }
        let conditions = columns.enumerated().filter { Record.key.contains($1) }
            .map { "\($1.rawValue) = ?\($0 + 1)" }
        let sql =
            "UPDATE \(Record.table) SET " + settings.joined(separator: ", ") + " WHERE "
            + conditions.joined(separator: " AND ")
        return try attempt { () throws(SQLiteError) in
            try connection.run(sql, try Self.values(of: record)) == 1
        }
    }

    /// - Returns: how many rows it has changed.
    mutating func change(_ sql: String, _ values: [SQLiteValue]) throws(StoreError) -> Int {
        try attempt { () throws(SQLiteError) in try connection.run(sql, values) }
    }

    private static func insertion<Record: StoredRecord>(_: Record.Type) -> String {
        let columns = Record.Column.allCases.map(\.rawValue)
        let places = columns.map { _ in "?" }
        return "INSERT INTO \(Record.table) (" + columns.joined(separator: ", ") + ") VALUES ("
            + places.joined(separator: ", ") + ")"
    }

    private static func values<Record: StoredRecord>(
        of record: Record
    ) throws(SQLiteError) -> [SQLiteValue] {
        var values: [SQLiteValue] = []
        for column in Record.Column.allCases { values.append(try record.value(of: column)) }
        return values
    }
}
