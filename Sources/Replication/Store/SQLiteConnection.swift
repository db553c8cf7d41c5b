internal import CSQLite

/// An open database with one owner, closed once. One thread at a time may use it.
@safe struct SQLiteConnection: ~Copyable, @unchecked Sendable {
    // SQLite allows a connection in another thread than the one that has opened it.
    let handle: OpaquePointer

    /// How long to wait for another program that reads or copies the database.
    private static let busyTimeoutMilliseconds: Int32 = 5000

    /// Opens a file that exists. Its log stays when the connection ends, until
    /// ``moveLogWhenClosed()``, so that what is not to be used is not changed.
    init(opening path: String) throws(SQLiteError) {
        unsafe handle = try Self.open(path)
    }

    private static func open(_ path: String) throws(SQLiteError) -> OpaquePointer {
        // No lock of its own, as one thread at a time uses it; no link, as its log stands beside it.
        let flags =
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW
            | SQLITE_OPEN_EXRESCODE
        var opened: OpaquePointer?
        // Safe, to the end: the path ends with a zero, and the call sets the pointer, also where it
        // fails.
        var status = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard let opened = unsafe opened else { throw .outOfMemory }
        if status == SQLITE_OK { status = unsafe csqlite_distrust(opened) }
        if status == SQLITE_OK { status = unsafe csqlite_keep_log(opened, 1) }
        if status == SQLITE_OK {
            status = unsafe sqlite3_busy_timeout(opened, busyTimeoutMilliseconds)
        }
        guard status == SQLITE_OK else {
            let error = unsafe error(status, opened)
            unsafe sqlite3_close_v2(opened)
            throw error
        }
        return unsafe opened
    }

    deinit {
        // Safe: this is the only owner. SQLite waits with the end for statements that are open still.
        unsafe sqlite3_close_v2(handle)
    }

    /// Whoever is the last to close the database moves its log into it.
    func moveLogWhenClosed() throws(SQLiteError) {
        try check(unsafe csqlite_keep_log(handle, 0))
    }

    /// Runs one statement.
    ///
    /// - Returns: how many rows it has changed, of a statement that changes some.
    @discardableResult
    func run(_ sql: String, _ values: [SQLiteValue] = []) throws(SQLiteError) -> Int {
        var statement = try SQLiteStatement(sql, values, on: self)
        while try statement.step() {}
        return Int(unsafe sqlite3_changes64(handle))
    }

    /// The rows that one statement yields.
    func rows(
        _ sql: String, _ values: [SQLiteValue] = []
    ) throws(SQLiteError) -> [[SQLiteValue]] {
        var statement = try SQLiteStatement(sql, values, on: self)
        var rows: [[SQLiteValue]] = []
        while try statement.step() { rows.append(try statement.row()) }
        return rows
    }

    /// Runs statements with semicolons behind them.
    func runScript(_ sql: String) throws(SQLiteError) {
        // Safe: the text ends with a zero.
        try check(unsafe sqlite3_exec(handle, sql, nil, nil, nil))
    }

    func check(_ status: Int32) throws(SQLiteError) {
        guard status == SQLITE_OK else { throw unsafe Self.error(status, handle) }
    }

    /// The error for a status, with what the connection says of its last call.
    static func error(_ status: Int32, _ handle: OpaquePointer) -> SQLiteError {
        // Safe: the texts end with a zero, and stay until the next call.
        let own = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) }
        let general = unsafe sqlite3_errstr(status).map { unsafe String(cString: $0) }
        let isOfLast = unsafe sqlite3_extended_errcode(handle) == status
        // The number of an error that is not one of the system stays from an earlier call.
        let kind = status & 0xFF
        let isOfSystem = [SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_FULL].contains(kind)
        return SQLiteError(
            SQLiteError.Answer(
                code: status, text: (isOfLast ? own : general) ?? "unknown error",
                systemError: isOfSystem ? unsafe sqlite3_system_errno(handle) : 0))
    }
}
