/// What a database says of itself.
struct DatabaseCondition {
    var version: Int
    /// What is wrong with it first of all; nil for nothing.
    var finding: String?
}

extension SQLiteConnection {
    /// A log that is longer than this is cut when its content is in the database.
    private static let logByteLimit = 4 << 20

    /// Makes the tables of an empty database.
    func fill(_ schema: StoreSchema) throws(SQLiteError) {
        try run("PRAGMA application_id = \(StoreSchema.applicationID)")
        try migrate(schema)
        // Only now: all of the database stands in one file when it is closed.
        try useLog()
    }

    /// Looks through all of the database.
    func condition() throws(SQLiteError) -> DatabaseCondition {
        var condition = DatabaseCondition(
            version: Int(clamping: try integer("PRAGMA user_version")))
        try run("PRAGMA cell_size_check = ON")
        let answer = try rows("PRAGMA integrity_check(1)").first?.first
        if answer != .text("ok") {
            condition.finding = if case .text(let text) = answer { text } else { "no answer" }
        } else if try !rows("PRAGMA foreign_key_check").isEmpty {
            condition.finding = "a row belongs to one that is missing"
        }
        return condition
    }

    /// Runs the migrations that the database has not seen: all of them, or none.
    func migrate(_ schema: StoreSchema) throws(SQLiteError) {
        let version = Int(clamping: try integer("PRAGMA user_version"))
        guard version < schema.version else { return }
        try run("PRAGMA synchronous = FULL")
        try run("BEGIN EXCLUSIVE")
        do throws(SQLiteError) {
            for migration in schema.migrations[version...] { try runScript(migration) }
            // While references are not enforced, tables can be replaced.
            let dangling = try rows("PRAGMA foreign_key_check")
            precondition(dangling.isEmpty, "a migration leaves references to nothing")
            try run("PRAGMA user_version = \(schema.version)")
            try run("COMMIT")
        } catch {
            _ = try? run("ROLLBACK")
            throw error
        }
    }

    /// How the connection is to work, now that nothing is wrong with the database.
    func configure() throws(SQLiteError) {
        try moveLogWhenClosed()
        try useLog()
        try run("PRAGMA synchronous = FULL")
        try run("PRAGMA foreign_keys = ON")
        try run("PRAGMA journal_size_limit = \(Self.logByteLimit)")
    }

    /// Changes go to a log first, so that one flush makes a transaction durable.
    private func useLog() throws(SQLiteError) {
        let mode = try rows("PRAGMA journal_mode = WAL").first?.first
        guard mode == .text("wal") else {
            throw .other(
                SQLiteError.Answer(code: 1, text: "the file system does not allow a log beside it"))
        }
    }

    private func integer(_ sql: String) throws(SQLiteError) -> Int64 {
        guard case .integer(let number) = try rows(sql).first?.first else {
            throw .unexpectedValue(column: sql, value: "nothing")
        }
        return number
    }
}
