internal import CSQLite

/// A statement with its values, with one owner, ended once.
@safe struct SQLiteStatement: ~Copyable {
    private let statement: OpaquePointer
    private let connection: OpaquePointer

    /// Prepares the only statement in a text.
    init(
        _ sql: String, _ values: [SQLiteValue], on connection: borrowing SQLiteConnection
    ) throws(SQLiteError) {
        unsafe statement = try Self.prepare(sql, values, connection)
        // Safe: SQLite ends a connection only when its last statement has ended.
        unsafe self.connection = connection.handle
    }

    private static func prepare(
        _ sql: String, _ values: [SQLiteValue], _ connection: borrowing SQLiteConnection
    ) throws(SQLiteError) -> OpaquePointer {
        var prepared: OpaquePointer?
        // Safe, to the end: the text ends with a zero, and the call sets the pointer, to null where it
        // fails.
        try connection.check(
            unsafe sqlite3_prepare_v2(connection.handle, sql, -1, &prepared, nil))
        guard let prepared = unsafe prepared else {
            preconditionFailure("there is no statement in: \(sql)")
        }
        let wanted = Int(unsafe sqlite3_bind_parameter_count(prepared))
        precondition(wanted == values.count, "\(wanted) values are wanted for: \(sql)")
        for (index, value) in values.enumerated() {
            let status = unsafe bind(value, to: prepared, Int32(index + 1))
            guard status == SQLITE_OK else {
                let error = unsafe SQLiteConnection.error(status, connection.handle)
                unsafe sqlite3_finalize(prepared)
                throw error
            }
        }
        return unsafe prepared
    }

    private static func bind(
        _ value: SQLiteValue, to statement: OpaquePointer, _ index: Int32
    ) -> Int32 {
        // Safe, in each case: SQLite copies as many bytes as it is told, before the call returns.
        switch value {
        case .null:
            return unsafe sqlite3_bind_null(statement, index)
        case .integer(let number):
            return unsafe sqlite3_bind_int64(statement, index, number)
        case .text(let text):
            let count = UInt64(text.utf8.count)
            return unsafe csqlite_bind_text(statement, index, text, count)
        case .bytes([]):
            // A null pointer would be taken for a null.
            return unsafe sqlite3_bind_zeroblob(statement, index, 0)
        case .bytes(let bytes):
            return unsafe bytes.withUnsafeBytes { buffer in
                unsafe csqlite_bind_bytes(
                    statement, index, buffer.baseAddress, UInt64(buffer.count))
            }
        }
    }

    deinit {
        // Safe: this is the only owner. The status is that of the last step, which was looked at.
        unsafe sqlite3_finalize(statement)
    }

    /// Goes on to the next row, or to the end.
    ///
    /// - Returns: whether there is a row.
    mutating func step() throws(SQLiteError) -> Bool {
        let status = unsafe sqlite3_step(statement)
        switch status {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw unsafe SQLiteConnection.error(status, connection)
        }
    }

    /// The values of the row, in the order of the statement.
    ///
    /// - Precondition: the last step has found one.
    func row() throws(SQLiteError) -> [SQLiteValue] {
        let count = unsafe sqlite3_column_count(statement)
        var values: [SQLiteValue] = []
        for index in 0..<count { values.append(try value(index)) }
        return values
    }

    private func value(_ index: Int32) throws(SQLiteError) -> SQLiteValue {
        // Safe, to the end: the column exists, and its bytes stay until the next step.
        switch unsafe sqlite3_column_type(statement, index) {
        case SQLITE_NULL:
            return .null
        case SQLITE_INTEGER:
            return .integer(unsafe sqlite3_column_int64(statement, index))
        case SQLITE_TEXT:
            let start = unsafe sqlite3_column_text(statement, index)
            let bytes = unsafe try bytes(UnsafeRawPointer(start), index)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .unexpectedValue(column: name(index), value: "a text that is not UTF-8")
            }
            return .text(text)
        case SQLITE_BLOB:
            let start = unsafe sqlite3_column_blob(statement, index)
            return .bytes(unsafe try bytes(start, index))
        default:
            throw .unexpectedValue(column: name(index), value: "a floating-point number")
        }
    }

    private func bytes(
        _ start: UnsafeRawPointer?, _ index: Int32
    ) throws(SQLiteError) -> [UInt8] {
        let count = Int(unsafe sqlite3_column_bytes(statement, index))
        guard count > 0 else { return [] }
        guard let start = unsafe start else { throw .outOfMemory }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private func name(_ index: Int32) -> String {
        unsafe sqlite3_column_name(statement, index).map { unsafe String(cString: $0) } ?? "?"
    }
}
